"""The message centre when everything goes wrong (L4): workers die, come twice and together, answers are lost.

Held against what was sent and what readers were told, by the raw rows: one copy each, never changed; no mark ever lost.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import combinations
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from recado import inbox
from recado.access import Caller
from recado.rules.message_states import Category
from recado.rules.roles import Role
from recado.settings import SETTINGS
from recado.tables.inbox import InboxCopy
from tests.simulation import small_day
from tests.simulation.baton import Actor, End, Killed
from tests.simulation.small_day import SmallDay
from tests.simulation.wires import Aws, MemoryAws, memory_aws
from tests.worlds import NOON, SCHOOL

SEEDS = int(os.environ.get("RECADO_SEEDS", "80"))
ONLY = os.environ.get("RECADO_SEED")
STEPS_MAX = 20_000
PEOPLE = [f"p{number:02}" for number in range(60)]
READERS = PEOPLE[::20]
BATCH = "BatchWriteItem"

type Copies = Sequence[InboxCopy]


@pytest.fixture(scope="module")
def memory() -> Iterator[MemoryAws]:
    with memory_aws() as found:
        yield found


def page_of(message: int, people: Sequence[str]) -> list[InboxCopy]:
    """A message's copies; some messages share their moment."""
    at = NOON + timedelta(minutes=message // 2)
    return [InboxCopy(one, f"m{message}", Category.NOTICE, f"{one}: {message}", at) for one in people]


def reader(person: str) -> Caller:
    return Caller(SCHOOL, Role.GUARDIAN, "u", person)


class Rows:
    """What lies in the table, read past the wire: each kind of row by (person, message)."""

    def __init__(self, aws: Aws) -> None:
        self.copies: dict[tuple[str, str], Any] = {}
        self.marks: dict[tuple[str, str], Any] = {}
        for (pk, sk), row in aws.rows(SETTINGS.people_table).items():
            kind, _, message = sk.split("#")
            found = {"C": self.copies, "R": self.marks}[kind]
            key = (pk.rpartition("#")[2], message)
            assert key not in found, f"{key} twice"
            found[key] = row

    def unread(self, person: str) -> int:
        return sum(1 for key in self.copies if key[0] == person and key not in self.marks)


# --- one by one: a death after each request, and two workers at once --------------------------------------------------


class Deadly:
    """Kills whoever makes the n-th attempt: before it is sent, or after it was applied."""

    def __init__(self, left: int, *, is_applied: bool) -> None:
        self.left = left
        self.is_applied = is_applied

    def before(self, *_: Any) -> None:
        self._die(is_over=not self.is_applied)

    def after(self, *_: Any) -> None:
        self._die(is_over=self.is_applied)

    def _die(self, *, is_over: bool) -> None:
        self.left -= is_over
        if is_over and self.left < 0:
            raise Killed


@pytest.mark.parametrize("is_applied", [False, True])
@pytest.mark.parametrize("batch", range(3))
def test_a_worker_that_dies_at_a_batch_is_followed_by_one_that_completes_the_delivery(
    batch: int, is_applied: bool, memory: MemoryAws
) -> None:
    page, first = page_of(1, PEOPLE), PEOPLE[0]
    memory.clear()
    memory.gate = Deadly(batch, is_applied=is_applied)
    with pytest.raises(Killed):
        inbox.deliver_copies(SCHOOL, page)
    memory.gate = None
    written = len(Rows(memory).copies)
    assert written == 25 * (batch + is_applied) - (15 if batch + is_applied == 3 else 0)
    if written:
        inbox.mark_read(reader(first), "m1", NOON + timedelta(hours=1))
    before = Rows(memory)

    inbox.deliver_copies(SCHOOL, page)

    after = Rows(memory)
    assert set(after.copies) == {(person, "m1") for person in PEOPLE}
    assert before.copies.items() <= after.copies.items()
    assert after.marks == before.marks
    assert inbox.count_unread(reader(first), NOON + timedelta(hours=2)).count == (0 if written else 1)


class Paused:
    """Whoever calls gives the baton back after each of their requests."""

    def __init__(self) -> None:
        self.actor: Actor | None = None

    def before(self, *_: Any) -> None: ...

    def after(self, *_: Any) -> None:
        if self.actor is not None:
            self.actor.pause()

    def go_on(self, actor: Actor) -> None:
        self.actor = actor
        actor.resume()
        self.actor = None


def test_two_workers_at_once_leave_one_copy_each_and_every_mark_however_they_meet(memory: MemoryAws) -> None:
    page, first = page_of(1, PEOPLE), PEOPLE[0]
    for turns in combinations(range(6), 3):  # which of the six requests are the one worker's
        for read_after in range(1, 7):
            memory.clear()
            memory.gate = gate = Paused()
            workers = [Actor(name, 0, lambda: inbox.deliver_copies(SCHOOL, page)) for name in ("one", "other")]
            for turn in range(6):
                gate.go_on(workers[turn in turns])
                if turn + 1 == read_after:
                    inbox.mark_read(reader(first), "m1", NOON + timedelta(hours=1))
            for worker in workers:
                gate.go_on(worker)

            assert [worker.end for worker in workers] == [End.DONE, End.DONE]
            rows = Rows(memory)
            assert set(rows.copies) == {(person, "m1") for person in PEOPLE}
            assert set(rows.marks) == {(first, "m1")}
    memory.gate = None


# --- by chance --------------------------------------------------------------------------------------------------------


class Day(SmallDay):
    """Some messages to sixty people, three of whom read; jobs until each was done once, and some more."""

    lost, dies, request_takes = 0.04, 0.03, timedelta(milliseconds=20)

    def __init__(self, seed: int, aws: Aws) -> None:
        super().__init__(seed, aws, NOON + timedelta(hours=1))
        self.pages = list(self._make_pages())
        self.sent = {(copy.person_id, copy.message_id): copy for page in self.pages for copy in page}
        self.seen = Rows(aws)
        # What somebody was told, and since when.
        self.delivered: set[tuple[str, str]] = set()
        self.is_read: dict[tuple[str, str], datetime] = {}
        self.may_be_hidden: set[tuple[str, str]] = set()
        self.is_hidden: set[tuple[str, str]] = set()

    def _make_pages(self) -> Iterator[list[InboxCopy]]:
        for message in range(self.random.randrange(2, 9)):
            others = self.random.sample(PEOPLE, self.random.randrange(len(PEOPLE)))
            yield page_of(message, sorted({*READERS, *others}))

    # --- the weather ---

    def before(self, operation: str, asked: Mapping[str, Any]) -> None:
        self.breathe(operation)
        if operation == BATCH and self.is_on(0.05):
            self._apply_a_part(asked)
        self.lose_request()

    def _apply_a_part(self, asked: Mapping[str, Any]) -> None:
        """A batch is no transaction: some of its rows may be written by a request that fails."""
        if isinstance(self.aws, MemoryAws):
            ((table, requests),) = asked["RequestItems"].items()
            part = self.random.sample(requests, self.random.randrange(len(requests) + 1))
            self.aws.dynamodb.apply(BATCH, {"RequestItems": {table: part}})
        raise ReadTimeoutError(endpoint_url="simulated")

    # --- what must hold at every step ---

    def look(self) -> None:
        rows = Rows(self.aws)
        for key, row in rows.copies.items():
            if row["text"]["S"] != self.sent[key].text or self.seen.copies.get(key, row) != row:
                self.violation = f"the copy {key} changed"
        for key, row in rows.marks.items():
            before = self.seen.marks.get(key, {})
            if any(row.get(name) != before[name] for name in ("read_at", "hidden_at") if name in before):
                self.violation = f"the mark {key} changed"
            if key not in rows.copies:
                self.violation = f"the mark {key} is of nothing"
        if self.seen.copies.keys() - rows.copies or self.seen.marks.keys() - rows.marks:
            self.violation = "a row is gone"
        self.seen = rows

    # --- who acts ---

    def deliver(self, page: Copies) -> None:
        inbox.deliver_copies(SCHOOL, page)
        self.delivered |= {(copy.person_id, copy.message_id) for copy in page}

    def read_list(self, person: str, *, unread_only: bool) -> None:
        owed = {key for key in self.delivered - self.may_be_hidden if key[0] == person}
        if unread_only:
            owed -= self.seen.marks.keys()
        known, gone = dict(self.is_read), set(self.is_hidden)
        listed: list[inbox.Item] = []
        before = None
        while True:
            items, before = inbox.list_inbox(
                reader(person), self.now, limit=self.random.randrange(1, 5), before=before, unread_only=unread_only
            )
            listed += items
            if before is None:
                break
        keys = [(person, item.copy.message_id) for item in listed]
        if unread_only:  # marked, or put away, while it was read: then either is right
            owed -= self.seen.marks.keys()
        owed -= self.may_be_hidden
        places = [(item.copy.at, item.copy.message_id) for item in listed]
        assert max(Counter(keys).values(), default=1) == 1, "listed twice"
        assert places == sorted(places, reverse=True), "not in order"
        assert owed <= set(keys), "something is missing"
        assert not gone & set(keys), "put away, and shown"
        for key, item in zip(keys, listed, strict=True):
            assert item.copy == self.sent[key], "another text"
            assert key not in known or (item.read_at == known[key] and not unread_only), "read, and unread again"

    def mark(self, key: tuple[str, str]) -> None:
        item = inbox.mark_read(reader(key[0]), key[1], self.now)
        assert item.read_at is not None
        self.is_read.setdefault(key, self._read_at(key))

    def mark_all(self, person: str) -> None:
        there = {key for key in self.delivered - self.may_be_hidden if key[0] == person}
        inbox.mark_all_read(reader(person), self.now, self.now)
        for key in there - self.may_be_hidden:
            self.is_read.setdefault(key, self._read_at(key))

    def hide(self, key: tuple[str, str]) -> None:
        self.may_be_hidden.add(key)
        inbox.hide(reader(key[0]), key[1], self.now)
        self.is_hidden.add(key)

    def _read_at(self, key: tuple[str, str]) -> datetime:
        return datetime.strptime(Rows(self.aws).marks[key]["read_at"]["S"], "%Y-%m-%dT%H:%M:%S.%f%z")

    def reading(self) -> Callable[[], None]:
        person = self.random.choice(READERS)
        mine = sorted(key for key in self.delivered - self.may_be_hidden if key[0] == person)
        if mine and self.chance(0.5):
            act, key = self.random.choice((self.mark, self.mark, self.hide)), self.random.choice(mine)
            return partial(act, key)
        if self.chance(0.2):
            return partial(self.mark_all, person)
        return partial(self.read_list, person, unread_only=self.chance(0.5))

    # --- the day ---

    def play(self) -> None:
        owed: list[Copies] = [page for page in self.pages for _ in range(self.random.choice((1, 1, 2)))]
        self.random.shuffle(owed)
        working: list[tuple[Actor, Copies | None]] = []
        readings = 30
        while owed or working or readings:
            assert self.step < STEPS_MAX, "it does not end"
            if owed and (not working or self.chance(0.1)):
                page = owed.pop()
                working.append((self.actor(f"delivery of {page[0].message_id}", partial(self.deliver, page)), page))
            elif readings and (not working or self.chance(0.15)):
                readings -= 1
                working.append((self.actor(f"reading {readings}", self.reading()), None))
            actor, page_worked = self.random.choice(working)
            self.let(actor)
            if actor.end is None:
                continue
            working.remove((actor, page_worked))
            self.note(f"{actor.name}: {actor.end}")
            if actor.end is not End.DONE and page_worked is not None:
                owed.append(page_worked)  # the queue brings it again
            if isinstance(actor.error, AssertionError | KeyError):
                raise actor.error
        self._end()

    def _end(self) -> None:
        rows = Rows(self.aws)
        assert rows.copies.keys() == self.sent.keys(), "not exactly one copy each"
        assert self.is_read.keys() | self.is_hidden <= rows.marks.keys(), "a mark was lost"
        self.is_calm = True
        for person in READERS:
            assert inbox.count_unread(reader(person), self.now).count == rows.unread(person), "the count has drifted"
            self.read_list(person, unread_only=True)
            self.read_list(person, unread_only=False)


def play(seed: int, aws: Aws) -> None:
    aws.clear()
    small_day.play(Day(seed, aws), seed, "tests/simulation/test_inbox.py")


@pytest.mark.parametrize("seed", [int(ONLY)] if ONLY else range(SEEDS))
def test_a_day_of_the_message_centre_in_bad_weather_breaks_no_promise(seed: int, memory: MemoryAws) -> None:
    play(seed, memory)
