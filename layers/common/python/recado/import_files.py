"""What an import keeps in its bucket: the uploads, the differences found, the rows that were not used.

A key says whose it is. Nothing is ever read by a name that came with an upload, and no more than a roster may have.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import IO, Any

from recado import bucket
from recado.errors import FieldProblem, InvalidRequest, NotFound
from recado.rules.import_states import ZIP
from recado.rules.oneroster import FILES_READ, BadRow
from recado.rules.roster_changes import Change
from recado.rules.roster_diff import LISTED, Difference, Kind, difference_read, difference_written
from recado.rules.roster_zip import FILE_BYTES_MAX, open_roster
from recado.tables.imports import Import

CHUNK_BYTES = 1024 * 1024
ARCHIVE_BYTES_MAX = 100 * CHUNK_BYTES  # compressed
PAGE = 500  # differences in one object


class UploadChanged(Exception):
    """What is in the bucket is not what was compared."""


def upload_address(school_id: str, import_id: str, file: str, seconds: int) -> str:
    """Where to PUT a file within so many seconds: a presigned URL, which cannot bound the size. No call is made."""
    return bucket.sign_upload(_upload_key(school_id, import_id, file), seconds)


def list_uploaded(school_id: str, import_id: str) -> set[str]:
    """The names of the files that are there."""
    prefix = _upload_key(school_id, import_id, "")
    return {key.removeprefix(prefix) for key in bucket.list_keys(prefix)}


@contextmanager
def open_uploads(school_id: str, one: Import, etags: dict[str, str]) -> Iterator[dict[str, IO[bytes]]]:
    """The roster's files, ready to be read in order, copied off S3: reading a zip jumps about in it.

    What was compared before (`one.etags`) must be the same still, else UploadChanged; what is read now is put down in
    `etags`. Raises InvalidRequest: `not_uploaded`, `file_too_large`, and all that the zip itself may be refused for.
    """
    with ExitStack() as opened:
        copies = {file: opened.enter_context(_copied(school_id, one, file, etags)) for file in one.files}
        if tuple(one.files) == (ZIP,):
            yield opened.enter_context(open_roster(copies[ZIP], FILES_READ))
        else:
            yield copies


def save_differences(school_id: str, import_id: str, kind: Kind, change: Change, page: int, some: Any) -> None:
    """Keeps one page of differences; writing it again, it is the same page."""
    written = [difference_written(one) for one in some]
    _put(f"{_diff_prefix(school_id, import_id)}{kind.value}.{change.value}.{page}.json", written)


def list_differences(school_id: str, import_id: str, kind: Kind, change: Change, page: int) -> list[Difference]:
    """One page of differences. Raises NotFound when they are kept no longer."""
    found = _get(f"{_diff_prefix(school_id, import_id)}{kind.value}.{change.value}.{page}.json")
    return [difference_read(kind, change, one) for one in found]


def save_bad_rows(school_id: str, import_id: str, bad_rows: Sequence[BadRow]) -> None:
    """Keeps the rows that were not used, all in one object: they are at most `BAD_ROWS_KEPT`."""
    _put(f"{_diff_prefix(school_id, import_id)}bad_rows.json", [asdict(row) for row in bad_rows])


def list_bad_rows(school_id: str, import_id: str) -> list[BadRow]:
    """Places and reasons. Raises NotFound when they are kept no longer."""
    return [BadRow(**one) for one in _get(f"{_diff_prefix(school_id, import_id)}bad_rows.json")]


def delete_uploads(school_id: str, import_id: str) -> None:
    bucket.delete_objects(bucket.list_keys(_upload_key(school_id, import_id, "")))


def delete_differences(school_id: str, import_id: str) -> None:
    bucket.delete_objects(bucket.list_keys(_diff_prefix(school_id, import_id)))


class Pages:
    """Gathers differences into pages, so that a large diff is never in memory whole."""

    def __init__(self, school_id: str, import_id: str) -> None:
        self._place = (school_id, import_id)
        self._waiting: dict[tuple[Kind, Change], list[Difference]] = {}
        self._written: dict[tuple[Kind, Change], int] = {}

    def add(self, one: Difference) -> None:
        if one.change not in LISTED:
            return
        waiting = self._waiting.setdefault((one.kind, one.change), [])
        waiting.append(one)
        if len(waiting) == PAGE:
            self._write(one.kind, one.change)

    def finish(self) -> None:
        for kind, change in [place for place, waiting in self._waiting.items() if waiting]:
            self._write(kind, change)

    def _write(self, kind: Kind, change: Change) -> None:
        page = self._written.get((kind, change), 0)
        save_differences(*self._place, kind, change, page, self._waiting[kind, change])
        self._written[kind, change] = page + 1
        self._waiting[kind, change] = []


def _upload_key(school_id: str, import_id: str, file: str) -> str:
    return f"imports/{school_id}/{import_id}/{file}"


def _at_once_key(school_id: str, import_id: str) -> str:
    """Where the operator puts a zip that is to be applied at once: no signed address ever leads there."""
    return f"imports/{school_id}/{import_id}.zip"


def _diff_prefix(school_id: str, import_id: str) -> str:
    return f"diffs/{school_id}/{import_id}/"


@contextmanager
def _copied(school_id: str, one: Import, file: str, etags: dict[str, str]) -> Iterator[IO[bytes]]:
    key = _at_once_key(school_id, one.id) if one.at_once else _upload_key(school_id, one.id, file)
    bytes_max = ARCHIVE_BYTES_MAX if file == ZIP else FILE_BYTES_MAX
    found = bucket.find_object(key)
    if found is None:
        raise _refused(file, "not_uploaded", "The file is not there")
    etags[file] = found["ETag"]
    if one.etags.get(file, found["ETag"]) != found["ETag"]:
        raise UploadChanged
    with tempfile.TemporaryFile() as copy:
        if found["ContentLength"] > bytes_max:
            raise _refused(file, "file_too_large", f"It may have {bytes_max // CHUNK_BYTES} MB")
        for chunk in found["Body"].iter_chunks(CHUNK_BYTES):
            copy.write(chunk)
        copy.seek(0)
        yield copy


def _get(key: str) -> list[dict[str, Any]]:
    found = bucket.find_object(key)
    if found is None:
        raise NotFound("What an import found is kept for 30 days")
    read: list[dict[str, Any]] = json.loads(found["Body"].read())
    return read


def _put(key: str, content: Sequence[Mapping[str, Any]]) -> None:
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    bucket.save_object(key, body, "application/json")


def _refused(file: str, code: str, detail: str) -> InvalidRequest:
    return InvalidRequest("The roster cannot be read", fields=[FieldProblem(file, code, detail)])
