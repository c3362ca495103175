import io
import zipfile

import pytest

from recado.errors import InvalidRequest
from recado.rules import roster_zip
from recado.rules.roster_zip import open_roster

WANTED = frozenset({"users.csv", "orgs.csv"})


def zipped(*entries: tuple[str, bytes]) -> io.BytesIO:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in entries:
            opened.writestr(name, content)
    archive.seek(0)
    return archive


def contents(archive: io.BytesIO) -> dict[str, bytes]:
    with open_roster(archive, WANTED) as files:
        return {name: stream.read() for name, stream in files.items()}


def refusal(archive: io.BytesIO) -> str:
    with pytest.raises(InvalidRequest) as refused:
        contents(archive)
    return refused.value.fields[0].code


def test_wanted_files_are_found_at_the_root_or_in_a_folder_in_any_case() -> None:
    archive = zipped(("Users.CSV", b"1"), ("export/orgs.csv", b"2"), ("demographics.csv", b"3"))

    assert contents(archive) == {"users.csv": b"1", "orgs.csv": b"2"}


def test_what_macos_adds_is_not_there() -> None:
    archive = zipped(("users.csv", b"1"), ("__MACOSX/users.csv", b"x"), ("folder/", b""))

    assert contents(archive) == {"users.csv": b"1"}


@pytest.mark.parametrize(
    "name", ["../users.csv", "/etc/users.csv", "a/../../users.csv", "C:users.csv", "..\\users.csv"]
)
def test_a_name_that_is_a_path_out_of_the_zip_is_refused(name: str) -> None:
    assert refusal(zipped(("orgs.csv", b"1"), (name, b"2"))) == "unsafe_name"


def test_more_than_twenty_files_are_refused() -> None:
    twenty = [(f"{number}.csv", b"") for number in range(20)]

    assert contents(zipped(*twenty)) == {}
    assert refusal(zipped(*twenty, ("users.csv", b""))) == "too_many_files"


def test_one_file_twice_is_refused() -> None:
    assert refusal(zipped(("a/users.csv", b"1"), ("b/users.csv", b"2"))) == "duplicate_file"


def test_a_file_that_unpacks_too_large_is_stopped_while_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster_zip, "FILE_BYTES_MAX", 100_000)

    assert len(contents(zipped(("users.csv", b"x" * 100_000)))["users.csv"]) == 100_000
    assert refusal(zipped(("users.csv", b"x" * 100_001))) == "file_too_large"


def test_a_size_that_the_zip_lies_about_is_still_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster_zip, "FILE_BYTES_MAX", 1_000)
    honest = zipped(("users.csv", b"x" * 5_000)).getvalue()
    lying = honest.replace((5_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))

    assert lying != honest
    assert refusal(io.BytesIO(lying)) in {"file_too_large", "not_a_zip"}


def test_a_locked_zip_is_refused() -> None:
    plain = zipped(("users.csv", b"1")).getvalue()
    directory = plain.index(b"PK\x01\x02")
    locked = plain[: directory + 8] + b"\x01" + plain[directory + 9 :]  # the first bit of the flags: encrypted

    assert refusal(io.BytesIO(locked)) == "encrypted"


def test_what_is_no_zip_or_a_damaged_one_is_refused() -> None:
    whole = zipped(("users.csv", b"1234567890" * 50)).getvalue()
    start = whole.index(b"users.csv") + 12
    damaged = whole[:start] + b"\xff\xff\xff" + whole[start + 3 :]

    assert refusal(io.BytesIO(b"sourcedId,role\n")) == "not_a_zip"
    assert refusal(io.BytesIO(whole[: len(whole) // 2])) == "not_a_zip"
    assert refusal(io.BytesIO(damaged)) == "not_a_zip"
