"""What a school's own record may say: its id, country, time zone and the code its texts come from.

Must never accept an id that could be read as two parts of a key: no `#`, no `|`, no capitals that look alike.
"""

import re
import zoneinfo

import phonenumbers

from recado.errors import FieldProblem
from recado.rules.phone_numbers import is_e164

SCHOOL_ID = re.compile(r"[a-z0-9-]{2,40}")
KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
SANDBOX_SUFFIX = "~test"  # no id of a school has a "~": only a test key's token comes by this one
RESERVED_IDS = frozenset({"web", "platform"})  # the anonymous page's opt-outs, the platform's own staff
SHORT_CODE = re.compile(r"[0-9]{3,8}")
ZONE_NAME = re.compile(r"UTC|[A-Z][A-Za-z]+(/[A-Z][A-Za-z0-9_+-]*)+")  # not `posix/…` nor `right/…`
NAME_LENGTH_MAX = 200
SHARDS_MAX = 8


def find_problems(
    school_id: str, name: str, country: str, time_zone: str, code: str, shards: int
) -> list[FieldProblem]:
    """Every field of a new school that cannot be accepted; none when it may be created."""
    checks = (
        ("/id", "malformed", "2 to 40 of a-z, 0-9 and '-'", SCHOOL_ID.fullmatch(school_id) is not None),
        ("/id", "reserved", "This id is the platform's own", school_id not in RESERVED_IDS),
        ("/name", "length", f"1 to {NAME_LENGTH_MAX} characters", 0 < len(name.strip()) <= NAME_LENGTH_MAX),
        ("/country", "unknown", "An ISO 3166-1 code of a country, e.g. CL", is_country(country)),
        ("/time_zone", "unknown", "A name of the IANA database, e.g. America/Santiago", is_time_zone(time_zone)),
        ("/code", "malformed", "3 to 8 digits, or a number in E.164", not code or is_sender(code)),
        ("/shards", "range", f"1 to {SHARDS_MAX}", 1 <= shards <= SHARDS_MAX),
    )
    return [FieldProblem(field, reason, detail) for field, reason, detail, holds in checks if not holds]


def sandbox_of(school_id: str) -> str:
    """The id of a school's sandbox: a school of its own, where nothing reaches a carrier and nothing is charged."""
    return f"{school_id}{SANDBOX_SUFFIX}"


def is_sandbox(school_id: str) -> bool:
    """Whether this is a sandbox's id and no school's."""
    return school_id.endswith(SANDBOX_SUFFIX)


def is_country(text: str) -> bool:
    """Whether this is the ISO 3166-1 alpha-2 code of a country with a numbering plan."""
    return text in phonenumbers.SUPPORTED_REGIONS


def is_time_zone(text: str) -> bool:
    """Whether this names a place of the IANA time zone database."""
    if not ZONE_NAME.fullmatch(text):
        return False
    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of the database, as "America"
        return False
    return True


def is_sender(code: str) -> bool:
    """Whether texts can come from this: a short code, or a number in E.164."""
    return SHORT_CODE.fullmatch(code) is not None or is_e164(code)
