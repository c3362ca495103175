"""Invariants 3 and 4: nobody is handed over as two texts, nobody who opted out is spoken to, no outcome is invented.

Follows every letter of every page, write by write, against what the carrier heard and answered, what lies in the
message centre, and by whose claim. It reads the raw rows and knows the letters from protocols.md alone.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from recado.carriers.speech import Accepted, Answer, Outgoing, Refused, RefusedBecause, Unknown
from tests.simulation.baton import Actor
from tests.simulation.facts import Asked, Facts, Speech, Violation, Wording
from tests.simulation.memory_dynamodb import Item, Key
from tests.simulation.wires import Aws

SKEW = timedelta(seconds=1)  # clocks of two workers differ by less
OVERDUE = timedelta(minutes=10)
FINAL = frozenset("SWBUorxni")
CAPTURED = frozenset("SWU")
GIVEN_UP = frozenset("rxn")
RECEIPTS = ("delivered", "unreachable", "wrong_number", "blocked")
ON_ITS_WAY = ("sending", "stopping", "sent", "stopped")
HOLDING = ("scheduled", "sending")
REFUSALS = ("not_enough_credits", "nobody_to_reach", "contract_suspended")
MAY_CHANGE = ("draft", "scheduled")  # what is said, and to whom
MOVES = {
    ("", "draft"),
    ("", "planning"),
    ("draft", "draft"),
    ("draft", "planning"),
    ("planning", "draft"),
    ("planning", "scheduled"),
    ("planning", "sending"),
    ("planning", "cancelled"),
    ("scheduled", "scheduled"),
    ("", "scheduled"),
    ("", "sending"),
    ("draft", "scheduled"),
    ("draft", "sending"),
    ("scheduled", "sending"),
    ("scheduled", "cancelled"),
    ("sending", "stopping"),
    ("sending", "sent"),
    ("stopping", "stopped"),
}


@dataclass(frozen=True)
class Recipient:
    number: str
    people: tuple[str, ...]
    zone: str
    segments: int


@dataclass
class Claim:
    """Who may speak to a recipient, since when and until when."""

    step: int
    at: datetime
    until: datetime
    actor: Actor
    owner: str
    carrier: str
    is_again: bool


@dataclass
class Seen:
    """A page as its last write left it. A recipient's claim stays known after it ended."""

    school: str
    message: str
    plan: str
    number: int
    version: int
    letters: str
    recipients: tuple[Recipient, ...]
    readers: tuple[str, ...]  # of a page of copies: who gets one
    claims: dict[int, Claim] = field(default_factory=dict)
    claimed_for: set[tuple[int, str]] = field(default_factory=set)  # index and carrier, unless that gave it back
    reported: set[tuple[str, str]] = field(default_factory=set)  # state and member of its receipts


