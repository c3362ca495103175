"""A school's credits as its directors see them: balances, each movement with its cause, the bags there are.

It must never add or move a credit: bags are sold in `schools.py`, holds are taken and closed with a message.
"""

import base64
import re
from binascii import Error as NotBase64
from collections.abc import Sequence
from typing import NoReturn

from recado.access import Caller
from recado.errors import FieldProblem, InvalidRequest, NotAllowed, RefundRefused
from recado.rules.credit_bags import CATALOGUE, Bag, Zone
from recado.rules.roles import IN_CHARGE, Role
from recado.tables import ledger
from recado.tables.ledger import Account, Entry

CURSOR = re.compile(r"T#[!-~]{1,400}")  # the ledger's own key of the last entry shown


def list_balances(caller: Caller) -> list[Account]:
    """The school's accounts; a zone it never bought a bag for has none (L13)."""
    _only_in_charge(caller)
    return ledger.list_accounts(caller.school_id)


def list_statement(caller: Caller, zone: Zone, *, limit: int, cursor: str | None) -> tuple[list[Entry], str | None]:
    """A page of a zone's movements, newest first, and the cursor of the next one (None: no more)."""
    _only_in_charge(caller)
    entries, following = ledger.list_entries(
        caller.school_id, zone, limit=limit, before=_read_cursor(cursor) if cursor else None
    )
    return entries, _write_cursor(following) if following else None


def list_bags(caller: Caller) -> Sequence[Bag]:
    """The bags a school can ask for, the basic one of each zone first (L7)."""
    if caller.role is Role.OPERATOR:
        raise NotAllowed
    return CATALOGUE


def refuse_refund(caller: Caller) -> NoReturn:
    """Says that a bag is not refundable, and why that loses nothing: its credits never expire (L5, L6)."""
    _only_in_charge(caller)
    raise RefundRefused(
        "A bag that was bought is not refundable. Its credits never expire: they can be used as long as the school's "
        "service contract is active, and are kept while it is suspended."
    )


def _only_in_charge(caller: Caller) -> None:
    if caller.role not in IN_CHARGE:
        raise NotAllowed("Only directors and administrative staff see the school's credits")


def _write_cursor(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).rstrip(b"=").decode()


def _read_cursor(text: str) -> str:
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (NotBase64, ValueError):
        key = ""
    if not CURSOR.fullmatch(key):
        raise InvalidRequest(fields=[FieldProblem("/query/cursor", "malformed", "`next` of the page before")])
    return key
