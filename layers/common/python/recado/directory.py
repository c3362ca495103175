"""A school's people and groups: who they are, who receives SMS, and who an audience is made of.

Must never show one school another's people: the school is the caller's, from the token.
"""

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from recado import events, people_records
from recado.access import Caller
from recado.errors import FieldProblem, InvalidRequest, NotAllowed, NotFound, OptedOutThemselves, StillRunning
from recado.rules import roles
from recado.rules.audience import REPLIED_STOP, Audience, Member, is_blocked
from recado.rules.name_search import DIGITS_MIN, is_found, read_query, words_of
from recado.rules.person_records import find_reason_problems
from recado.tables import groups as group_table
from recado.tables import number_changes as number_change_table
from recado.tables import opt_outs as opt_out_table
from recado.tables import people as people_table
from recado.tables import words as word_table
from recado.tables.base import Transaction
from recado.tables.groups import Group
from recado.tables.number_changes import NumberChange
from recado.tables.opt_outs import Note, NotedAlready
from recado.tables.people import Person, PersonChanged, SmsSwitch
from recado.tables.schools import School

PAGE = 100
ROUNDS_MAX = 10  # pages read for one that is answered: who fits nothing asked for is passed over
SWITCH_ATTEMPTS_MAX = 5
NAMED_MAX = 20_000  # people of some groups of a large school that are asked for by name
NOTES_MAX = 100
NUMBERS_MAX = 10  # former numbers whose opt-outs are shown


@dataclass(frozen=True, slots=True)
class PersonSeen:
    """A person as the school's office sees them. `opted_out`: their number shows in red (L9), whatever the cause.

    `replied_stop`: their handset did, and only its ALTA takes that back.
    """

    person: Person
    opted_out: bool
    replied_stop: bool = False


@dataclass(frozen=True, slots=True)
class PeopleFilter:
    """Whom a list is of; each None asks for nothing. `query` is of names, or of a number's last digits."""

    group_id: str | None = None
    role: str | None = None
    query: str | None = None


@dataclass(frozen=True, slots=True)
class NumberNote:
    """One change of the causes why a number gets no SMS."""

    number: str
    note: Note

    @property
    def is_reply(self) -> bool:
        return self.note.cause == REPLIED_STOP


def list_groups(caller: Caller) -> list[Group]:
    """Every group of the school: levels, grades and courses, each with who is in it."""
    _check_may_see(caller)
    return [group for group in group_table.list_groups(caller.school_id) if not group.is_closing]


def list_people(caller: Caller, asked: PeopleFilter, cursor: str | None) -> tuple[list[PersonSeen], str | None]:
    """A page of people and the next page's cursor; a page may be short, or empty, and not the last.

    By id; a search by the word that was found. Raises NotFound for a group, InvalidRequest for what is no search.
    """
    _check_may_see(caller)
    school_id = caller.school_id
    if asked.group_id is not None:
        _check_group(school_id, asked.group_id)
    if asked.query is not None:
        people, following = _search(school_id, asked, cursor)
        return see(school_id, people), following

    found: list[Person] = []
    for _ in range(ROUNDS_MAX):
        people, cursor = _list_some(school_id, asked.group_id, PAGE - len(found), cursor)
        found += [person for person in people if _fits(person, asked)]
        if cursor is None or len(found) == PAGE:
            break
    return see(school_id, found), cursor


def get_person(caller: Caller, person_id: str) -> PersonSeen:
    """One person's record. Raises NotFound, also for another school's."""
    _check_may_see(caller)
    return see(caller.school_id, [_get(caller.school_id, person_id)])[0]


def list_number_changes(caller: Caller, person_id: str, cursor: str | None) -> tuple[list[NumberChange], str | None]:
    """Who changed a person's number, when, from what to what, newest first, and the next page's cursor."""
    _check_may_see(caller)
    _get(caller.school_id, person_id)
    return number_change_table.list_changes(caller.school_id, person_id, limit=PAGE, before=cursor)