@dataclass
class PageWatch:
    aws: Aws
    facts: Facts
    table: str
    people_table: str
    dedupe_of: Callable[[str], timedelta]  # by carrier
    now: Callable[[], datetime]
    step: Callable[[], int]
    pages: dict[str, Seen] = field(default_factory=dict)  # by partition key
    states: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)  # message → state and plan
    rows: dict[tuple[str, str], Item] = field(default_factory=dict)  # message → its row before
    texts: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # message → what it said, one after the other
    said: dict[tuple[str, str, str], Wording] = field(default_factory=dict)  # plan → what it says
    begun: dict[str, int] = field(default_factory=dict)  # plan made in the background → since which step
    copies: dict[tuple[str, str, str], str] = field(default_factory=dict)  # school, message, person → its key
    heard: dict[tuple[str, str], list[Speech]] = field(default_factory=dict)  # by message and number

    # --- rows -------------------------------------------------------------------------------------------------

    def saw(self, keys: list[Key], actor: Actor) -> None:
        """After a write: the rows with these keys may have changed, all at once."""
        for key in keys:
            if key[1] == "state":
                self._saw_state(key, actor)
            elif key[1] == "manifest":
                self._saw_manifest(key)
            elif key[1] == "receipts":
                self._saw_receipts(key)
            elif key[1] == "planning" and (row := self.aws.row(self.table, key)) is not None:
                self.begun.setdefault(row["plan"]["S"], self.step())
        for key in keys:
            if key[1] == "message":
                self._saw_message(key, actor)

    def _saw_message(self, key: Key, actor: Actor) -> None:
        row = self.aws.row(self.table, key)
        if row is None:
            return
        _, school, _, message = key[0].split("#")
        asked, now, row_before = self.asked_of(row), self.now(), self.rows.get((school, message))
        before, plan_before = self.states.get((school, message), ("", ""))
        after, plan = row["state"]["S"], row.get("plan", {}).get("S", "")
        self.states[school, message], self.rows[school, message] = (after, plan), row
        self._check_words(asked, row_before, row, school, message)
        self._check_time(asked, row_before, row, actor)
        if (before, plan_before) == (after, plan):
            return
        if (before, after) not in MOVES or (plan != plan_before and before in ON_ITS_WAY):
            raise Violation(f"{asked.key} went from {before} {plan_before} to {after} {plan}")
        if after == "planning":
            asked.ordered_at = now
        if after in HOLDING:
            if asked.accepted_at is None:
                asked.accepted_at, asked.accepted_step = now, self.step()
            if plan != plan_before:
                self.said[school, message, plan] = self.facts.wordings[row["text"]["S"]]
                is_due = (before, after) == ("scheduled", "sending")
                self._check_plan(school, message, plan, asked, actor, may_be_empty=is_due)
            # A hold is refused by the account itself; what is due looks at the school, some calls before.
            is_paid = bool(json.loads(row["held"]["S"]))
            since = actor.began if before == "scheduled" else self.step()
            if before != after and is_paid and self.facts.is_surely_suspended(school, since):
                raise Violation(f"{asked.key} is {after} although the contract is suspended")
        self._check_reason(asked, before, after, row_before, row, actor)
        if after in ("sent", "stopped") and set(self.letters_of(school, message, plan)) - FINAL:
            raise Violation(f"{asked.key} has ended with pages open")

    def _check_words(self, asked: Asked, before: Item | None, row: Item, school: str, message: str) -> None:
        """It says something else only by an edit, which stays; and a plan that is held never does."""
        text, known = row["text"]["S"], self.texts.setdefault((school, message), [])
        if before is not None and text != before["text"]["S"]:
            is_edit = before["state"]["S"] == row["state"]["S"] and row["state"]["S"] in MAY_CHANGE
            if not is_edit or text in known:
                raise Violation(f"{asked.key} said {before['text']['S']} and says {text} again")
            if "plan" in row and row["plan"] == before.get("plan"):
                raise Violation(f"{asked.key} says something else under the same plan")
        if text not in known:
            known.append(text)

    def _check_time(self, asked: Asked, before: Item | None, row: Item, actor: Actor) -> None:
        """Its time is one that somebody asked for, and moves only while it waits."""
        found = datetime.fromisoformat(row["send_at"]["S"]) if "send_at" in row else None
        state, state_before = row["state"]["S"], before["state"]["S"] if before is not None else ""
        if found != asked.send_at and state_before not in ("", "draft", "planning"):
            if (state_before, state) != ("scheduled", "scheduled"):
                raise Violation(f"{asked.key} is {state} and was to go out at {asked.send_at}, not {found}")
            if actor not in asked.movers or asked.movers[actor] not in (None, found):
                raise Violation(f"{asked.key} is moved to {found} by {actor.name}")
        is_hurried = (
            found is not None and asked.hurried_at is not None and asked.hurried_at - SKEW <= found <= self.now() + SKEW
        )
        if found is not None and found not in asked.times and not is_hurried:
            raise Violation(f"{asked.key} is to go out at {found}, which nobody asked for")
        asked.send_at = found

    def _check_reason(
        self, asked: Asked, before: str, after: str, row_before: Item | None, row: Item, actor: Actor
    ) -> None:
        """It moved because somebody asked for it, or because its time had come."""
        now = self.now()
        due_at = datetime.fromisoformat(row_before["send_at"]["S"]) if row_before and "send_at" in row_before else None
        if (before, after) == ("scheduled", "sending") and (due_at is None or now + SKEW < due_at):
            raise Violation(f"{asked.key} goes out too early")
        if before == "draft" and after != "draft" and actor.name.split(".")[0] in ("planner", "attention", "worker"):
            raise Violation(f"nobody pressed send on {asked.key}: {actor.name}")
        if (before, after) == ("planning", "draft"):
            asked.is_refused = True
            if json.loads(row["refusal"]["S"])["code"] not in REFUSALS:
                raise Violation(f"{asked.key} is refused: {row['refusal']['S']}")
        if after == "stopping" and asked.stop is None:
            raise Violation(f"nobody stopped {asked.key}")
        if after == "cancelled" and asked.cancel is None and now + SKEW < asked.gives_up_from:
            raise Violation(f"nobody cancelled {asked.key}")

    def _check_plan(
        self, school: str, message: str, plan: str, asked: Asked, actor: Actor, *, may_be_empty: bool
    ) -> None:
        """Exactly those are in it who may and must be (L8, L11, L13), with the price of their own text."""
        said, began = self.said[school, message, plan], self.begun.get(plan, actor.began)
        found = [one for page in self._pages_of(school, message, plan) for one in page.recipients]
        readers = [one for page in self._pages_of(school, message, plan) for one in page.readers]
        numbers = [one.number for one in found]
        is_empty = not (found or readers or may_be_empty)
        if is_empty or len(set(numbers)) != len(numbers) or len(set(readers)) != len(readers):
            raise Violation(f"{asked.key}: a plan of {numbers} and copies for {readers}")
        for one in found:
            self._check_recipient(school, asked, said, one, began)
        if found and "sms" not in said.channels:
            raise Violation(f"{asked.key} is for the message centre and has texts")
        there = {
            person_id: person
            for (own, person_id), (person, span) in self.facts.people.items()
            if own == school and span.acked is not None and span.acked < began
            if said.people is None or person_id in said.people
        }
        for person_id, person in there.items():
            if person.number is None or person.number in numbers or "sms" not in said.channels:
                continue
            is_out = self.facts.may_be_out(school, person.number, [person_id], self.step())
            if not is_out and zone_of(person.number) == "domestic":
                raise Violation(f"{asked.key}: {person_id} is left out")
        self._check_readers(school, asked, said, readers, {one for text in found for one in text.people}, set(there))

    def _check_recipient(self, school: str, asked: Asked, said: Wording, one: Recipient, began: int) -> None:
        if one.segments != said.segments(self.facts.names(school, one.people)) or one.zone != zone_of(one.number):
            raise Violation(f"{asked.key}: {one} is priced wrongly")
        for person_id in one.people:
            person, _ = self.facts.people[school, person_id]
            if person.number != one.number or (said.people is not None and person_id not in said.people):
                raise Violation(f"{asked.key}: {person_id} is not of its audience, or not on {one.number}")
        if self.facts.is_surely_out(school, one.number, one.people, began):
            raise Violation(f"{asked.key}: {one.number} opted out and is planned")

    def _check_readers(
        self, school: str, asked: Asked, said: Wording, readers: list[str], texted: set[str], there: set[str]
    ) -> None:
        """L4: everybody gets a copy, or whom no text reaches, or nobody."""
        for person_id in readers:
            is_meant = said.people is None or person_id in said.people
            if (school, person_id) not in self.facts.people or not is_meant:
                raise Violation(f"{asked.key}: a copy for {person_id}, who is not of its audience")
        if "inbox" in said.channels:
            must, must_not = there, set[str]()
        else:
            must, must_not = (there - texted, texted) if said.for_unreachable else (set[str](), set(readers))
        if must - set(readers) or must_not & set(readers):
            raise Violation(f"{asked.key}: copies for {readers}, must: {must}, must not: {must_not}")

    def _saw_manifest(self, key: Key) -> None:
        """Whom a page is of never changes."""
        seen, row = self.pages.get(key[0]), self.aws.row(self.table, key)
        if seen is not None and row is not None and (seen.recipients, seen.readers) != _people_of(row):
            raise Violation(f"{key[0]} is of other people now")

    def _saw_state(self, key: Key, actor: Actor) -> None:
        row = self.aws.row(self.table, key)
        if row is None:
            return
        seen = self.pages.get(key[0])
        if seen is None:
            self.pages[key[0]] = self._new_page(key, row)
            return
        version, letters = int(row["version"]["N"]), row["letters"]["S"]
        if version == seen.version:
            if letters != seen.letters:
                raise Violation(f"{key[0]}: letters changed under version {version}")
            return
        if version != seen.version + 1 or len(letters) != len(seen.letters):
            raise Violation(f"{key[0]}: version {seen.version} {seen.letters} became {version} {letters}")
        asked = self._asked_for(seen)
        for index, (before, after) in enumerate(zip(seen.letters, letters, strict=True)):
            allowed = self._may_become(key[0], seen, asked, index, before, actor)
            if after not in allowed:
                who = (seen.recipients or seen.readers)[index]
                raise Violation(
                    f"{asked.key} {key[0]}: {before} of {index} ({who}) became {after}, "
                    f"by {actor.name}; allowed was {''.join(sorted(allowed))}"
                )
            if (before, after) == ("C", "P") and not seen.claims[index].is_again:
                seen.claimed_for.discard((index, seen.claims[index].carrier))
        self._note_claims(seen, letters, row, actor)
        seen.version, seen.letters = version, letters

    def _saw_receipts(self, key: Key) -> None:
        """Nothing is added of a text but what a carrier said for which it was claimed, and which has not refused it."""
        row, seen = self.aws.row(self.table, key), self.pages.get(key[0])
        if row is None or seen is None:
            return
        found = {(state, member) for state in RECEIPTS if state in row for member in row[state]["NS"]}
        for state, member in found - seen.reported:
            index = int(member) // 16
            said_by = {one[2] for one in self.facts.reports if (one[0], one[1], one[3]) == (key[0], index, state)}
            if not any((index, carrier) in seen.claimed_for for carrier in said_by):
                raise Violation(f"{key[0]}: {index} is {state}, by {said_by}, and is {seen.claimed_for}'s")
        seen.reported = found

    def stays_with_its_carrier(self, page: str) -> bool:
        """Whether nobody else is asked to take what a carrier may have taken."""
        return not self._asked_for(self.pages[page]).is_emergency

    def check_receipt(self, place: tuple[str, int], state: str) -> None:
        """A carrier's own receipt that was taken is kept."""
        row = self.aws.row(self.table, (place[0], "receipts"))
        if row is not None and str(place[1] * 16) not in row.get(state, {}).get("NS", []):
            raise Violation(f"{place[0]}: {state} of {place[1]} was taken and is lost")

    def _new_page(self, key: Key, row: Item) -> Seen:
        _, school, _, message, plan, number = key[0].split("#")
        manifest = self.aws.row(self.table, (key[0], "manifest"))
        if manifest is None:
            raise Violation(f"{key[0]} has a state and no manifest")
        recipients, readers = _people_of(manifest)
        if row["letters"]["S"] != "P" * len(recipients or readers):
            raise Violation(f"{key[0]} begins as {row['letters']['S']}")
        version = int(row["version"]["N"])
        return Seen(school, message, plan, int(number), version, row["letters"]["S"], recipients, readers)

    def _note_claims(self, seen: Seen, letters: str, row: Item, actor: Actor) -> None:
        for index in (place for place, letter in enumerate(letters) if letter == "C"):
            old = seen.claims.get(index)
            seen.claimed_for.add((index, row.get("carrier", {}).get("S", "")))
            owner = row["owner"]["S"]
            if old is not None and seen.letters[index] == "C" and old.owner == owner:
                continue  # left claimed by whoever claimed it: nothing new
            until = datetime.fromisoformat(row["wave_until"]["S"])
            if until > self.now() + timedelta(seconds=30) + SKEW:
                raise Violation(f"{seen.message}: a lease until {until}")
            is_again = seen.letters[index] == "C"
            seen.claims[index] = Claim(
                self.step(), self.now(), until, actor, owner, row.get("carrier", {}).get("S", ""), is_again
            )

    def check_done(self, actor: Actor) -> None:
        """A worker that ended well has left no wave of its own open, unless it is to be asked again."""
        for seen in self.pages.values():
            for index, claim in seen.claims.items():
                is_left = seen.letters[index] == "C" and claim.actor is actor and not self.dedupe_of(claim.carrier)
                if seen.readers and claim.is_again:
                    continue  # perhaps put by whoever died before: left to be put again
                if is_left and not self._asked_for(seen).is_emergency:
                    raise Violation(f"{seen.message}: {actor.name} went away and left {index} claimed")

    # --- what a letter may become -----------------------------------------------------------------------------

    def _may_become(self, page: str, seen: Seen, asked: Asked, index: int, before: str, actor: Actor) -> set[str]:
        if before in FINAL:
            return {before}
        if before == "P":
            return {"P", "C"} | self._given_up(asked)
        claim = seen.claims[index]
        if claim.actor is actor and seen.readers:
            return self._own_copy(seen, asked, index, claim)
        if claim.actor is actor:
            return self._own_outcome(page, seen, asked, index, claim)
        # Somebody else's claim: only once its lease is over.
        if self.now() + SKEW < claim.until:
            raise Violation(f"{asked.key} {page}: {actor.name} writes over the open wave of {claim.actor.name}")
        if seen.readers:
            return {"C"} | ({"U"} if self._given_up(asked) else set[str]())
        receipts = self.facts.receipts.get((page, index), [])
        if any(span.acked is not None and span.acked < actor.began for span in receipts):
            return {"S"}
        again = {"C"} if self.dedupe_of(claim.carrier) or asked.is_emergency else set[str]()
        planned = {"P"} | self._given_up(asked) if asked.is_emergency else set[str]()
        return {"U"} | again | planned | ({"S"} if receipts else set[str]())

    def _own_copy(self, seen: Seen, asked: Asked, index: int, claim: Claim) -> set[str]:
        """It is there, or it is not; only what somebody who died may have put is unknown."""
        is_put = (seen.school, seen.message, seen.readers[index]) in self.copies
        again = {"C"} | ({"U"} if self._given_up(asked) else set[str]()) if claim.is_again else set[str]()
        return again | ({"i"} if is_put else set[str]() if claim.is_again else {"P"} | self._given_up(asked))

    def _given_up(self, asked: Asked) -> set[str]:
        now = self.now() + SKEW
        return (
            ({"r"} if asked.stop is not None else set())
            | ({"x"} if now >= asked.gives_up_from else set())
            | ({"n"} if now >= asked.gives_up_from + OVERDUE else set())
        )

    def _own_outcome(self, page: str, seen: Seen, asked: Asked, index: int, claim: Claim) -> set[str]:
        answers = [
            one for one in self.facts.speeches if (one.page, one.index, one.claimed) == (page, index, claim.step)
        ]
        if answers and answers[-1].answer is not None:
            return self._letters_for(answers[-1].answer, claim)
        recipient = seen.recipients[index]
        is_out = self.facts.may_be_out(seen.school, recipient.number, recipient.people, self.step())
        unspoken = self._given_up(asked) | ({"o"} if is_out else set())
        if claim.is_again:
            return {"U", "C"} if unspoken else {"C"}  # asked once before: nobody may say it was not sent
        return unspoken | {"P"}

    def _letters_for(self, answer: Answer, claim: Claim) -> set[str]:
        match answer:
            case Accepted():
                return {"S"}
            case Unknown():
                return {"C"} if self.dedupe_of(claim.carrier) else {"U"}
            case Refused(RefusedBecause.WRONG_NUMBER, _):
                return {"W"}
            case Refused(RefusedBecause.BLOCKED, _):
                return {"B"}
        return {"C"} if claim.is_again else {"P"}

    # --- what the carrier hears -------------------------------------------------------------------------------

    def check_speech(self, actor: Actor, text: Outgoing, carrier: str) -> tuple[str, int, Claim]:
        """Before the carrier hears a text: may it be spoken at all? The page, the index and the claim it is under."""
        page, index = self._place_of(text)
        seen = self.pages.get(page)
        if seen is None or index >= len(seen.recipients) or seen.recipients[index].number != text.to:
            raise Violation(f"{text.reference} names nobody, or not {text.to}")
        asked, claim = self._asked_for(seen), seen.claims.get(index)
        said, names = self._said_by(seen), self.facts.names(seen.school, seen.recipients[index].people)
        if text.text != said.heard_by(names):
            raise Violation(f"{asked.key}: {names} read {text.text}")
        if claim is None or claim.actor is not actor or seen.letters[index] != "C":
            raise Violation(f"{asked.key} {page}: {actor.name} speaks to {text.to} without a claim: {seen.letters}")
        if self.now() > claim.until + SKEW:
            raise Violation(f"{asked.key} {page}: {actor.name} speaks after its lease")
        if self.states[seen.school, seen.message] not in [(state, seen.plan) for state in ON_ITS_WAY]:
            raise Violation(f"{asked.key} is {self.states[seen.school, seen.message]} and is spoken, plan {seen.plan}")
        self._check_permission(seen, asked, index, claim)
        self._check_once(asked, text, claim, carrier)
        return page, index, claim

    def _check_permission(self, seen: Seen, asked: Asked, index: int, claim: Claim) -> None:
        """Invariant 4, and: nothing claimed after a stop has answered, after its time, or once cancelled."""
        recipient = seen.recipients[index]
        if self.facts.is_surely_out(seen.school, recipient.number, recipient.people, claim.step):
            raise Violation(f"{asked.key}: {recipient.number} opted out before the claim and is spoken to")
        self._check_not_over(asked, claim)

    def _check_not_over(self, asked: Asked, claim: Claim) -> None:
        if asked.stop is not None and asked.stop.acked is not None and asked.stop.acked < claim.step:
            raise Violation(f"{asked.key} was stopped before the claim and is spoken")
        if asked.cancel is not None and asked.cancel.acked is not None:
            raise Violation(f"{asked.key} was cancelled and is spoken")
        if asked.gives_up_until is not None and claim.at > asked.gives_up_until + SKEW:
            raise Violation(f"{asked.key} is spoken after its time")

    def _check_once(self, asked: Asked, text: Outgoing, claim: Claim, carrier: str) -> None:
        """Invariant 3."""
        for before in self.heard.get((asked.key, text.to), ()):
            if isinstance(before.answer, Refused) and before.answer.because in (
                RefusedBecause.FOR_NOW,
                RefusedBecause.ROUTE,
            ):
                continue  # it was not taken, and the worker knows
            if before.reference != text.reference:
                raise Violation(f"{asked.key}: {text.to} is handed over as two texts")
            is_other_claim = before.claimed != claim.step and before.actor is not claim.actor
            is_deduped = bool(self.dedupe_of(carrier)) and before.carrier == carrier
            if not is_other_claim or not (is_deduped or asked.is_emergency):
                raise Violation(f"{asked.key}: {text.to} is handed over twice (answered {before.answer})")

    def note_speech(self, speech: Speech) -> None:
        """After the carrier heard it: a handset shows a text once, an emergency's twice rather than never."""
        asked = self._asked_for(self.pages[speech.page])
        before = self.heard.get((asked.key, speech.number), ())
        if speech.is_fresh and not asked.is_emergency and any(one.is_fresh for one in before):
            raise Violation(f"{asked.key}: {speech.number} shows it twice")
        self.facts.speeches.append(speech)
        self.heard.setdefault((asked.key, speech.number), []).append(speech)

    # --- what lies in the message centre ----------------------------------------------------------------------

    def saw_copies(self, keys: list[Key], actor: Actor) -> None:
        """After a write to People: each copy is one person's of the plan, one of each, put under a claim."""
        for pk, sk in keys:
            if "#I#" not in pk or not sk.startswith("C#"):
                continue
            _, school, _, person = pk.split("#")
            message = sk.split("#")[2]
            state, plan = self.states.get((school, message), ("", ""))
            places = [
                (page, page.readers.index(person))
                for page in self._pages_of(school, message, plan)
                if person in page.readers
            ]
            if state not in ON_ITS_WAY or len(places) != 1:
                raise Violation(f"{message} is {state} and is put into the inbox of {person}")
            ((seen, index),) = places
            asked, claim = self._asked_for(seen), seen.claims.get(index)
            if claim is None or claim.actor is not actor or seen.letters[index] != "C":
                raise Violation(f"{asked.key}: {actor.name} puts a copy without a claim: {seen.letters}")
            if self.now() > claim.until + SKEW:
                raise Violation(f"{asked.key}: {actor.name} puts a copy after its lease")
            self._check_not_over(asked, claim)
            if self.copies.setdefault((school, message, person), sk) != sk:
                raise Violation(f"{asked.key}: {person} has two copies")
            row = self.aws.row(self.people_table, (pk, sk))
            said = self._said_by(seen).heard_by(self.facts.names(school, [person]))
            if row is None or row["text"]["S"] != said:
                raise Violation(f"{asked.key}: {person} reads something else")

    # --- at the end -------------------------------------------------------------------------------------------

    def check_end(self) -> None:
        """When nothing is on its way any more: every outcome is the truth, or `unknown`."""
        for page, seen in self.pages.items():
            state, plan = self.states.get((seen.school, seen.message), ("", ""))
            if state not in ON_ITS_WAY or plan != seen.plan:
                continue
            asked = self._asked_for(seen)
            for index, letter in enumerate(seen.letters if seen.readers else ""):
                is_put = (seen.school, seen.message, seen.readers[index]) in self.copies
                if letter != "U" and is_put is not (letter == "i"):
                    raise Violation(f"{asked.key}: the copy of {seen.readers[index]} ends as {letter}: {is_put}")
            for index, letter in enumerate(seen.letters if seen.recipients else ""):
                speeches = [one for one in self.facts.speeches if (one.page, one.index) == (page, index)]
                self._check_outcome(asked, seen.recipients[index].number, letter, speeches)

    def _check_outcome(self, asked: Asked, number: str, letter: str, speeches: list[Speech]) -> None:
        is_taken = any(one.is_taken for one in speeches)
        verdicts = [one.verdict.because for one in speeches if isinstance(one.verdict, Refused)]
        is_true = {
            "S": is_taken,
            "W": RefusedBecause.WRONG_NUMBER in verdicts,
            "B": RefusedBecause.BLOCKED in verdicts and not is_taken,
            "U": True,
        }.get(letter, letter in FINAL and not is_taken)
        if not is_true:
            raise Violation(f"{asked.key}: {number} ends as {letter}, taken: {is_taken}, refused: {verdicts}")

    def price_of_plan(self, school: str, message: str, plan: str, zone: str) -> int:
        """What a plan costs in a zone, by its manifests and the model's own segments."""
        return sum(
            self._said_by(page).segments(self.facts.names(school, one.people))
            for page in self._pages_of(school, message, plan)
            for one in page.recipients
            if zone_of(one.number) == zone
        )

    def price_of_outcomes(self, school: str, message: str, plan: str, zone: str) -> int:
        """What its letters come to now: S, W and U are captured."""
        return sum(
            self._said_by(page).segments(self.facts.names(school, one.people))
            for page in self._pages_of(school, message, plan)
            for one, letter in zip(page.recipients, page.letters, strict=not page.readers)
            if zone_of(one.number) == zone and letter in CAPTURED
        )

    def letters_of(self, school: str, message: str, plan: str) -> str:
        return "".join(page.letters for page in self._pages_of(school, message, plan))

    def recipients(self) -> dict[tuple[str, int], str]:
        """Of whatever went out, each recipient's letter, by page and index."""
        return {
            (page, index): seen.letters[index]
            for page, seen in self.pages.items()
            if self.states.get((seen.school, seen.message)) in [(state, seen.plan) for state in ON_ITS_WAY]
            for index in range(len(seen.recipients))
        }

    def waiting(self, wave_size: int) -> set[tuple[str, str]]:
        """School and number of those whose turn is next."""
        return {
            (page.school, page.recipients[index].number)
            for page in self.pages.values()
            for index in [place for place, letter in enumerate(page.letters) if letter == "P"][:wave_size]
            if page.recipients
        }

    def asked_of(self, row: Item) -> Asked:
        return self.facts.asked[row["text"]["S"]]

    def _pages_of(self, school: str, message: str, plan: str) -> list[Seen]:
        return [one for one in self.pages.values() if (one.school, one.message, one.plan) == (school, message, plan)]

    def _said_by(self, seen: Seen) -> Wording:
        return self.said[seen.school, seen.message, seen.plan]

    def _asked_for(self, seen: Seen) -> Asked:
        row = self.aws.row(self.table, (f"S#{seen.school}#M#{seen.message}", "message"))
        if row is None:
            raise Violation(f"{seen.message} has pages and no message")
        return self.asked_of(row)

    def _place_of(self, text: Outgoing) -> tuple[str, int]:
        """Where a reference points (protocols: message, page, index)."""
        _, school, message, plan, page, index = text.reference.split(".")
        return f"S#{school}#M#{message}#{plan}#{page}", int(index)


def _people_of(manifest: Item) -> tuple[tuple[Recipient, ...], tuple[str, ...]]:
    """Whom a page is of: texts, or copies."""
    texts = json.loads(manifest["recipients"]["S"]) if "recipients" in manifest else []
    copies = json.loads(manifest["readers"]["S"]) if "readers" in manifest else []
    zones = {"d": "domestic", "i": "international"}
    recipients = tuple(Recipient(one[0], tuple(one[1]), zones[one[2]], one[3]) for one in texts)
    return recipients, tuple(one[0] for one in copies)


def zone_of(number: str) -> str:
    """The simulated schools are Chilean."""
    return "domestic" if number.startswith("+56") else "international"
