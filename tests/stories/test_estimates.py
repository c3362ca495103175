"""Estimates: who is reached and why not (L3, L9, L11, L13), what it costs, and that what was shown is what goes out."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from recado import estimates, messages
from recado.drafts import NewMessage
from recado.errors import ContractSuspended, NotAllowedToSend, PlanChanged, WrongState
from recado.rules.audience import DUPLICATE, INBOX_ONLY, SENDABLE
from recado.rules.credit_bags import Zone
from recado.rules.message_states import MessageState
from recado.rules.segments import Encoding
from recado.tables import messages as message_table
from recado.tables import people
from tests.faults import faults
from tests.message_worlds import (
    FOREIGN,
    OTHER_COURSE,
    add_course,
    add_person,
    change_person,
    digest_of,
    estimated,
    to,
)
from tests.worlds import (
    COURSE,
    DIRECTOR,
    NOON,
    SCHOOL,
    TEACHER,
    FakeCarrier,
    TestClock,
    add_guardian,
    add_guardians,
    alert,
    buy,
    create,
    create_school,
    figures,
    mobile,
    opt_out,
    suspend,
    work_all,
)

pytestmark = pytest.mark.usefixtures("aws")


def draft_of(new: NewMessage) -> NewMessage:
    return replace(new, send=False)


def add_one_of_each() -> None:
    """One person for each thing that may become of somebody."""
    add_guardian(1)
    add_guardian(2, number=mobile(1))
    add_guardian(3, number=None)
    add_guardian(4, number=None, problem=True)
    add_guardian(5)
    opt_out(mobile(5), "person#g00005")
    add_guardian(6, number=FOREIGN)


# --- who ---------------------------------------------------------------------------------------------------------


def test_everybody_of_the_audience_has_a_state_and_the_states_sum_to_the_people_L3_L11() -> None:
    create_school()
    add_one_of_each()

    found = estimated(alert(), TestClock())

    assert found.totals is not None
    assert found.totals.people == 6
    assert found.totals.by_state() == {
        SENDABLE: 1,
        DUPLICATE: 1,
        "no_number": 1,
        "unusable_number": 1,
        "opted_out": 1,
        "no_international_bag": 1,
    }
    assert {row.person_id: row.state for row in found.rows} == {
        "g00001": SENDABLE,
        "g00002": DUPLICATE,
        "g00003": "no_number",
        "g00004": "unusable_number",
        "g00005": "opted_out",
        "g00006": "no_international_bag",
    }


def test_who_shares_a_number_is_named_with_whose_text_it_is_and_costs_nothing() -> None:
    create_school()
    add_one_of_each()

    [row] = estimated(alert(), TestClock(), state=DUPLICATE).rows

    assert (row.person_id, row.duplicate_of, row.segments, row.number) == ("g00002", "g00001", 0, mobile(1))


def test_whoever_opted_out_is_shown_with_their_number_L9() -> None:
    create_school()
    add_one_of_each()

    [row] = estimated(alert(), TestClock(), state="opted_out").rows

    assert (row.person_id, row.number, row.segments) == ("g00005", mobile(5), 0)


def test_a_number_that_cannot_be_used_is_shown_as_it_was_typed() -> None:
    create_school()
    add_one_of_each()

    [row] = estimated(alert(), TestClock(), state="unusable_number").rows

    assert (row.number, row.typed_number) == (None, "12345")


def test_a_foreign_number_is_skipped_without_an_international_bag_and_nothing_is_charged_for_it_L13() -> None:
    create_school()
    add_one_of_each()

    found = estimated(alert(), TestClock())

    assert found.totals is not None
    assert found.totals.credits == {"domestic": 1}


def test_a_foreign_number_is_paid_from_the_international_bag_L13() -> None:
    create_school(international=5)
    add_one_of_each()

    found = estimated(alert(), TestClock())

    assert found.totals is not None
    assert found.totals.credits == {"domestic": 1, "international": 1}
    assert [row.zone for row in found.rows if row.person_id == "g00006"] == [Zone.INTERNATIONAL]


def test_staff_and_single_people_are_reached_and_exceptions_are_not_L3() -> None:
    create_school()
    add_course()
    add_person("teacher-1", "teacher", number=mobile(1))
    add_person("student-1", "student", number=mobile(2))
    add_person("guardian-1", number=mobile(3), courses=(OTHER_COURSE,))
    add_person("director-1", "director", number=mobile(4), courses=())

    def reached(**audience: list[str]) -> set[str]:
        return {row.person_id for row in estimated(alert(audience=audience), TestClock()).rows}

    assert reached(who=["staff"]) == {"teacher-1", "director-1"}
    assert reached(who=["staff", "students"], groups=[COURSE]) == {"teacher-1", "student-1"}
    assert reached(people=["guardian-1"]) == {"guardian-1"}
    assert reached(who=["staff"], people=["student-1"], minus_people=["student-1"]) == {"teacher-1", "director-1"}
    assert reached(who=["guardians", "students"], minus_groups=[OTHER_COURSE]) == {"student-1"}


def test_a_message_for_the_message_centre_alone_shows_everybody_and_costs_nothing_L4() -> None:
    create_school(domestic=None)
    add_one_of_each()

    found = estimated(to("inbox"), TestClock())

    assert found.totals is not None
    assert (found.totals.people, found.totals.copies) == (6, 6)
    assert found.totals.by_state() == {INBOX_ONLY: 6}
    assert found.totals.credits == {}
    assert {(row.state, row.has_copy) for row in found.rows} == {(INBOX_ONLY, True)}


def test_whom_sms_cannot_reach_is_shown_with_the_copy_they_get_when_asked() -> None:
    create_school()
    add_one_of_each()

    found = estimated(replace(alert(), inbox_for_unreachable=True), TestClock())

    assert {row.person_id for row in found.rows if row.has_copy} == {"g00003", "g00004", "g00005", "g00006"}


def test_an_audience_of_nobody_is_estimated_as_nobody() -> None:
    create_school()

    found = estimated(alert(), TestClock())

    assert found.totals is not None
    assert (found.totals.people, found.totals.by_state(), found.rows) == (0, {}, [])


# --- the page of people -----------------------------------------------------------------------------------------


def test_the_preview_is_read_page_by_page_without_a_gap_or_a_repeat() -> None:
    create_school()
    add_guardians(7)

    seen: list[str] = []
    cursor: str | None = "0"
    while cursor is not None:
        page = estimated(alert(), TestClock(), limit=3, cursor=int(cursor))
        seen += [row.person_id for row in page.rows]
        cursor = page.next

    assert seen == [f"g{position:05}" for position in range(7)]


def test_the_preview_of_one_state_pages_through_that_state_alone() -> None:
    create_school()
    for position in range(6):
        add_guardian(position, number=None if position % 2 else "")

    first = estimated(alert(), TestClock(), state="no_number", limit=2)
    second = estimated(alert(), TestClock(), state="no_number", limit=2, cursor=int(first.next or 0))

    assert [row.person_id for row in (*first.rows, *second.rows)] == ["g00001", "g00003", "g00005"]
    assert second.next is None


def test_a_cursor_behind_the_end_shows_nobody() -> None:
    create_school()
    add_guardians(1)

    found = estimated(alert(), TestClock(), cursor=10_000_000)

    assert (found.rows, found.next) == ([], None)


# --- what it costs ----------------------------------------------------------------------------------------------


def test_an_accent_that_is_not_in_gsm_7_shows_what_it_costs_and_the_price_without_it() -> None:
    create_school()
    add_guardians(2)

    found = estimated(alert(text="Reunión mañana, " + "a" * 80), TestClock())

    assert found.totals is not None
    assert (found.sample.encoding, found.sample.segments, found.sample_plain.segments) == (Encoding.UCS_2, 2, 1)
    assert found.costly_characters == ("ó",)
    assert (found.totals.credits, found.totals.credits_plain, found.totals.wide) == (
        {"domestic": 4},
        {"domestic": 2},
        2,
    )


def test_dropping_accents_is_priced_as_it_is_sent_and_keeps_the_enie() -> None:
    create_school()
    add_guardians(1)
    clock, carrier = TestClock(), FakeCarrier()
    new = replace(alert(text="Reunión mañana, " + "a" * 80), drop_accents=True)

    found = estimated(new, clock)
    create(new, clock)
    work_all(carrier, clock)

    assert found.totals is not None
    assert (found.totals.credits, found.costly_characters) == ({"domestic": 1}, ())
    assert [text.text for text in carrier.heard] == ["Reunion mañana, " + "a" * 80]
    assert figures() == (999, 0, 1)


def test_an_emoji_costs_ucs_2_and_is_named() -> None:
    create_school()
    add_guardians(1)

    found = estimated(alert(text="Nos vemos 😀" + "a" * 60), TestClock())

    assert (found.sample.encoding, found.sample.segments, found.costly_characters) == (Encoding.UCS_2, 2, ("😀",))


def test_the_balance_is_shown_whatever_the_price_and_nothing_is_held() -> None:
    create_school(domestic=1)
    add_guardians(3)

    found = estimated(alert(), TestClock())

    assert found.totals is not None
    assert [account.available for account in found.accounts] == [1]
    assert found.totals.credits == {"domestic": 3}
    assert figures() == (1, 0, 0)
    assert messages.list_recent(DIRECTOR, limit=10, before=None) == ([], None)


def test_a_suspended_school_may_estimate_but_not_send_L5() -> None:
    create_school()
    add_guardians(1)
    suspend()

    assert estimated(alert(), TestClock()).totals is not None
    with pytest.raises(ContractSuspended):
        create(alert(), TestClock())


def test_a_teacher_estimates_nothing_L2() -> None:
    create_school()

    with pytest.raises(NotAllowedToSend):
        estimated(alert(), TestClock(), caller=TEACHER)
    with pytest.raises(NotAllowedToSend):
        estimates.estimate_of(TEACHER, "m1", NOON, state=None, limit=1, cursor=0)


def test_the_estimate_of_a_draft_is_of_the_draft_as_it_is_now() -> None:
    create_school()
    add_guardians(2)
    clock = TestClock()
    draft = create(draft_of(alert()), clock)
    messages.edit(DIRECTOR, draft.id, draft_of(alert(text="a" * 161)), clock())

    found = estimates.estimate_of(DIRECTOR, draft.id, clock(), state=None, limit=10, cursor=0)

    assert found.totals is not None
    assert (found.message.id, found.totals.credits) == (draft.id, {"domestic": 4})


def test_a_message_that_has_been_sent_has_no_estimate() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    message = create(alert(), clock)

    with pytest.raises(WrongState):
        estimates.estimate_of(DIRECTOR, message.id, clock(), state=None, limit=10, cursor=0)


# --- the digest -------------------------------------------------------------------------------------------------


def test_sending_with_its_digest_sends_exactly_what_was_shown_for_its_price() -> None:
    create_school(international=5)
    add_one_of_each()
    clock, carrier = TestClock(), FakeCarrier()

    message = create(replace(alert(), digest=digest_of(alert(), clock)), clock)
    work_all(carrier, clock)

    assert sorted(carrier.numbers_heard()) == sorted([mobile(1), FOREIGN])
    assert message.held == {"domestic": 1, "international": 1}


def somebody_opts_out() -> None:
    opt_out(mobile(1), "person#g00001")


def somebodys_number_is_corrected() -> None:
    change_person("g00001", number=mobile(77))


def somebody_comes() -> None:
    add_guardian(9)


def somebody_leaves() -> None:
    change_person("g00001", left_at=NOON)


def somebody_changes_course() -> None:
    change_person("g00001", groups=frozenset({OTHER_COURSE}))


def a_bag_is_sold() -> None:
    buy(SCHOOL, Zone.INTERNATIONAL, 10)


CHANGES: list[tuple[Callable[[], None], list[dict[str, object]]]] = [
    (
        somebody_opts_out,
        [{"id": "g00001", "was": "sendable", "is": "opted_out", "changed": ["state", "segments", "number"]}],
    ),
    (somebodys_number_is_corrected, [{"id": "g00001", "was": "sendable", "is": "sendable", "changed": ["number"]}]),
    (somebody_comes, [{"id": "g00009", "was": None, "is": "sendable", "changed": ["state", "segments", "number"]}]),
    (somebody_leaves, [{"id": "g00001", "was": "sendable", "is": None, "changed": ["state", "segments", "number"]}]),
    (
        somebody_changes_course,
        [{"id": "g00001", "was": "sendable", "is": None, "changed": ["state", "segments", "number"]}],
    ),
    (
        a_bag_is_sold,
        [
            {
                "id": "g00002",
                "was": "no_international_bag",
                "is": "sendable",
                "changed": ["state", "segments", "number"],
            }
        ],
    ),
]


@pytest.mark.parametrize(("change", "people_changed"), CHANGES, ids=lambda one: getattr(one, "__name__", ""))
def test_what_changed_since_the_estimate_refuses_the_send_says_what_it_is_and_writes_nothing(
    change: Callable[[], None], people_changed: list[dict[str, object]]
) -> None:
    create_school()
    add_course()
    add_guardians(2)
    add_guardian(2, number=FOREIGN)
    clock = TestClock()
    new = replace(alert(), digest=digest_of(alert(), clock))
    change()

    with pytest.raises(PlanChanged) as refused:
        create(new, clock)

    members = refused.value.members
    assert (members["people"], members["people_changed"], members["content_changed"]) == (people_changed, 1, False)
    assert members["shown"] == {
        "by_state": {"sendable": 2, "no_international_bag": 1},
        "credits": {"domestic": 2},
    }
    assert figures() == (1000, 0, 0)
    assert messages.list_recent(DIRECTOR, limit=10, before=None) == ([], None)


def test_an_edit_after_the_estimate_refuses_the_send_and_says_that_the_content_changed() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    draft = create(draft_of(alert()), clock)
    shown = estimates.estimate_of(DIRECTOR, draft.id, clock(), state=None, limit=1, cursor=0).totals
    messages.edit(DIRECTOR, draft.id, draft_of(alert(text="Otra cosa")), clock())

    with pytest.raises(PlanChanged) as refused:
        messages.send(DIRECTOR, draft.id, None, clock(), digest=shown.seal if shown else None)

    assert (refused.value.members["content_changed"], refused.value.members["people_changed"]) == (True, 0)
    found = message_table.find_message(SCHOOL, draft.id)
    assert found is not None
    assert (found.state, figures()) == (MessageState.DRAFT, (1000, 0, 0))


def test_the_refusal_carries_the_digest_that_would_be_accepted_now() -> None:
    create_school()
    add_guardians(2)
    clock = TestClock()
    new = replace(alert(), digest=digest_of(alert(), clock))
    somebody_opts_out()
    with pytest.raises(PlanChanged) as refused:
        create(new, clock)

    message = create(replace(new, digest=refused.value.members["now"]["digest"]), clock, key="key-2")

    assert (message.state, message.recipients) == (MessageState.SENDING, 1)


def test_a_digest_that_was_never_shown_is_refused_with_what_is_now() -> None:
    create_school()
    add_guardians(1)

    with pytest.raises(PlanChanged) as refused:
        create(replace(alert(), digest="0" * 64), TestClock())

    assert refused.value.members.keys() == {"now"}


def test_somebody_new_in_an_inbox_only_audience_is_a_change_too() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()
    new = to("inbox", digest=digest_of(to("inbox"), clock))
    somebody_comes()

    with pytest.raises(PlanChanged) as refused:
        create(new, clock)

    assert refused.value.members["people"] == [{"id": "g00009", "was": None, "is": "inbox_only", "changed": ["state"]}]


def test_somebody_who_joins_the_school_but_not_the_audience_changes_nothing() -> None:
    create_school()
    add_course()
    for position in range(250):
        add_guardian(position)
    clock = TestClock()
    new = replace(alert(), digest=digest_of(alert(), clock))
    add_person("a-newcomer", number="+56900000000", courses=(OTHER_COURSE,))

    message = create(new, clock)

    assert (message.state, message.recipients) == (MessageState.SENDING, 250)


def test_a_scheduled_message_is_moved_or_sent_as_it_was_shown_or_not_at_all() -> None:
    create_school()
    add_guardians(2)
    clock = TestClock()
    message = create(alert(send_at=NOON + timedelta(hours=1)), clock)
    somebody_opts_out()

    with pytest.raises(PlanChanged):
        messages.send(DIRECTOR, message.id, None, clock(), digest=message.digest)

    found = message_table.find_message(SCHOOL, message.id)
    assert found is not None
    assert (found.state, found.send_at, figures()) == (MessageState.SCHEDULED, message.send_at, (998, 2, 0))


def test_an_estimate_whose_answer_was_lost_is_made_again_and_the_same() -> None:
    create_school()
    add_guardians(1)
    clock = TestClock()

    with faults("PutItem", "applied"):
        first = digest_of(alert(), clock)

    assert digest_of(alert(), clock) == first


def test_who_left_is_not_estimated() -> None:
    create_school()
    add_guardians(2)
    change_person("g00000", left_at=NOON)

    assert [row.person_id for row in estimated(alert(), TestClock()).rows] == ["g00001"]
    assert people.find_person(SCHOOL, "g00000") is not None
