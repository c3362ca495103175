"""Which tokens hold: a portal's, the operator's, a session's; and the master secrets they hang from."""

import base64
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from recado import access
from recado.access import Caller
from recado.errors import NotAuthenticated
from recado.rules import signatures
from recado.rules.roles import Role
from recado.settings import SETTINGS
from recado.tables import portal_keys
from recado.tables.portal_keys import KeyKind, PortalKey
from tests.tokens import MASTER, claims_of, create_key, mint

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SCHOOL = "liceo-1"
SESSION = "s" + "a" * 25

pytestmark = pytest.mark.usefixtures("aws")


def is_refused(token: str, now: datetime = NOW) -> bool:
    try:
        access.read_portal_token(token, now)
    except NotAuthenticated:
        return True
    return False


def signed_by_hand(header: dict[str, Any], payload: bytes, secret: str) -> str:
    """A token with a payload that no JWT library would write."""
    signing_input = base64url(json.dumps(header).encode()) + "." + base64url(payload)
    signature = hmac.digest(secret.encode(), signing_input.encode(), "sha256")
    return f"{signing_input}.{base64url(signature)}"


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_a_portals_token_names_its_school_role_user_and_key() -> None:
    create_key(SCHOOL)

    caller = access.read_portal_token(mint(SCHOOL, NOW, role="administrator"), NOW)

    assert caller == Caller(SCHOOL, Role.ADMINISTRATOR, "u-17", None, "k1")


def test_a_guardians_token_names_the_person() -> None:
    create_key(SCHOOL)

    caller = access.read_portal_token(mint(SCHOOL, NOW, role="guardian", person="g-4"), NOW)

    assert caller.person_id == "g-4"


@pytest.mark.parametrize("role", ["guardian", "student"])
@pytest.mark.parametrize("person", [None, "", 7, ["g-4"]])
def test_a_guardian_or_student_without_a_person_is_refused(role: str, person: Any) -> None:
    create_key(SCHOOL)

    assert is_refused(mint(SCHOOL, NOW, role=role, person=person))


@pytest.mark.parametrize("role", [None, "", "Director", "principal", ["director"], {}, 1])
def test_a_token_without_a_known_role_is_refused(role: Any) -> None:
    create_key(SCHOOL)

    assert is_refused(mint(SCHOOL, NOW, role=role))


@pytest.mark.parametrize("subject", [None, "", 7])
def test_a_token_without_a_user_is_refused(subject: Any) -> None:
    create_key(SCHOOL)

    assert is_refused(mint(SCHOOL, NOW, sub=subject))


@pytest.mark.parametrize("claim", ["iat", "exp", "iss", "sub", "role"])
def test_a_token_that_lacks_a_claim_is_refused(claim: str) -> None:
    create_key(SCHOOL)
    assert not is_refused(mint(SCHOOL, NOW))

    without: dict[str, Any] = {claim: None}
    assert is_refused(mint(SCHOOL, NOW, **without))


def test_an_unsigned_token_is_refused() -> None:
    create_key(SCHOOL)

    assert is_refused(mint(SCHOOL, NOW, algorithm="none", secret=""))


def test_an_unsigned_token_that_says_hs256_is_refused() -> None:
    create_key(SCHOOL)
    head, payload, _ = mint(SCHOOL, NOW).split(".")

    assert is_refused(f"{head}.{payload}.")


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_a_token_of_another_algorithm_is_refused_though_the_secret_is_right(algorithm: str) -> None:
    create_key(SCHOOL)

    assert is_refused(mint(SCHOOL, NOW, algorithm=algorithm))


def test_a_token_of_a_public_key_algorithm_is_refused() -> None:
    create_key(SCHOOL)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    assert is_refused(mint(SCHOOL, NOW, algorithm="RS256", secret=pem))


def test_a_token_lives_until_the_moment_it_expires() -> None:
    create_key(SCHOOL)
    token = mint(SCHOOL, NOW)
    expires = NOW + timedelta(minutes=5)

    assert not is_refused(token, expires - timedelta(seconds=1))
    assert is_refused(token, expires)


