"""The magic numbers: each says what it does, every other is delivered, and none can be somebody's."""

import phonenumbers
import pytest

from recado.rules.phone_numbers import read_number, zone_of
from recado.rules.test_numbers import ANSWERS, MAGIC, Behaviour, answer_of, behaviour_of, number_for


@pytest.mark.parametrize("country", ["CL", "DO"])
def test_every_behaviour_has_a_number_in_each_country_that_can_be_dialled_there(country: str) -> None:
    numbers = [number_for(country, digits) for digits in MAGIC]

    assert [behaviour_of(number) for number in numbers] == list(Behaviour)
    for number in numbers:
        found = read_number(number, country)
        assert found is not None
        assert (found.e164, found.region) == (number, country)
        assert zone_of(number, country).value == "domestic"


@pytest.mark.parametrize(
    ("number", "behaviour"),
    [
        ("+56900000001", Behaviour.UNREACHABLE),
        ("+56900009901", Behaviour.UNREACHABLE),
        ("+18095550104", Behaviour.BLOCKED_AT_ONCE),
        ("+18295550104", Behaviour.BLOCKED_AT_ONCE),
        ("+18495550104", Behaviour.BLOCKED_AT_ONCE),
        ("+56900000012", Behaviour.DELIVERED),
        ("+56900010001", Behaviour.DELIVERED),
        ("+56990000001", Behaviour.DELIVERED),
        ("+18095550204", Behaviour.DELIVERED),
        ("+18195550104", Behaviour.DELIVERED),
        ("+569000000010", Behaviour.DELIVERED),
        ("", Behaviour.DELIVERED),
        ("x", Behaviour.DELIVERED),
    ],
)
def test_the_last_two_digits_decide_within_the_ranges_and_nowhere_else(number: str, behaviour: Behaviour) -> None:
    assert behaviour_of(number) is behaviour


def test_chiles_range_is_given_to_no_operator() -> None:
    numbers = [phonenumbers.parse(f"+569000000{digits}") for digits in MAGIC]

    assert not any(phonenumbers.is_valid_number(number) for number in numbers)


def test_a_country_without_a_range_gets_chiles_numbers() -> None:
    assert number_for("PE", "03") == number_for("CL", "03")


def test_only_who_is_to_reply_replies() -> None:
    answering = {behaviour for digits, behaviour in MAGIC.items() if answer_of(number_for("CL", digits)) is not None}

    assert answering == set(ANSWERS) == {Behaviour.REPLIES_STOP, Behaviour.REPLIES}
