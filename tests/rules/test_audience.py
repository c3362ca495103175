"""Who receives and who is skipped: each rule by name, and any school against a second way of resolving it."""

import hashlib
from collections.abc import Collection, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recado.rules.audience import (
    Audience,
    Member,
    Recipient,
    Resolution,
    Skipped,
    SkipReason,
    Who,
    first_seal,
    is_blocked,
    is_in,
    next_seal,
    resolve,
)
from recado.rules.credit_bags import Zone

HOME, ALSO_HOME, ABROAD = "+56912345678", "+56987654321", "+18095550142"
BOTH_ZONES = frozenset(Zone)


def member(
    person_id: str,
    number: str | None = HOME,
    role: str = "guardian",
    groups: Collection[str] = (),
    number_problem: bool = False,
) -> Member:
    return Member(person_id, role, frozenset(groups), number, number_problem)


def resolved(
    *members: Member,
    causes: Mapping[str, set[str]] | None = None,
    zones: Collection[Zone] = BOTH_ZONES,
) -> Resolution:
    return resolve(members, lambda number: frozenset((causes or {}).get(number, ())), "CL", zones)


def everybody(
    groups: frozenset[str] = frozenset(),
    people: frozenset[str] = frozenset(),
    minus_people: frozenset[str] = frozenset(),
    minus_groups: frozenset[str] = frozenset(),
) -> Audience:
    return Audience(frozenset(Who), groups, people, minus_people, minus_groups)


@pytest.mark.parametrize(
    ("role", "who"),
    [
        ("student", Who.STUDENTS),
        ("guardian", Who.GUARDIANS),
        ("teacher", Who.STAFF),
        ("staff", Who.STAFF),
        ("director", Who.STAFF),
        ("administrator", Who.STAFF),
        ("operator", None),
    ],
)
def test_each_role_is_reached_as_one_kind_of_people(role: str, who: Who | None) -> None:  # L3
    reached = {one for one in Who if is_in(Audience(frozenset({one})), member("p", role=role))}

    assert reached == ({who} if who else set())


def test_groups_narrow_the_audience_and_none_means_the_whole_school() -> None:
    of_seventh = member("p", groups={"7B", "basica"})

    assert is_in(everybody(), of_seventh)
    assert is_in(everybody(groups=frozenset({"7B", "8A"})), of_seventh)
    assert not is_in(everybody(groups=frozenset({"8A"})), of_seventh)


def test_a_person_named_is_in_whatever_their_role_and_group() -> None:
    nobody_else = Audience(frozenset(), frozenset({"8A"}), people=frozenset({"p"}))

    assert is_in(nobody_else, member("p", groups={"7B"}))
    assert not is_in(nobody_else, member("q", groups={"8A"}))


def test_an_exception_outweighs_being_named() -> None:
    named = frozenset({"p"})

    assert not is_in(everybody(people=named, minus_people=named), member("p"))
    assert not is_in(everybody(people=named, minus_groups=frozenset({"7B"})), member("p", groups={"7B"}))
    assert is_in(everybody(minus_people=frozenset({"q"}), minus_groups=frozenset({"8A"})), member("p", groups={"7B"}))


def test_siblings_on_one_number_are_one_sms() -> None:
    resolution = resolved(member("zoe"), member("ana"))

    assert resolution == Resolution((Recipient(HOME, ("ana", "zoe"), Zone.DOMESTIC),), ())


def test_recipients_and_skipped_come_in_the_order_in_which_the_people_were_read() -> None:
    resolution = resolved(member("c", ALSO_HOME), member("d", None), member("b", HOME), member("a", None))

    assert [one.number for one in resolution.recipients] == [ALSO_HOME, HOME]
    assert [one.person_id for one in resolution.skipped] == ["d", "a"]


def test_equal_numbers_apart_from_each_other_are_refused_rather_than_sent_twice() -> None:
    with pytest.raises(ValueError):
        resolved(member("a", HOME), member("b", ALSO_HOME), member("c", HOME))


def test_people_without_a_number_between_equal_numbers_do_not_part_them() -> None:
    resolution = resolved(member("a"), member("b", None), member("c"))

    assert [one.person_ids for one in resolution.recipients] == [("a", "c")]