def test_a_token_that_lives_longer_than_it_may_is_refused_even_while_young() -> None:
    create_key(SCHOOL)
    longest = timedelta(seconds=SETTINGS.token_life_seconds_max)
    just_right, too_long = (int((NOW + longest).timestamp()) + more for more in (0, 1))

    assert not is_refused(mint(SCHOOL, NOW, exp=just_right))
    assert is_refused(mint(SCHOOL, NOW, exp=too_long))


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_portals_clock_may_be_thirty_seconds_ahead_and_no_more(claim: str) -> None:
    create_key(SCHOOL)
    ahead = int((NOW + timedelta(seconds=30)).timestamp())
    just_right: dict[str, Any] = {claim: ahead}
    too_far: dict[str, Any] = {claim: ahead + 1}

    assert not is_refused(mint(SCHOOL, NOW, **just_right))
    assert is_refused(mint(SCHOOL, NOW, **too_far))


@pytest.mark.parametrize("claim", [b'"exp": NaN', b'"iat": NaN', b'"exp": Infinity', b'"iat": -1', b'"exp": 1e400'])
def test_a_token_whose_times_are_no_times_is_refused(claim: bytes) -> None:
    create_key(SCHOOL)
    secret = signatures.portal_key_secret(MASTER, SCHOOL, "k1")
    header = {"alg": "HS256", "typ": "JWT", "kid": "k1"}
    whole = json.dumps(claims_of(SCHOOL, NOW)).encode()
    assert not is_refused(signed_by_hand(header, whole, secret))

    changed = whole.replace(b"}", b", " + claim + b"}")  # the last of two equal names counts

    assert is_refused(signed_by_hand(header, changed, secret))


def test_a_token_signed_with_another_schools_secret_is_refused() -> None:
    create_key(SCHOOL)
    create_key("liceo-2")
    secret_of_2 = signatures.portal_key_secret(MASTER, "liceo-2", "k1")

    assert is_refused(mint(SCHOOL, NOW, secret=secret_of_2))


def test_a_token_that_names_another_school_than_its_keys_is_refused() -> None:
    create_key(SCHOOL)
    secret = signatures.portal_key_secret(MASTER, SCHOOL, "k1")

    assert is_refused(mint("liceo-2", NOW, secret=secret))


def test_a_token_of_an_unknown_key_is_refused_until_the_key_is_made() -> None:
    token = mint(SCHOOL, NOW, "k2")
    create_key(SCHOOL, "k1")
    assert is_refused(token)

    create_key(SCHOOL, "k2")

    assert not is_refused(token)


def test_a_token_of_a_revoked_key_is_refused() -> None:
    create_key(SCHOOL)
    assert not is_refused(mint(SCHOOL, NOW))
    portal_keys.revoke_key(SCHOOL, "k1", NOW)

    access.forget()  # what a process does by itself after KEY_ROWS_SECONDS

    assert is_refused(mint(SCHOOL, NOW))


def test_a_token_of_a_key_past_its_time_is_refused() -> None:
    portal_keys.create_key(PortalKey(SCHOOL, "k1", KeyKind.PORTAL, 1, NOW + timedelta(minutes=1), None))

    assert not is_refused(mint(SCHOOL, NOW))
    assert is_refused(mint(SCHOOL, NOW), NOW + timedelta(minutes=1))


def test_an_operators_key_speaks_for_the_operator_and_for_nobody_else() -> None:
    create_key("platform", "op", KeyKind.OPERATOR)

    caller = access.read_portal_token(mint("platform", NOW, "op", role="operator"), NOW)

    assert caller.role is Role.OPERATOR
    assert is_refused(mint("platform", NOW, "op", role="director"))


def test_a_portals_key_never_speaks_for_the_operator() -> None:
    create_key(SCHOOL)
    create_key("platform", "p1", KeyKind.PORTAL)

    assert is_refused(mint(SCHOOL, NOW, role="operator"))
    assert is_refused(mint("platform", NOW, "p1", role="operator"))
    assert is_refused(mint("platform", NOW, "p1", role="director"))


