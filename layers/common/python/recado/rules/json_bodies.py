"""Reads a request's JSON within bounds: what is deep, endless, ambiguous or unprintable is refused by its place.

Source: RFC 8259; I-JSON (RFC 7493) for names that repeat, numbers and half surrogate pairs.
Must never repeat a value, nor a name longer than NAME_SHOWN_MAX, of what was sent.
"""

import json
import re
from typing import Any, NoReturn

from recado.errors import FieldProblem, InvalidRequest

DEPTH_MAX = 16  # levels of arrays and objects
ITEMS_MAX = 10_000  # of one array or object
DIGITS_MAX = 18  # of one whole number: fits 64 bits
NAME_SHOWN_MAX = 64
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # tab and line ends are text
SURROGATE = re.compile(r"[\ud800-\udfff]")  # half a pair: no encoding can carry it


def read_json(text: str) -> Any:
    """The document. Raises InvalidRequest with the place of the first thing that cannot be accepted."""
    try:
        document = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int
        )
    except json.JSONDecodeError as error:
        raise _refusal("/", "json_invalid", "The body is not JSON") from error
    except RecursionError as error:
        raise _refusal("/", "too_deep", f"At most {DEPTH_MAX} levels") from error
    _check(document)
    return document


def shown(name: str) -> str:
    """A name somebody sent, fit to be shown: short, without control characters and half surrogate pairs."""
    plain = SURROGATE.sub("?", CONTROL.sub("?", name))
    return plain if len(plain) <= NAME_SHOWN_MAX else plain[: NAME_SHOWN_MAX - 1] + "…"


def _check(document: Any) -> None:
    """Walks it without recursion; every text, name and size."""
    todo: list[tuple[str, int, Any]] = [("", 1, document)]
    while todo:
        place, depth, found = todo.pop()
        if isinstance(found, str):
            _check_text(place, found)
            continue
        if not isinstance(found, dict | list):
            continue
        if depth > DEPTH_MAX:
            raise _refusal(place, "too_deep", f"At most {DEPTH_MAX} levels")
        if len(found) > ITEMS_MAX:
            raise _refusal(place, "too_long", f"At most {ITEMS_MAX} items")
        if isinstance(found, dict):
            for name in found:
                _check_text(f"{place}/{shown(name)}", name)
            todo.extend((f"{place}/{shown(name)}", depth + 1, value) for name, value in found.items())
        else:
            todo.extend((f"{place}/{position}", depth + 1, value) for position, value in enumerate(found))


def _check_text(place: str, text: str) -> None:
    if CONTROL.search(text):
        raise _refusal(place, "control_character", "Control characters cannot be accepted")
    if SURROGATE.search(text):
        raise _refusal(place, "not_unicode", "Half a surrogate pair is no character")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):  # which of the two was meant? RFC 8259 §4 leaves it open, and readers differ
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _refusal(f"/{shown(name)}", "duplicate_name", "The name stands twice in one object")
            seen.add(name)
    return found


def _constant(_: str) -> NoReturn:
    raise _refusal("/", "json_invalid", "NaN and Infinity are not JSON")


def _float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise _refusal("/", "number_too_large", "A number is too large")
    return number


def _int(text: str) -> int:
    if len(text.lstrip("-")) > DIGITS_MAX:
        raise _refusal("/", "number_too_large", f"At most {DIGITS_MAX} digits")
    return int(text)


def _refusal(place: str, code: str, detail: str) -> InvalidRequest:
    return InvalidRequest(fields=[FieldProblem(place or "/", code, detail)])
