"""Who is calling: portal tokens (JWT) and session tokens; the master secrets they hang from.

What a role may do inside a school is `rules/roles.py`'s to say; a secret or a token must never reach a log or an error.
"""

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt

from recado.aws import client
from recado.errors import NotAuthenticated
from recado.rules import signatures
from recado.rules.roles import Role
from recado.rules.school_records import KEY_ID, SCHOOL_ID, is_sandbox, sandbox_of
from recado.settings import SETTINGS
from recado.tables import portal_keys
from recado.tables.portal_keys import KeyKind, PortalKey

MASTER_VERSIONS = (1, 2)  # two live while the master secret changes
PLATFORM = "platform"  # `iss` of the platform's own staff
CLOCK_SKEW = timedelta(seconds=30)
KEY_ROWS_SECONDS = 30.0  # key rows are read again after this
MASTERS_SECONDS = 30.0  # a version nobody has heard of makes the process ask SSM at most this often
EPOCH_SECONDS_MAX = 1e11  # the year 5138; JSON's Infinity and NaN are no times either
SESSION_ROUTES = "/sessions"
OPERATOR_ROUTES = "/operator"


@dataclass(frozen=True, slots=True)
class Caller:
    """A portal's person, as their token says: the school is taken from here and from nowhere else.

    With a test key it is the school's sandbox, a school of its own: every story treats it as any other.
    """

    school_id: str
    role: Role
    subject: str
    person_id: str | None = None
    key_id: str = ""

    @property
    def is_test(self) -> bool:
        """Whether a test key opened this: nothing reaches a carrier, nothing is charged."""
        return is_sandbox(self.school_id)


def master_secrets(wanted: int | None = None) -> dict[int, bytes]:
    """The live versions of the master secret, from SSM. Raises RuntimeError when there is none.

    Read once a process; again when `wanted` is not among them, for a new version is live before the process ends.
    """
    read_at, secrets = _masters.get("read", (float("-inf"), {}))
    is_unknown = wanted in MASTER_VERSIONS and wanted not in secrets
    if not secrets or (is_unknown and time.monotonic() - read_at > MASTERS_SECONDS):
        secrets = _read_masters()
        _masters["read"] = (time.monotonic(), secrets)
    return secrets


def newest_master() -> tuple[int, bytes]:
    """The version that new secrets hang from, and its bytes."""
    return max(master_secrets().items())


def first_master() -> bytes:
    """The version that derived ids hang from: ids must not change while the secret does."""
    return min(master_secrets().items())[1]


