"""Who may send (L2), read messages and edit people, and who has an inbox (L4)."""

import pytest

from recado.rules.roles import Role, has_inbox, may_edit_people, may_read_messages, may_send, may_use_templates


@pytest.mark.parametrize("role", Role)
def test_directors_and_administrators_alone_are_in_charge(role: Role) -> None:
    in_charge = role.value in {"director", "administrator"}

    assert may_send(role) is in_charge
    assert may_read_messages(role) is in_charge
    assert may_edit_people(role) is in_charge
    assert may_use_templates(role) is in_charge


@pytest.mark.parametrize("role", Role)
def test_everybody_of_a_school_has_an_inbox_and_the_platforms_staff_have_none(role: Role) -> None:
    assert has_inbox(role) is (role.value != "operator")


@pytest.mark.parametrize("role", ["", "Director", "principal"])
def test_an_unknown_role_may_nothing(role: str) -> None:
    assert not may_send(role)
    assert not may_read_messages(role)
    assert not may_edit_people(role)
    assert not has_inbox(role)
    assert not may_use_templates(role)