@pytest.mark.parametrize(
    ("number", "number_problem", "reason"),
    [
        (None, False, SkipReason.NO_NUMBER),
        ("", False, SkipReason.NO_NUMBER),
        (None, True, SkipReason.UNUSABLE_NUMBER),
        (HOME, True, SkipReason.UNUSABLE_NUMBER),
    ],
)
def test_people_without_a_usable_number_are_skipped_with_the_reason(
    number: str | None, number_problem: bool, reason: SkipReason
) -> None:  # L11
    assert resolved(member("a", number, number_problem=number_problem)) == Resolution((), (Skipped("a", reason),))


def test_a_number_that_replied_stop_is_skipped_for_everybody_on_it() -> None:
    resolution = resolved(member("a"), member("b"), causes={HOME: {"reply"}})

    assert resolution.recipients == ()
    assert resolution.skipped == (Skipped("a", SkipReason.OPTED_OUT), Skipped("b", SkipReason.OPTED_OUT))


def test_a_number_goes_on_for_those_who_did_not_opt_out() -> None:
    resolution = resolved(member("a"), member("b"), causes={HOME: {"person#a"}})

    assert resolution.recipients == (Recipient(HOME, ("b",), Zone.DOMESTIC),)
    assert resolution.skipped == (Skipped("a", SkipReason.OPTED_OUT),)


def test_a_number_is_skipped_when_everybody_on_it_opted_out() -> None:
    resolution = resolved(member("a"), member("b"), causes={HOME: {"person#a", "person#b"}})

    assert resolution.recipients == ()
    assert {one.reason for one in resolution.skipped} == {SkipReason.OPTED_OUT}


def test_an_opt_out_of_somebody_outside_the_audience_blocks_nobody_in_it() -> None:
    assert resolved(member("a"), causes={HOME: {"person#sister", "person#"}}).skipped == ()


def test_only_a_stop_or_everybody_opting_out_blocks_a_number() -> None:
    assert is_blocked({"reply"}, ["a", "b"])
    assert is_blocked({"person#a", "person#b", "person#c"}, ["a", "b"])
    assert not is_blocked({"person#a"}, ["a", "b"])
    assert not is_blocked(set(), ["a"])


def test_the_handset_of_a_session_is_blocked_by_a_stop_alone() -> None:
    assert not is_blocked({"person#a"}, ())
    assert is_blocked({"reply"}, ())


def test_a_foreign_number_needs_an_international_bag() -> None:  # L13
    abroad = member("a", ABROAD)

    assert resolved(abroad).recipients == (Recipient(ABROAD, ("a",), Zone.INTERNATIONAL),)
    assert resolved(abroad, zones={Zone.DOMESTIC}) == Resolution((), (Skipped("a", SkipReason.NO_INTERNATIONAL_BAG),))


def test_opting_out_is_the_reason_shown_for_a_foreign_number_too() -> None:
    resolution = resolved(member("a", ABROAD), member("b", ABROAD), causes={ABROAD: {"person#a"}}, zones=())

    assert resolution.skipped == (
        Skipped("a", SkipReason.OPTED_OUT),
        Skipped("b", SkipReason.NO_INTERNATIONAL_BAG),
    )


def test_a_school_without_any_bag_keeps_its_domestic_recipients_to_learn_what_it_would_need() -> None:
    assert len(resolved(member("a"), zones=()).recipients) == 1


# --- the digest -------------------------------------------------------------------------------------------------------

TEXT = first_seal("Reunión", "meeting", ["sms", "inbox", "sms"], drop_accents=False, inbox_for_unreachable=False)
RECIPIENT = (HOME, ("a", "b"), "domestic", 1)
SKIPPED = ("c", "no_number")


def test_the_digest_is_the_same_in_every_process() -> None:  # a sender confirms what another Lambda showed
    said = (
        '{"category":"meeting","channels":["inbox","sms"],"drop_accents":false,"inbox_for_unreachable":false,'
        '"text":"Reuni\\u00f3n"}'
    )
    first = hashlib.sha256(said.encode()).hexdigest()
    people = [f'["text","{HOME}",["a","b"],"domestic",1]', '["skipped","c","no_number"]', '["copy","c"]']
    total = sum(int(hashlib.sha256(one.encode()).hexdigest(), 16) for one in people) + int(first, 16)

    assert first == TEXT
    assert next_seal(TEXT, [RECIPIENT], [SKIPPED], ["c"]) == f"{total % 2**256:064x}"


@given(st.permutations([RECIPIENT, (ALSO_HOME, ("e",), "domestic", 2)]), st.permutations([SKIPPED, ("d", "opted_out")]))
def test_the_digest_does_not_depend_on_how_many_were_read_at_a_time(
    recipients: list[tuple[str, tuple[str, ...], str, int]], skipped: list[tuple[str, str]]
) -> None:
    at_once = next_seal(TEXT, recipients, skipped, ["c", "d"])
    seal = next_seal(TEXT, [], [])
    for copy, recipient, one in zip(["d", "c"], recipients, skipped, strict=True):
        seal = next_seal(next_seal(seal, [recipient], []), [], [one], [copy])

    assert seal == at_once