def read_portal_token(token: str, now: datetime) -> Caller:
    """The caller a portal's token names. Raises NotAuthenticated for whatever does not hold, without saying more."""
    # 1. Whose key does it say it is? Nothing of this is believed before the signature holds.
    school_id, key_id = _claimed_key(token)

    # 2. The key of that school, in force now.
    key = _key_row(school_id, key_id)
    if key is None or not key.is_valid(now):
        raise NotAuthenticated
    master = master_secrets(key.master_version).get(key.master_version)
    if master is None:
        raise NotAuthenticated

    # 3. The signature and the times, by the key's own secret.
    secret = signatures.portal_key_secret(master, school_id, key_id)
    try:
        claims = jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            options={
                "require": ["exp", "iat", "iss", "sub"],
                "verify_exp": False,  # the three times are asked below: PyJWT would read a clock of its own
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except jwt.InvalidTokenError as error:
        raise NotAuthenticated from error
    _check_times(claims, now)

    # 4. What the key may say: an operator's key speaks for the platform, a portal's key never does.
    role, subject, person_id = _role(claims), str(claims["sub"]), claims.get("person")
    if len({role is Role.OPERATOR, key.kind is KeyKind.OPERATOR, school_id == PLATFORM}) > 1:  # all three, or none
        raise NotAuthenticated
    if not isinstance(person_id, str) or not person_id:
        person_id = None
    if not subject or (role in (Role.GUARDIAN, Role.STUDENT) and person_id is None):
        raise NotAuthenticated

    # 5. Where it leads: a test key opens the school's sandbox and nothing else.
    opened = sandbox_of(school_id) if key.kind is KeyKind.TEST else school_id
    return Caller(opened, role, subject, person_id, key_id)


def may_open(caller: Caller, route: str) -> bool:
    """Whether a portal token of this caller opens this route at all; what they may do there is the story's to say.

    `route` is the template API Gateway matched (`/messages/{message_id}`), not the path a client typed.
    """
    if _is_under(route, SESSION_ROUTES):
        return False  # a session is opened by its own token only
    return (caller.role is Role.OPERATOR) == _is_under(route, OPERATOR_ROUTES)


def is_session_route(route: str) -> bool:
    """Whether this route belongs to one session, and so to that session's token."""
    return route.startswith(f"{SESSION_ROUTES}/")


def read_bearer(headers: Mapping[str, str] | None) -> str:
    """The token of the Authorization header, whatever the case of the header's name. Raises NotAuthenticated."""
    found = [value for name, value in (headers or {}).items() if name.lower() == "authorization"]
    scheme, _, token = found[0].partition(" ") if len(found) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated
    return token.strip()


def is_session_token(session_id: str, token: str) -> bool:
    """Whether this token opens this session."""
    masters = master_secrets(signatures.read_token_version(token))
    return signatures.is_session_token(masters, session_id, token)


def forget() -> None:
    """Forgets what the process has read: secrets and key rows."""
    _masters.clear()
    _key_rows.clear()


_masters: dict[str, tuple[float, dict[int, bytes]]] = {}
_key_rows: dict[tuple[str, str], tuple[float, PortalKey | None]] = {}


def _key_row(school_id: str, key_id: str) -> PortalKey | None:
    read_at, key = _key_rows.get((school_id, key_id), (float("-inf"), None))
    if time.monotonic() - read_at > KEY_ROWS_SECONDS:
        key = portal_keys.find_key(school_id, key_id)
        if key is None:
            return None  # an unknown key is asked again each time: it may be a minute old
        _key_rows[school_id, key_id] = (time.monotonic(), key)
    return key


def _read_masters() -> dict[int, bytes]:
    names = {f"{SETTINGS.master_secret_path}/{version}": version for version in MASTER_VERSIONS}
    answer = client("ssm").get_parameters(Names=list(names), WithDecryption=True)
    secrets = {names[one["Name"]]: base64.b64decode(one["Value"]) for one in answer["Parameters"]}
    if not secrets:
        raise RuntimeError(f"no master secret at {SETTINGS.master_secret_path}: run tools.bootstrap")
    return secrets


def _claimed_key(token: str) -> tuple[str, str]:
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
        school_id = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except jwt.InvalidTokenError as error:
        raise NotAuthenticated from error
    # The form is asked first: what no key can be called is never looked for in the table.
    if not isinstance(school_id, str) or not isinstance(key_id, str):
        raise NotAuthenticated
    if not SCHOOL_ID.fullmatch(school_id) or not KEY_ID.fullmatch(key_id):
        raise NotAuthenticated
    return school_id, key_id


def _role(claims: dict[str, Any]) -> Role:
    try:
        return Role(claims.get("role", ""))
    except ValueError as error:
        raise NotAuthenticated from error


def _is_under(route: str, parent: str) -> bool:
    return route == parent or route.startswith(f"{parent}/")


def _check_times(claims: dict[str, Any], now: datetime) -> None:
    issued, expires, not_before = claims["iat"], claims["exp"], claims.get("nbf", claims["iat"])
    # Told by what must hold, not by what must not: NaN is neither more nor less than anything.
    if not all(isinstance(one, int | float) and 0 <= one <= EPOCH_SECONDS_MAX for one in (issued, expires, not_before)):
        raise NotAuthenticated
    moment, soon = now.timestamp(), (now + CLOCK_SKEW).timestamp()
    if not (moment < expires and issued <= soon and not_before <= soon):
        raise NotAuthenticated
    if expires - issued > SETTINGS.token_life_seconds_max:
        raise NotAuthenticated("the token lives longer than it may")
