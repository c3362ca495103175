"""The states of a roster import, what may be done in each, and when so many would go that somebody has to say so."""

from collections.abc import Collection
from enum import StrEnum

from recado.errors import FieldProblem, InvalidRequest, WrongState
from recado.rules.oneroster import FILES_READ, REQUIRED_COLUMNS

ZIP = "roster.zip"
GONE_UNASKED_MAX = 20  # people who may go without anybody confirming it
GONE_SHARE_MAX = 0.5  # nor may it be more than this part of those who are there


class ImportState(StrEnum):
    WAITING_FOR_UPLOAD = "waiting_for_upload"
    CHECKING = "checking"  # being read and compared with the directory
    READY = "ready"  # the diff is there: somebody applies or discards it
    WAITING = "waiting"  # to be applied, after another import of the school
    APPLYING = "applying"
    DONE = "done"
    REFUSED = "refused"  # it could not be used as a whole
    DISCARDED = "discarded"

    @property
    def has_ended(self) -> bool:
        return self in (ImportState.DONE, ImportState.REFUSED, ImportState.DISCARDED)


def is_applied_already(state: ImportState) -> bool:
    """Whether applying has been asked for before; raises WrongState where it cannot be asked for."""
    if state in (ImportState.WAITING, ImportState.APPLYING, ImportState.DONE):
        return True
    if state is not ImportState.READY:
        raise WrongState(f"The import is {state.value}; only one that is ready can be applied")
    return False


def is_discarded_already(state: ImportState) -> bool:
    """Whether there is nothing to discard any more; raises WrongState once people are being changed."""
    if state in (ImportState.WAITING, ImportState.APPLYING, ImportState.DONE):
        raise WrongState(f"The import is {state.value}; it cannot be discarded any more")
    return state in (ImportState.DISCARDED, ImportState.REFUSED)


def check_files(names: Collection[str]) -> None:
    """Whether these names are one zip, or the files of a roster one by one. Raises InvalidRequest."""
    if list(names) == [ZIP]:
        return
    problems = [
        FieldProblem(f"/files/{position}", "not_a_roster_file", f"`{ZIP}` alone, or CSV files: {_listed(FILES_READ)}")
        for position, name in enumerate(names)
        if name not in FILES_READ
    ]
    if len(set(names)) != len(names):
        problems.append(FieldProblem("/files", "repeated", "Each file once"))
    missing = sorted(REQUIRED_COLUMNS.keys() - set(names))
    if missing and not problems:
        problems.append(FieldProblem("/files", "missing_file", f"A roster also needs {_listed(missing)}"))
    if problems:
        raise InvalidRequest(fields=problems)


def would_go_unasked(gone: int, here: int) -> bool:
    """Whether so many of those who are `here` would be `gone` that it looks like the wrong roster."""
    return gone > GONE_UNASKED_MAX and gone > here * GONE_SHARE_MAX


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names))