def list_opt_out_notes(caller: Caller, person_id: str) -> list[NumberNote]:
    """The proof: each change of why this person's numbers, former ones too, get no SMS: the latest 100."""
    _check_may_see(caller)
    school_id, person = caller.school_id, _get(caller.school_id, person_id)
    changes, _ = number_change_table.list_changes(school_id, person_id, limit=NUMBERS_MAX)
    numbers = dict.fromkeys((person.record.number, *(change.before for change in changes)))
    causes = {REPLIED_STOP, opt_out_table.person_cause(person.id)}
    notes = [
        NumberNote(number, note)
        for number in numbers
        if number is not None
        for note in opt_out_table.list_notes(school_id, number, limit=NOTES_MAX)
        if note.cause in causes
    ]
    return sorted(notes, key=lambda one: one.note.at, reverse=True)[:NOTES_MAX]


def set_sms(caller: Caller, person_id: str, *, allowed: bool, reason: str, now: datetime) -> PersonSeen:
    """Switches a person's SMS on or off on their record (L8). What the number itself replied stays in force.

    Raises NotAllowed, NotFound, OptedOutThemselves for switching on what the person switched off (L10), StillRunning
    when the record keeps changing underneath.
    """
    _check_may_see(caller)
    return switch_sms(caller.school_id, person_id, SmsSwitch(allowed, caller.subject, now, reason))


def switch_sms(school_id: str, person_id: str, switch: SmsSwitch) -> PersonSeen:
    """The switch on the person and the cause on their number: both or neither. Who may is asked before."""
    problems = find_reason_problems("/reason", switch.reason)
    if problems:
        raise InvalidRequest(fields=problems)
    for _ in range(SWITCH_ATTEMPTS_MAX):
        # 1. The person's own choice outweighs the office's.
        person = _get(school_id, person_id)
        is_own = person.switch is not None and person.switch.is_own
        if switch.allowed and not person.sms_allowed and is_own and not switch.is_own:
            raise OptedOutThemselves

        # 2. Nothing to do if it is so already: the first who, when and why stay. But for the person's own word.
        is_said = is_own or not switch.is_own or switch.allowed
        if person.sms_allowed == switch.allowed and is_said:
            break

        # 3. Both, or neither; and the portal is told, unless only who said it is new.
        told = people_records.opt_out_event(person.id, opted_out=not switch.allowed, is_own=switch.is_own, at=switch.at)
        try:
            if person.sms_allowed == switch.allowed:
                with Transaction() as write:
                    _put_switch(school_id, person, switch, write)
            else:
                events.commit(school_id, told, partial(_put_switch, school_id, person, switch))
        except (PersonChanged, NotedAlready):
            continue
        break
    else:
        raise StillRunning("The record is being changed", retry_after_seconds=1)

    return see(school_id, [_get(school_id, person_id)])[0]


def _put_switch(school_id: str, person: Person, switch: SmsSwitch, write: Transaction) -> None:
    people_table.save_switch(write, school_id, person, switch)
    if person.record.number is not None:
        cause = opt_out_table.person_cause(person.id)
        note = Note(cause, added=not switch.allowed, by=switch.by, at=switch.at, reason=switch.reason)
        opt_out_table.change_cause(write, school_id, person.record.number, note)


def list_audience_members(school: School, audience: Audience, after: str | None = None) -> Iterator[Member]:
    """Everybody read for an audience, equal numbers next to each other, in an order that lasts; see `is_in` for who is.

    `after` is a place in that order (`people.place_of`): those behind it. Opt-outs are not asked here (opt_outs.py).
    """
    few = _ids_if_few(school, audience)
    return people_table.list_members(school.id, school.shards, after) if few is None else _named(school, few, after)


def _ids_if_few(school: School, audience: Audience) -> set[str] | None:
    """The ids of an audience that can be asked for by name; None: better read the whole school in order."""
    if not audience.who:
        return set(audience.people)
    if not audience.groups or school.shards == 1:
        return None
    found = set(audience.people)
    for group_id in audience.groups:
        for person_id in group_table.list_all_member_ids(school.id, group_id):
            found.add(person_id)
            if len(found) > NAMED_MAX:
                return None
    return found