def test_who_gets_a_copy_is_part_of_the_digest() -> None:  # the message centre's audience is nothing else
    assert len({next_seal(TEXT, [], [], copies) for copies in ([], ["a"], ["b"], ["a", "b"])}) == 4


def test_the_digest_does_not_depend_on_the_order_of_those_who_share_a_number_or_are_skipped() -> None:
    turned = (HOME, ("b", "a"), "domestic", 1)
    others = [("d", "opted_out"), SKIPPED]

    assert next_seal(TEXT, [RECIPIENT], others) == next_seal(TEXT, [turned], others[::-1])


@pytest.mark.parametrize(
    "other",
    [
        first_seal("Reunion", "meeting", ["sms", "inbox"], drop_accents=False, inbox_for_unreachable=False),
        first_seal("Reunión", "emergency", ["sms", "inbox"], drop_accents=False, inbox_for_unreachable=False),
        first_seal("Reunión", "meeting", ["sms"], drop_accents=False, inbox_for_unreachable=False),
        first_seal("Reunión", "meeting", ["sms", "inbox"], drop_accents=True, inbox_for_unreachable=False),
        first_seal("Reunión", "meeting", ["sms", "inbox"], drop_accents=False, inbox_for_unreachable=True),
        next_seal(TEXT, [RECIPIENT], []),
    ],
)
def test_whatever_is_said_and_how_changes_the_digest(other: str) -> None:
    assert len(TEXT) == len(other) == 64
    assert other != TEXT


@pytest.mark.parametrize(
    ("recipients", "skipped"),
    [
        ([RECIPIENT], []),
        ([], [SKIPPED]),
        ([(ALSO_HOME, ("a", "b"), "domestic", 1)], [SKIPPED]),
        ([(HOME, ("a",), "domestic", 1)], [SKIPPED]),
        ([(HOME, ("a", "b"), "domestic", 2)], [SKIPPED]),
        ([(HOME, ("a", "b"), "international", 1)], [SKIPPED]),
        ([RECIPIENT], [("c", "opted_out")]),
        ([RECIPIENT], [("d", "no_number")]),
    ],
)
def test_everybodys_state_and_price_changes_the_digest(
    recipients: list[tuple[str, tuple[str, ...], str, int]], skipped: list[tuple[str, str]]
) -> None:
    assert next_seal(TEXT, recipients, skipped) != next_seal(TEXT, [RECIPIENT], [SKIPPED])


people = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.tuples(st.sampled_from([None, HOME, ALSO_HOME, ABROAD]), st.booleans()),
)
opt_outs = st.dictionaries(
    st.sampled_from([HOME, ALSO_HOME, ABROAD]),
    st.sets(st.sampled_from(["reply", *(f"person#{one}" for one in "abcdefgh")])),
)


def outcome_of(
    number: str | None, problem: bool, person: str, causes: Mapping[str, set[str]], international: bool
) -> str:
    """Person by person, looking at nobody else: where each one ends."""
    if problem:
        return "unusable_number"
    if number is None:
        return "no_number"
    if causes.get(number, set()) & {"reply", f"person#{person}"}:
        return "opted_out"
    return "no_international_bag" if number == ABROAD and not international else number


@given(people, opt_outs, st.booleans())
def test_everybody_is_reached_once_or_skipped_with_a_reason(
    school: dict[str, tuple[str | None, bool]], causes: dict[str, set[str]], international: bool
) -> None:
    members = [member(person, number, number_problem=problem) for person, (number, problem) in school.items()]
    members.sort(key=lambda one: one.number or "")

    resolution = resolved(*members, causes=causes, zones=Zone if international else {Zone.DOMESTIC})

    reached = {person: one.number for one in resolution.recipients for person in one.person_ids}
    skipped = {one.person_id: one.reason.value for one in resolution.skipped}
    assert reached | skipped == {
        person: outcome_of(number, problem, person, causes, international)
        for person, (number, problem) in school.items()
    }
    assert not reached.keys() & skipped.keys()
    assert len({one.number for one in resolution.recipients}) == len(resolution.recipients)
    assert all(one.person_ids == tuple(sorted(one.person_ids)) != () for one in resolution.recipients)
