"""Who may send (L2), read messages and edit people."""

import pytest

from recado.rules.roles import Role, may_edit_people, may_read_messages, may_send, may_use_templates


@pytest.mark.parametrize("role", Role)
def test_directors_and_administrators_alone_are_in_charge(role: Role) -> None:
    in_charge = role.value in {"director", "administrator"}

    assert may_send(role) is in_charge
    assert may_read_messages(role) is in_charge
    assert may_edit_people(role) is in_charge
    assert may_use_templates(role) is in_charge


@pytest.mark.parametrize("role", ["", "Director", "principal"])
def test_an_unknown_role_may_nothing(role: str) -> None:
    assert not may_send(role)
    assert not may_read_messages(role)
    assert not may_edit_people(role)
    assert not may_use_templates(role)
