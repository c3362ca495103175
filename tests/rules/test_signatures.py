"""What is derived from the master secret: stable for ever, apart for every use, and checked in constant time."""

import base64
import hashlib
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.signatures import (
    derive,
    is_session_token,
    message_id,
    portal_key_secret,
    read_token_version,
    session_id,
    session_token,
    webhook_secret,
)

MASTER = b"a master secret of the tests only"
OTHER_MASTER = b"another master secret of the tests"
MASTERS = {1: MASTER, 2: OTHER_MASTER}


def test_a_derivation_is_the_hmac_of_label_and_parts() -> None:
    assert derive(MASTER, "label", "a", "b") == hmac.new(MASTER, b"label|a|b", hashlib.sha256).digest()


@pytest.mark.parametrize("parts", [("a|b",), ("a", "|"), ("|",)])
def test_a_part_that_could_be_read_as_two_is_refused(parts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        derive(MASTER, "label", *parts)


def test_a_label_that_could_be_read_as_two_and_an_empty_master_are_refused() -> None:
    with pytest.raises(ValueError):
        derive(MASTER, "la|bel")
    with pytest.raises(ValueError):
        derive(b"", "label")


names = st.lists(st.text(alphabet=st.characters(exclude_characters="|", codec="utf-8"), max_size=4), max_size=3)


@given(names, names)
def test_different_parts_never_give_the_same_bytes(some: list[str], others: list[str]) -> None:
    assert (derive(MASTER, "label", *some) == derive(MASTER, "label", *others)) == (some == others)


def test_each_use_has_its_own_bytes() -> None:
    uses = {
        portal_key_secret(MASTER, "s1", "k1"),
        portal_key_secret(MASTER, "s1", "k2"),
        portal_key_secret(MASTER, "s2", "k1"),
        portal_key_secret(OTHER_MASTER, "s1", "k1"),
        session_token(MASTER, "s1", 1),
        message_id(MASTER, "s1", "k1"),
        session_id(MASTER, "k1"),
        webhook_secret(MASTER, "s1", "to_carrier"),
        webhook_secret(MASTER, "s1", "from_carrier"),
    }

    assert len(uses) == 9


def test_what_was_derived_once_is_derived_for_ever() -> None:  # rows and keys out there depend on these
    assert portal_key_secret(b"m", "school", "kid") == base64.urlsafe_b64encode(
        hmac.digest(b"m", b"portal-key|school|kid", "sha256")
    ).decode().rstrip("=")
    assert session_token(b"m", "abc", 3) == "s3." + base64.urlsafe_b64encode(
        hmac.digest(b"m", b"session|abc", "sha256")
    ).decode().rstrip("=")
    assert message_id(b"m", "school", "key") == "m6uumjg2xkupowzupepm3zo3pb"
    assert session_id(b"m", "key") == "s46jgxxxadornuap5t33ourgiy"  # both by openssl


@given(st.text(), st.text())
def test_any_idempotency_key_gives_an_id_and_another_key_another(key: str, other: str) -> None:
    ids = {message_id(MASTER, "school", key), message_id(MASTER, "school", other)}

    assert len(ids) == len({key, other})
    assert all(re.fullmatch("m[a-z2-7]{25}", one) for one in ids)
    assert re.fullmatch("s[a-z2-7]{25}", session_id(MASTER, key))


def test_the_same_key_in_two_schools_is_two_messages() -> None:
    assert message_id(MASTER, "school-1", "key") != message_id(MASTER, "school-2", "key")


def test_a_webhook_secret_is_one_of_standard_webhooks() -> None:
    secret = webhook_secret(MASTER, "signed_webhook", "to_carrier")

    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32


@pytest.mark.parametrize("version", [1, 2])
def test_a_token_of_either_live_master_opens_its_session(version: int) -> None:
    token = session_token(MASTERS[version], "abc", version)

    assert read_token_version(token) == version
    assert is_session_token(MASTERS, "abc", token)


def test_a_token_opens_no_other_session_and_nothing_under_another_master() -> None:
    token = session_token(MASTER, "abc", 1)

    assert not is_session_token(MASTERS, "abd", token)
    assert not is_session_token({1: OTHER_MASTER}, "abc", token)
    assert not is_session_token({2: MASTER}, "abc", token)
    assert not is_session_token({}, "abc", token)
    assert not is_session_token(MASTERS, "abc", token.replace("s1.", "s2."))
    assert not is_session_token(MASTERS, "abc", token.replace("s1.", "s01."))


@given(st.integers(0, 42))
def test_a_token_with_any_character_changed_opens_nothing(place: int) -> None:
    token = session_token(MASTER, "abc", 1)
    place += len("s1.")
    changed = token[:place] + ("B" if token[place] == "A" else "A") + token[place + 1 :]

    assert not is_session_token(MASTERS, "abc", changed)


@pytest.mark.parametrize(
    "token", ["", "s1.", "s1", "1." + "A" * 43, "s1." + "A" * 44, "s1." + "A" * 43 + "\n", "s１." + "A" * 43]
)
def test_what_is_no_token_has_no_version(token: str) -> None:
    assert read_token_version(token) is None
    assert not is_session_token(MASTERS, "abc", token)


@given(st.text(), st.text())
def test_any_two_strings_may_be_asked(session: str, token: str) -> None:
    assert not is_session_token(MASTERS, session, token)
    assert not is_session_token(MASTERS, session, "s1." + "A" * 43)
