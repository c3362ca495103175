"""Opens the files of a OneRoster zip as bounded streams. Pure: the archive is a stream, nothing touches a disk.

It must never trust what the zip says of itself: sizes are counted while reading, no name is ever used as a path.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, override

from recado.errors import FieldProblem, InvalidRequest

ENTRIES_MAX = 20
FILE_BYTES_MAX = 50 * 1024 * 1024  # uncompressed
COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})  # what spreadsheets and portals make
UNREADABLE = (  # what zipfile raises for damaged bytes, wherever they are
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
)


@contextmanager
def open_roster(archive: IO[bytes], wanted: Collection[str]) -> Iterator[dict[str, IO[bytes]]]:
    """The wanted files (lower-case names) that the zip has, at its root or in one folder, ready to be read in order.

    Raises InvalidRequest: `not_a_zip` (also while reading, for damaged bytes), `too_many_files`, `unsafe_name`,
    `duplicate_file`, `encrypted`, and while reading `file_too_large`.
    """
    with _damage_refused():
        opened = zipfile.ZipFile(archive)
    with opened:
        entries = _entries(opened, wanted)
        with _damage_refused():
            streams = {name: opened.open(info) for name, info in entries.items()}
        yield {name: io.BufferedReader(_Bounded(stream, name)) for name, stream in streams.items()}


def _entries(opened: zipfile.ZipFile, wanted: Collection[str]) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    infos = [info for info in opened.infolist() if not _is_litter(info)]
    if len(infos) > ENTRIES_MAX:
        raise _problem("", "too_many_files", f"A roster may have {ENTRIES_MAX} files")
    for info in infos:
        path = PurePosixPath(info.filename)
        if path.is_absolute() or ".." in path.parts or any(sign in info.filename for sign in ("\\", ":", "\0")):
            raise _problem("", "unsafe_name", "The zip has a file name that is a path out of it")
        name = path.name.lower()
        if name not in wanted:
            continue
        if name in found:
            raise _problem(name, "duplicate_file", f"The zip has {name} more than once")
        if info.flag_bits & 0x1:
            raise _problem(name, "encrypted", "The zip is locked with a password")
        if info.compress_type not in COMPRESSIONS:
            raise _problem(name, "not_a_zip", "The zip is packed in a way that is not read")
        found[name] = info
    return found


def _is_litter(info: zipfile.ZipInfo) -> bool:
    """Folders, and what macOS adds to every zip."""
    return info.is_dir() or info.filename.startswith("__MACOSX/")


class _Bounded(io.RawIOBase):
    """Reads on until FILE_BYTES_MAX, whatever size the zip's directory claims."""

    def __init__(self, inner: IO[bytes], file: str) -> None:
        super().__init__()
        self._inner = inner
        self._file = file
        self._count = 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]  # narrower on purpose
        with _damage_refused():
            piece = self._inner.read(len(buffer))
        self._count += len(piece)
        if self._count > FILE_BYTES_MAX:
            raise _problem(self._file, "file_too_large", f"A file may have {FILE_BYTES_MAX // 1024 // 1024} MB")
        buffer[: len(piece)] = piece
        return len(piece)


@contextmanager
def _damage_refused() -> Iterator[None]:
    """Only around calls of zipfile: the same exceptions from our own code are defects."""
    try:
        yield
    except UNREADABLE as error:
        raise _problem("", "not_a_zip", "The file is not a zip that can be read") from error


def _problem(file: str, code: str, detail: str) -> InvalidRequest:
    return InvalidRequest("The roster cannot be read", fields=[FieldProblem(file, code, detail)])