def _named(school: School, person_ids: Iterable[str], after: str | None) -> Iterator[Member]:
    """Asked for by name, in the order in which the whole school would be read."""
    members = [
        Member(person.id, person.record.role, person.record.groups, person.record.number, person.record.number_problem)
        for person in people_table.list_people_by_id(school.id, person_ids)
        if person.left_at is None
    ]
    placed = sorted((people_table.place_of(member, school.shards), member) for member in members)
    return (member for place, member in placed if after is None or place > after)


def _search(school_id: str, asked: PeopleFilter, cursor: str | None) -> tuple[list[Person], str | None]:
    """One word of the query is looked up; whether the person fits all of it is asked of their own record."""
    beginnings = read_query(asked.query or "")
    if not beginnings:
        detail = f"A name, or at least {DIGITS_MIN} digits of how a number ends"
        raise InvalidRequest(fields=[FieldProblem("/query/q", "nothing_to_search", detail)])
    place = _read_cursor(cursor, beginnings[0])
    found: list[Person] = []
    for _ in range(ROUNDS_MAX):
        pairs, following = word_table.list_found(school_id, beginnings[0], limit=PAGE, after=place)
        people = {one.id: one for one in people_table.list_people_by_id(school_id, {person for _, person in pairs})}
        for word, person_id in pairs:
            place = f"{word}#{person_id}"
            person = people.get(person_id)
            if person is None or not _fits(person, asked) or not is_found(person.record, beginnings):
                continue
            if word == min(one for one in words_of(person.record) if one.startswith(beginnings[0])):  # once a person
                found.append(person)
            if len(found) == PAGE:
                return found, _write_cursor(place)
        if following is None:
            return found, None
        place = following
    return found, _write_cursor(place) if place is not None else None


def _list_some(school_id: str, group_id: str | None, limit: int, after: str | None) -> tuple[list[Person], str | None]:
    if group_id is None:
        return people_table.list_people(school_id, limit=limit, after=after)
    ids, following = group_table.list_member_ids(school_id, group_id, limit=limit, after=after)
    return people_table.list_people_by_id(school_id, ids), following


def _fits(person: Person, asked: PeopleFilter) -> bool:
    """By the person's own record: a member's or a word's row may outlive a killed import."""
    if person.left_at is not None or (asked.role is not None and person.record.role != asked.role):
        return False
    return asked.group_id is None or asked.group_id in person.record.groups


def _write_cursor(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _read_cursor(cursor: str | None, beginning: str) -> str | None:
    if cursor is None:
        return None
    try:
        place = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError:  # neither base64 nor UTF-8
        place = ""
    if not place.startswith(beginning) or "#" not in place:
        raise InvalidRequest(fields=[FieldProblem("/query/cursor", "malformed", "Not a cursor of this search")])
    return place


def _check_group(school_id: str, group_id: str) -> None:
    group = group_table.find_group(school_id, group_id)
    if group is None or group.is_closing:
        raise NotFound("There is no such group")


def _get(school_id: str, person_id: str) -> Person:
    person = people_table.find_person(school_id, person_id)
    if person is None:
        raise NotFound("There is no such person")
    return person


def see(school_id: str, people: Sequence[Person]) -> list[PersonSeen]:
    """People with what their numbers' opt-outs say of them."""
    numbers = {person.record.number for person in people if person.record.number is not None}
    causes = opt_out_table.list_causes(school_id, numbers)
    seen = []
    for person in people:
        found = causes.get(person.record.number or "", frozenset())
        opted_out = not person.sms_allowed or is_blocked(found, [person.id])
        seen.append(PersonSeen(person, opted_out, replied_stop=REPLIED_STOP in found))
    return seen


def _check_may_see(caller: Caller) -> None:
    """Records hold everybody's numbers: for those in charge only."""
    if not roles.may_edit_people(caller.role):
        raise NotAllowed
