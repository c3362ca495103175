"""The message centre (L4): delivered once however often, read by its own person only, counted without drift."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.client import BaseClient
from pynamodb.exceptions import PutError

from recado import inbox
from recado.access import Caller
from recado.errors import InvalidRequest, NobodysInbox, NotAllowed, NotFound
from recado.rules.message_states import Category
from recado.rules.roles import Role
from recado.settings import SETTINGS
from recado.tables.inbox import InboxCopy
from tests import worlds
from tests.conftest import client
from tests.faults import faults

NOW = worlds.NOON
SCHOOL = worlds.SCHOOL
ROSA = Caller(SCHOOL, Role.GUARDIAN, "u-1", "g00001")
LUIS = Caller(SCHOOL, Role.GUARDIAN, "u-2", "g00002")
TEXT = "Mañana no hay clases."


def copy(
    position: int = 1, *, person: str = "g00001", text: str = TEXT, at: datetime | None = None, number: int = 0
) -> InboxCopy:
    """The n-th message to somebody, n minutes after noon."""
    moment = at or NOW + timedelta(minutes=position)
    return InboxCopy(person, f"m{number or position}", Category.CLASSES_CANCELLED, text, moment)


LATER = NOW + timedelta(days=1)


def deliver(*copies: InboxCopy, school: str = SCHOOL) -> None:
    inbox.deliver_copies(school, copies)


def ids(caller: Caller = ROSA, *, now: datetime = LATER, unread_only: bool = False) -> list[str]:
    """The whole inbox, page after page."""
    found, before = list[str](), None
    while True:
        items, before = inbox.list_inbox(caller, now, limit=7, before=before, unread_only=unread_only)
        found += [item.copy.message_id for item in items]
        if before is None:
            return found


def unread(caller: Caller = ROSA, now: datetime = LATER) -> int:
    return inbox.count_unread(caller, now).count


def rows() -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client("dynamodb").scan(TableName=SETTINGS.people_table)["Items"]
    return items


@contextmanager
def left_unprocessed(*how_many: int) -> Iterator[list[int]]:
    """The n-th BatchWriteItem writes all but so many rows and hands those back, as DynamoDB does when it is busy."""
    real, left, sizes = BaseClient._make_api_call, list(how_many), list[int]()

    def busy(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        if operation != "BatchWriteItem":
            return real(self, operation, parameters)
        ((name, asked),) = parameters["RequestItems"].items()
        sizes.append(len(asked))
        taken = len(asked) - (left.pop(0) if left else 0)
        answer = real(self, operation, parameters | {"RequestItems": {name: asked[:taken]}}) if taken else {}
        return answer | {"UnprocessedItems": {name: asked[taken:]} if asked[taken:] else {}}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", busy)
        patch.setattr("time.sleep", lambda _: None)
        yield sizes


# --- delivery ---------------------------------------------------------------------------------------------------------


def test_a_message_is_in_the_inbox_of_each_person_it_was_sent_to_as_written_for_them_L4(aws: None) -> None:
    deliver(copy(person="g00001", text="Rosa: no hay clases"), copy(person="g00002", text="Luis: no hay clases"))

    assert inbox.get_item(ROSA, "m1", LATER).copy.text == "Rosa: no hay clases"
    assert inbox.get_item(LUIS, "m1", LATER).copy.text == "Luis: no hay clases"


def test_a_school_without_any_account_and_a_suspended_one_have_their_message_centre_L4(aws: None) -> None:
    worlds.create_school("sin-bolsa", domestic=None)
    worlds.create_school("suspendida")
    worlds.suspend("suspendida")
    for school in ("sin-bolsa", "suspendida"):
        reader = replace(ROSA, school_id=school)
        deliver(copy(1), copy(2), school=school)

        assert ids(reader) == ["m2", "m1"]
        assert inbox.mark_read(reader, "m2", LATER).read_at == LATER
        assert unread(reader) == 1
        inbox.hide(reader, "m2", LATER)
        assert inbox.mark_all_read(reader, LATER, LATER) == 1
        assert (ids(reader), unread(reader)) == (["m1"], 0)


def test_delivering_again_writes_nothing_new_and_makes_nothing_unread(aws: None) -> None:
    deliver(copy(1), copy(2), copy(3))
    inbox.mark_read(ROSA, "m1", LATER)
    inbox.hide(ROSA, "m2", LATER)
    before = rows()

    deliver(copy(1), copy(2), copy(3))

    assert rows() == before
    assert (ids(), unread()) == (["m3", "m1"], 1)


def test_somebody_named_twice_in_one_delivery_has_one_copy(aws: None) -> None:
    deliver(copy(1), copy(1))

    assert ids() == ["m1"]


def test_nobody_to_deliver_to_is_no_error(aws: None) -> None:
    deliver()

    assert rows() == []


def test_a_thousand_copies_are_each_in_one_inbox(aws: None) -> None:
    deliver(*(copy(person=f"p{position}") for position in range(1000)))

    people = {row["pk"]["S"].rpartition("#")[2] for row in rows()}
    assert len(rows()) == 1000
    assert people == {f"p{position}" for position in range(1000)}


def test_a_hundred_copies_take_four_requests(aws: None) -> None:
    with faults("BatchWriteItem") as attempts:
        deliver(*(copy(person=f"p{position}") for position in range(100)))

    assert attempts == ["arrived"] * 4


def test_rows_that_dynamodb_leaves_unprocessed_are_asked_again(aws: None) -> None:
    # The second request is PynamoDB's own second try; when rows are left again, the whole batch comes once more.
    with left_unprocessed(20, 5) as sizes:
        deliver(*(copy(person=f"p{position}") for position in range(25)))

    assert sizes == [25, 20, 25]
    assert len(rows()) == 25


def test_a_table_that_stays_busy_is_told_and_delivering_again_completes_it(aws: None) -> None:
    copies = [copy(person=f"p{position}") for position in range(30)]
    with left_unprocessed(*[1] * 100), pytest.raises(PutError):
        deliver(*copies)

    deliver(*copies)

    assert len(rows()) == 30


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_a_lost_request_or_answer_leaves_one_copy(aws: None, fault: Any) -> None:
    with faults("BatchWriteItem", fault):
        deliver(copy(1))

    assert ids() == ["m1"]


def test_a_delivery_whose_every_answer_is_lost_is_told_and_comes_again(aws: None) -> None:
    with faults("BatchWriteItem", "applied", "applied", "applied") as attempts, pytest.raises(PutError):
        deliver(copy(1))
    inbox.mark_read(ROSA, "m1", LATER)  # it was there all the same

    deliver(copy(1))

    assert len(attempts) == 3  # the SDK's; a lost answer is not asked again on top of them: a wave has 30 seconds
    assert (ids(), unread()) == (["m1"], 0)


# --- reading ----------------------------------------------------------------------------------------------------------


def test_the_newest_comes_first_and_each_once_over_the_pages(aws: None) -> None:
    deliver(*(copy(position) for position in range(1, 31)))

    assert ids() == [f"m{position}" for position in range(30, 0, -1)]


@pytest.mark.parametrize("limit", [1, 5, 6, 100])
def test_a_page_names_the_next_only_if_there_is_one(aws: None, limit: int) -> None:
    deliver(*(copy(position) for position in range(1, 7)))

    items, before = inbox.list_inbox(ROSA, LATER, limit=limit, before=None, unread_only=False)

    assert len(items) == min(limit, 6)
    assert (before is None) == (limit >= 6)


def test_two_messages_of_the_same_moment_are_both_listed(aws: None) -> None:
    deliver(*(copy(number=number, at=NOW) for number in range(1, 10)))

    assert ids() == [f"m{number}" for number in range(9, 0, -1)]


def test_a_cursor_goes_on_where_it_was_while_new_ones_arrive(aws: None) -> None:
    deliver(*(copy(position) for position in range(1, 11)))
    first, before = inbox.list_inbox(ROSA, LATER, limit=4, before=None, unread_only=False)
    deliver(*(copy(position) for position in range(11, 21)))

    rest, end = inbox.list_inbox(ROSA, LATER, limit=10, before=before, unread_only=False)

    assert [one.copy.message_id for one in (*first, *rest)] == [f"m{position}" for position in range(10, 0, -1)]
    assert end is None


def test_unread_ones_alone_are_listed_over_a_long_inbox(aws: None) -> None:
    deliver(*(copy(position) for position in range(1, 251)))
    inbox.mark_all_read(ROSA, NOW + timedelta(minutes=240), LATER)
    deliver(copy(300, at=NOW))  # an old moment, arriving late

    assert ids(unread_only=True) == [*(f"m{position}" for position in range(250, 240, -1)), "m300"]


def test_a_page_of_unread_ones_looks_at_five_hundred_and_says_where_to_go_on(aws: None) -> None:
    deliver(*(copy(position) for position in range(1, 602)))
    inbox.mark_all_read(ROSA, LATER, LATER)
    deliver(copy(999, at=NOW))

    items, before = inbox.list_inbox(ROSA, LATER, limit=20, before=None, unread_only=True)

    assert items == []
    assert before is not None
    assert ids(unread_only=True) == ["m999"]


def test_looking_at_a_message_does_not_mark_it(aws: None) -> None:
    deliver(copy(1))

    assert inbox.get_item(ROSA, "m1", LATER).read_at is None
    assert unread() == 1


def test_an_old_message_is_found_by_its_id_in_a_long_inbox(aws: None) -> None:
    deliver(*(copy(position) for position in range(1, 201)))

    assert inbox.get_item(ROSA, "m1", LATER).copy == copy(1)


# --- marks ------------------------------------------------------------------------------------------------------------


def test_the_first_time_a_message_was_read_stays(aws: None) -> None:
    deliver(copy(1))
    inbox.mark_read(ROSA, "m1", LATER)

    again = inbox.mark_read(ROSA, "m1", LATER + timedelta(hours=1))
    inbox.mark_all_read(ROSA, LATER, LATER + timedelta(hours=2))

    assert again.read_at == LATER
    assert inbox.get_item(ROSA, "m1", LATER).read_at == LATER


def test_all_up_to_a_moment_are_marked_and_later_ones_are_not(aws: None) -> None:
    deliver(*(copy(position) for position in range(1, 251)))
    inbox.mark_read(ROSA, "m3", LATER)

    marked = inbox.mark_all_read(ROSA, NOW + timedelta(minutes=200), LATER)

    assert (marked, unread()) == (199, 50)
    assert inbox.mark_all_read(ROSA, NOW + timedelta(minutes=200), LATER) == 0


def test_a_message_that_arrives_late_with_an_earlier_moment_is_unread(aws: None) -> None:
    deliver(copy(5))
    inbox.mark_all_read(ROSA, LATER, LATER)

    deliver(copy(2))

    assert ids(unread_only=True) == ["m2"]


def test_a_moment_to_come_is_refused_and_one_long_past_marks_nothing(aws: None) -> None:
    deliver(copy(1))
    ends_of_time = [datetime.max.replace(tzinfo=UTC), datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))]
    for until in (LATER + timedelta(minutes=6), *ends_of_time):
        with pytest.raises(InvalidRequest) as refused:
            inbox.mark_all_read(ROSA, until, LATER)
        assert [(one.field, one.code) for one in refused.value.fields] == [("/until", "in_the_future")]

    assert inbox.mark_all_read(ROSA, datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), LATER) == 0
    assert unread() == 1


def test_a_message_put_away_is_gone_for_its_reader_only(aws: None) -> None:
    deliver(copy(1), copy(2), copy(1, person="g00002"))

    inbox.hide(ROSA, "m1", LATER)
    inbox.hide(ROSA, "m1", LATER)  # its answer was lost

    assert (ids(), unread()) == (["m2"], 1)
    assert (ids(LUIS), unread(LUIS)) == (["m1"], 1)
    with pytest.raises(NotFound):
        inbox.get_item(ROSA, "m1", LATER)
    with pytest.raises(NotFound):
        inbox.mark_read(ROSA, "m1", LATER)


def test_a_message_read_and_put_away_is_counted_out_once(aws: None) -> None:
    deliver(copy(1), copy(2), copy(3))

    inbox.mark_read(ROSA, "m1", LATER)
    inbox.hide(ROSA, "m1", LATER)

    assert unread() == 2


@pytest.mark.parametrize("fault", ["lost", "applied"])
def test_marks_whose_answer_is_lost_are_made_once(aws: None, fault: Any) -> None:
    deliver(copy(1), copy(2), copy(3))
    with faults("TransactWriteItems", fault):
        inbox.mark_read(ROSA, "m1", LATER)
    with faults("UpdateItem", fault):
        inbox.hide(ROSA, "m2", LATER)

    assert (ids(), unread()) == (["m3", "m1"], 1)


def test_the_count_stops_at_a_hundred_and_says_so(aws: None) -> None:
    deliver(*(copy(position) for position in range(1, 102)))

    assert inbox.count_unread(ROSA, LATER) == inbox.Unread(100, is_capped=True)
    inbox.mark_read(ROSA, "m7", LATER)
    assert inbox.count_unread(ROSA, LATER) == inbox.Unread(100, is_capped=False)
    inbox.mark_read(ROSA, "m8", LATER)
    assert inbox.count_unread(ROSA, LATER) == inbox.Unread(99, is_capped=False)


def test_a_count_over_many_pages_of_dynamodbs_is_whole(aws: None) -> None:
    deliver(*(copy(position, text="x" * 40_000) for position in range(1, 61)))  # 2.4 MB; a query reads 1 MB at a time
    inbox.mark_all_read(ROSA, NOW + timedelta(minutes=10), LATER)

    assert unread() == 50


def test_what_is_past_its_time_is_neither_shown_nor_counted_though_its_row_is_still_there(aws: None) -> None:
    deliver(copy(1), copy(2), copy(60 * 24))
    inbox.mark_read(ROSA, "m2", LATER)
    end = NOW + timedelta(days=SETTINGS.inbox_retention_days, minutes=1)

    assert (ids(now=end - timedelta(seconds=1)), unread(now=end - timedelta(seconds=1))) == (["m1440", "m2", "m1"], 2)
    assert (ids(now=end), unread(now=end)) == (["m1440", "m2"], 1)
    assert (ids(now=end + timedelta(minutes=1)), unread(now=end + timedelta(minutes=1))) == (["m1440"], 1)
    with pytest.raises(NotFound):
        inbox.get_item(ROSA, "m1", end)
    with pytest.raises(NotFound):
        inbox.hide(ROSA, "m1", end)
    deliver(copy(1))  # a job that comes back late makes nothing new

    assert ids(now=end) == ["m1440", "m2"]


# --- whose inbox ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OPERATOR])
def test_everybody_of_a_school_reads_their_own_inbox_and_no_other(aws: None, role: Role) -> None:
    deliver(copy(1, person="own"), copy(2, person="other"))
    caller = Caller(SCHOOL, role, "u", "own")

    assert ids(caller) == ["m1"]
    for ask in (inbox.get_item, inbox.mark_read, inbox.hide):
        with pytest.raises(NotFound):
            ask(caller, "m2", LATER)


def asks(caller: Caller) -> list[Any]:
    return [
        lambda: inbox.list_inbox(caller, LATER, limit=20, before=None, unread_only=False),
        lambda: inbox.count_unread(caller, LATER),
        lambda: inbox.get_item(caller, "m1", LATER),
        lambda: inbox.mark_read(caller, "m1", LATER),
        lambda: inbox.mark_all_read(caller, LATER, LATER),
        lambda: inbox.hide(caller, "m1", LATER),
    ]


@pytest.mark.parametrize("person", [None, "", "g00001#x", "g" * 65, "ñ"])
def test_a_token_that_names_nobody_opens_no_inbox(aws: None, person: str | None) -> None:
    for ask in asks(replace(worlds.DIRECTOR, person_id=person)):
        with pytest.raises(NobodysInbox):
            ask()


def test_the_platforms_staff_read_nobodys_inbox(aws: None) -> None:
    for ask in asks(Caller(SCHOOL, Role.OPERATOR, "op", "g00001")):
        with pytest.raises(NotAllowed):
            ask()


def test_the_same_person_id_in_another_school_is_somebody_else(aws: None) -> None:
    deliver(copy(1))
    stranger = replace(ROSA, school_id="otra")

    assert (ids(stranger), unread(stranger)) == ([], 0)
    for ask in (inbox.get_item, inbox.mark_read, inbox.hide):
        with pytest.raises(NotFound):
            ask(stranger, "m1", LATER)


def test_an_id_that_is_the_beginning_of_another_shares_nothing_with_it(aws: None) -> None:
    deliver(copy(1, person="g0000"), copy(2, person="g00001"))

    assert ids() == ["m2"]
