"""Who stands by is asked when somebody is in need, and only then: an emergency's texts at once, others when the carrier
before was left, or after many rounds.

It reads the raw rows, hears what each carrier was asked, and knows the figures from carriers_and_routes.md alone.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from recado.carriers.speech import Answer, Outgoing, Refused, RefusedBecause
from tests.simulation.baton import Actor
from tests.simulation.facts import Violation
from tests.simulation.memory_dynamodb import Key
from tests.simulation.page_watch import PageWatch, zone_of
from tests.simulation.wires import Aws

MEMORY = timedelta(seconds=46)  # a claim and a wave after a look at a circuit; a probe's lease
TIME_NEEDED = timedelta(seconds=36)  # for one more wave
ROUNDS = 8


@dataclass
class StandbyWatch:
    aws: Aws
    routes_table: str
    pages: PageWatch
    now: Callable[[], datetime]
    left_at: dict[Key, datetime] = field(default_factory=dict)  # when a circuit was last seen open or half-open
    asked: dict[Actor, dict[tuple[str, int], list[tuple[str, Answer]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    counts: Counter[str] = field(default_factory=Counter)

    def saw(self, keys: Sequence[Key]) -> None:
        for key in keys:
            self._look(key)

    def before(self, texts: Sequence[Outgoing], first: str) -> None:
        """Before the one who stands by is spoken to."""
        for text in texts:
            page, _ = self.pages._place_of(text)
            if self.pages._asked_for(self.pages.pages[page]).is_emergency:
                self.counts["emergency"] += 1
            elif self._was_left(first, text.to):
                self.counts["left"] += 1
            elif self._round_of(page) >= ROUNDS:
                self.counts["many rounds"] += 1
            else:
                raise Violation(f"{text.reference} goes over who stands by, and {first} was never left")

    def after(self, actor: Actor, carrier: str, texts: Sequence[Outgoing], answers: Sequence[Answer]) -> None:
        for text, answer in zip(texts, answers, strict=True):
            self.asked[actor][self.pages._place_of(text)].append((carrier, answer))

    def check_done(self, actor: Actor, owner: str, carriers: Sequence[str], time_left: timedelta) -> None:
        """A worker that ends well has asked everybody who might take an emergency's text, or was kept from it."""
        for (page, index), found in self.asked.pop(actor, {}).items():
            seen = self.pages.pages[page]
            wanted = self.pages._asked_for(seen)
            row = self.aws.row(self.pages.table, (page, "state"))
            if not wanted.is_emergency or len(carriers) < 2 or time_left < TIME_NEEDED or row is None:
                continue
            if wanted.stop is not None or self.now() >= wanted.gives_up_from - TIME_NEEDED:
                continue
            if "C" in seen.letters or row["owner"]["S"] != owner or seen.letters[index] != "P":
                continue
            if not _is_surely_refused(found[-1][1]) or _was_not_started(found[-1][1]):
                continue  # perhaps taken; or its lease left no time to ask
            unasked = {*carriers} - {carrier for carrier, _ in found}
            closed = [one for one in unasked if not self._was_left(one, seen.recipients[index].number)]
            if closed:
                raise Violation(f"{wanted.key}: {page} {index} waits, and {closed} was not asked: {found}")
            self.counts["nobody took it"] += 1

    def _look(self, key: Key) -> None:
        row = self.aws.row(self.routes_table, key) if key[0].startswith("CIRCUITS#") and key[1][:2] == "c#" else None
        if row is not None and row["state"]["S"] != "closed":
            self.left_at[key] = self.now()
        elif key in self.left_at:  # closed by this write: open until now
            self.left_at[key] = max(self.left_at[key], self.now())

    def _was_left(self, carrier: str, number: str) -> bool:
        """Whether texts were kept away from it, now or a moment ago."""
        for key in [one for one in self.aws.rows(self.routes_table) if one[0] == f"CIRCUITS#{carrier}"]:
            row = self.aws.row(self.routes_table, key)
            is_line = key[1].startswith("c#") and (key[1] == "c#CL") is (zone_of(number) == "domestic")
            if row is None or not is_line:
                continue
            if row["state"]["S"] != "closed" or self.now() - self.left_at.get(key, self.now() - 2 * MEMORY) < MEMORY:
                return True
        return False

    def _round_of(self, page: str) -> int:
        row = self.aws.row(self.pages.table, (page, "state"))
        return int(row["job"]["N"]) if row is not None and "job" in row else 1


def _was_not_started(answer: Answer) -> bool:
    return isinstance(answer, Refused) and answer.code == "not_started"


def _is_surely_refused(answer: Answer) -> bool:
    return isinstance(answer, Refused) and answer.because in (RefusedBecause.FOR_NOW, RefusedBecause.ROUTE)
