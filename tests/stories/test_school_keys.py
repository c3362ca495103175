"""A school's keys: made, listed, rotated, revoked; a lost answer never makes two, a secret is shown to its maker."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pynamodb.exceptions import TransactWriteError

from recado import access, school_keys, schools
from recado.access import Caller
from recado.errors import (
    AlreadyExists,
    IdempotencyKeyReused,
    InvalidRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    WrongState,
)
from recado.rules.roles import Role
from recado.tables import portal_keys
from recado.tables.portal_keys import KeyKind, PortalKey
from recado.tables.schools import Contract, School
from tests.faults import Fault, faults
from tests.tokens import mint

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=3)
OPERATOR = Caller("platform", Role.OPERATOR, "soporte-1", key_id="op")
DIRECTOR = Caller("liceo-1", Role.DIRECTOR, "u-17")
LICEO = School("liceo-1", "Liceo Uno", "CL", "America/Santiago", "44101", Contract.ACTIVE, 1, NOW)


@pytest.fixture(autouse=True)
def school(aws: None) -> School:
    return schools.create_school(OPERATOR, LICEO, is_first=True)


def make(request_key: str = "r-1", *, school_id: str = "liceo-1", now: datetime = NOW, **more: Any) -> PortalKey:
    return school_keys.create_key(OPERATOR, school_id, request_key=request_key, now=now, **more)


def rotate(key: PortalKey, request_key: str = "r-9", *, now: datetime = NOW, **more: Any) -> PortalKey:
    return school_keys.rotate_key(OPERATOR, key.school_id, key.key_id, request_key=request_key, now=now, **more)


def opens(key: PortalKey, at: datetime = NOW) -> bool:
    access.forget()  # what a process does by itself after KEY_ROWS_SECONDS
    try:
        access.read_portal_token(mint(key.school_id, at, key.key_id), at)
    except NotAuthenticated:
        return False
    return True


def test_a_new_keys_secret_signs_tokens_that_hold() -> None:
    key = make()

    secret = school_keys.read_secret(OPERATOR, "liceo-1", key.key_id, key.master_version)

    caller = access.read_portal_token(mint("liceo-1", NOW, key.key_id, secret=secret), NOW)
    assert caller.key_id == key.key_id


def test_the_same_request_is_the_same_key_and_another_request_another() -> None:
    first, again, other = make("r-1"), make("r-1", is_first=False), make("r-2")

    assert first == again
    assert other.key_id != first.key_id


def test_the_same_request_to_two_schools_is_two_keys_with_two_secrets() -> None:
    schools.create_school(OPERATOR, replace(LICEO, id="liceo-2", code=""), is_first=True)
    keys = [make(school_id=school_id) for school_id in ("liceo-1", "liceo-2")]

    secrets = {school_keys.read_secret(OPERATOR, key.school_id, key.key_id, key.master_version) for key in keys}

    assert len(secrets) == 2


def test_a_name_that_is_taken_is_not_given_a_second_time() -> None:
    make("r-1", key_id="main")

    with pytest.raises(AlreadyExists):
        make("r-2", key_id="main")


def test_a_named_key_whose_answer_was_lost_is_found_by_its_own_request() -> None:
    first = make("r-1", key_id="main")

    assert make("r-1", key_id="main", is_first=False) == first


def test_a_request_of_days_ago_makes_no_key_and_shows_no_secret() -> None:
    make("r-1")

    with pytest.raises(IdempotencyKeyReused):
        make("r-1", now=LATER)


def test_a_key_that_is_over_before_it_begins_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        make(not_after=NOW)

    assert [one.field for one in refused.value.fields] == ["/not_after"]
    assert school_keys.list_keys(OPERATOR, "liceo-1", limit=10, cursor=None) == ([], None)


def test_a_revoked_key_opens_nothing_and_is_not_made_again() -> None:
    key = make()
    assert opens(key)

    school_keys.revoke_key(OPERATOR, "liceo-1", key.key_id, NOW)

    assert not opens(key)
    with pytest.raises(AlreadyExists):
        make(is_first=False)


def test_keys_are_made_listed_rotated_and_revoked_only_where_there_is_one() -> None:
    there = make()
    schools.create_school(OPERATOR, replace(LICEO, id="liceo-2", code=""), is_first=True)
    acts: list[Callable[[], object]] = [
        lambda: make(school_id="liceo-9"),
        lambda: school_keys.list_keys(OPERATOR, "liceo-9", limit=10, cursor=None),
        lambda: rotate(replace(there, key_id="k9")),
        lambda: rotate(replace(there, school_id="liceo-2")),
        lambda: school_keys.revoke_key(OPERATOR, "liceo-1", "k9", NOW),
        lambda: school_keys.revoke_key(OPERATOR, "liceo-2", there.key_id, NOW),
    ]

    for act in acts:
        with pytest.raises(NotFound):
            act()
    assert opens(there)


def test_keys_are_listed_with_who_made_them_and_never_with_a_secret() -> None:
    made = [make(f"r-{number}", key_id=f"k{number}") for number in range(3)]

    first, cursor = school_keys.list_keys(OPERATOR, "liceo-1", limit=2, cursor=None)
    second, end = school_keys.list_keys(OPERATOR, "liceo-1", limit=2, cursor=cursor)

    assert [*first, *second] == made
    assert (cursor, end) == ("k1", None)
    assert {key.created_by for key in made} == {"soporte-1"}
    secret = school_keys.read_secret(OPERATOR, "liceo-1", "k0", 1)
    assert secret not in str(first)


# --- rotating ---


def test_a_rotated_key_holds_until_the_overlap_ends_and_its_successor_from_at_once() -> None:
    old = make()

    new = rotate(old, overlap=timedelta(hours=2))

    assert opens(old, NOW + timedelta(hours=1, minutes=59))
    assert not opens(old, NOW + timedelta(hours=2))
    assert opens(new)
    assert opens(new, NOW + timedelta(days=400))


def test_without_an_overlap_the_old_key_ends_at_once() -> None:
    old = make()

    rotate(old, overlap=timedelta())

    assert not opens(old)


def test_rotating_never_lets_a_key_live_longer_than_it_would_have() -> None:
    ends = NOW + timedelta(minutes=10)
    old = make(not_after=ends)

    rotate(old, overlap=timedelta(days=30))

    found = portal_keys.find_key("liceo-1", old.key_id)
    assert found is not None
    assert found.not_after == ends


def test_a_successor_is_of_its_predecessors_kind() -> None:
    assert rotate(make(kind=KeyKind.TEST)).kind is KeyKind.TEST


def test_the_same_request_rotates_once() -> None:
    old = make()

    assert rotate(old) == rotate(old, is_first=False)
    assert len(school_keys.list_keys(OPERATOR, "liceo-1", limit=10, cursor=None)[0]) == 2


def test_a_request_of_days_ago_rotates_nothing() -> None:
    old = make()
    rotate(old)

    with pytest.raises(IdempotencyKeyReused):
        rotate(old, now=LATER)


def test_a_key_that_is_rotated_revoked_or_over_has_no_successor() -> None:
    rotated, revoked, over = make("r-1"), make("r-2"), make("r-3", not_after=NOW + timedelta(hours=1))
    rotate(rotated, "r-4")
    school_keys.revoke_key(OPERATOR, "liceo-1", revoked.key_id, NOW)

    for key in (rotated, revoked, over):
        with pytest.raises(WrongState):
            rotate(key, "r-5", now=NOW + timedelta(hours=2))
    assert len(school_keys.list_keys(OPERATOR, "liceo-1", limit=10, cursor=None)[0]) == 4


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_a_rotation_whose_answer_is_lost_is_made_once(fault: Fault) -> None:
    old = make()

    with faults("TransactWriteItems", fault, fault, fault) as attempts, pytest.raises(TransactWriteError):
        rotate(old)
    new = rotate(old, is_first=False)

    assert len(attempts) == 3
    assert new.made_for is not None
    found = portal_keys.find_key("liceo-1", old.key_id)
    assert found is not None
    assert found.replaced_by == new.key_id
    assert len(school_keys.list_keys(OPERATOR, "liceo-1", limit=10, cursor=None)[0]) == 2


def test_nothing_here_is_open_to_a_school() -> None:
    key = make()
    acts: list[Callable[[], object]] = [
        lambda: school_keys.create_key(DIRECTOR, "liceo-1", request_key="r", now=NOW),
        lambda: school_keys.list_keys(DIRECTOR, "liceo-1", limit=10, cursor=None),
        lambda: school_keys.rotate_key(DIRECTOR, "liceo-1", key.key_id, request_key="r", now=NOW),
        lambda: school_keys.read_secret(DIRECTOR, "liceo-1", key.key_id, 1),
        lambda: school_keys.revoke_key(DIRECTOR, "liceo-1", key.key_id, NOW),
    ]

    for act in acts:
        with pytest.raises(NotAllowed):
            act()