def test_an_operators_key_of_a_school_speaks_for_nobody() -> None:
    create_key(SCHOOL, "op", KeyKind.OPERATOR)

    assert is_refused(mint(SCHOOL, NOW, "op", role="operator"))


@pytest.mark.parametrize("school_id", ["a" * 3000, "liceo#1", "li|ceo", "Liceo-1", "\ud800x", ""])
def test_a_school_that_cannot_exist_is_refused_and_not_looked_for(school_id: str) -> None:
    assert is_refused(mint(school_id, NOW, secret="whatever-whatever-whatever-whatever"))


@pytest.mark.parametrize("key_id", ["k" * 2000, "k#1", "k|1", ""])
def test_a_key_that_cannot_exist_is_refused_and_not_looked_for(key_id: str) -> None:
    assert is_refused(mint(SCHOOL, NOW, key_id, secret="whatever-whatever-whatever-whatever"))


@settings(max_examples=200, deadline=None)
@given(st.text() | st.lists(st.binary().map(base64url), min_size=3, max_size=3).map(".".join))
def test_no_text_at_all_breaks_the_reading_of_tokens(token: str) -> None:
    assert is_refused(token)


def test_a_header_nested_without_end_is_refused() -> None:
    assert is_refused(f"{base64url(b'[' * 7000)}.{base64url(b'{}')}.x")


def test_a_sessions_token_opens_its_session_and_no_other_C2() -> None:
    token = signatures.session_token(MASTER, SESSION, 1)

    assert access.is_session_token(SESSION, token)
    assert not access.is_session_token("s" + "b" * 25, token)
    assert not access.is_session_token("", token)


def test_a_second_master_secret_is_live_without_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    assert access.newest_master()[0] == 1
    second = base64.b64encode(b"the second master, also 32 bytes")
    boto3.client("ssm").put_parameter(
        Name=f"{SETTINGS.master_secret_path}/2", Value=second.decode(), Type="SecureString"
    )
    token = signatures.session_token(base64.b64decode(second), SESSION, 2)
    assert not access.is_session_token(SESSION, token)  # asked a moment ago

    later = time.monotonic() + access.MASTERS_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)

    assert access.is_session_token(SESSION, token)
    assert access.newest_master()[0] == 2
    assert access.first_master() == MASTER


@pytest.mark.parametrize(
    ("role", "route", "opens"),
    [
        (Role.DIRECTOR, "/messages", True),
        (Role.TEACHER, "/messages/{message_id}", True),
        (Role.GUARDIAN, "/operators-manual", True),
        (Role.DIRECTOR, "/operator/schools", False),
        (Role.DIRECTOR, "/operator", False),
        (Role.DIRECTOR, "/sessions", False),
        (Role.DIRECTOR, "/sessions/{session_id}/messages", False),
        (Role.OPERATOR, "/operator/schools/{school_id}", True),
        (Role.OPERATOR, "/messages", False),
        (Role.OPERATOR, "/credits", False),
        (Role.OPERATOR, "/sessions/{session_id}", False),
    ],
)
def test_a_portal_token_opens_its_own_half_of_the_api(role: Role, route: str, opens: bool) -> None:
    assert access.may_open(Caller(SCHOOL, role, "u-17"), route) is opens


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_bearers_header_is_read_whatever_its_case(name: str, scheme: str) -> None:
    assert access.read_bearer({"Accept": "*/*", name: f"{scheme} abc.def"}) == "abc.def"


@pytest.mark.parametrize(
    "headers",
    [
        None,
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic abc"},
        {"Authorization": "abc"},
        {"Authorization": "Bearer a", "authorization": "Bearer b"},
    ],
)
def test_without_one_bearer_nobody_is_authenticated(headers: dict[str, str] | None) -> None:
    with pytest.raises(NotAuthenticated):
        access.read_bearer(headers)
