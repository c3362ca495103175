"""/groups, /people and /me: a school's people, and what each of them may see and change of themselves."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field, StrictBool, StrictStr

from recado import clock, custom_groups, directory, idempotency, own_record, people_edits, unreachable, web
from recado.access import Caller
from recado.custom_groups import MemberChanges
from recado.directory import NumberNote, PeopleFilter, PersonSeen
from recado.people_edits import NewPerson
from recado.rules import csv_cells, unreachable_rows
from recado.rules.audience import SkipReason
from recado.rules.person_records import RecordEdit
from recado.rules.plain_words import Language
from recado.rules.roster_changes import Source
from recado.tables.groups import Group
from recado.tables.number_changes import NumberChange
from recado.tables.people import SmsSwitch
from recado.unreachable import Unreachable

app = web.resolver()

ID = r"^[A-Za-z0-9._-]{1,64}$"
PersonId = Annotated[str, Path(pattern=ID)]
GroupId = Annotated[str, Path(pattern=ID)]
GroupFilter = Annotated[str | None, Query(alias="group", pattern=ID, description="only this group's people")]
RoleFilter = Annotated[
    str | None,
    Query(pattern="^(student|guardian|teacher|staff|administrator|director)$", description="only people of this role"),
]
NameQuery = Annotated[
    str | None,
    Query(
        alias="q",
        min_length=1,
        max_length=100,
        description="how words of the name begin, accents and case ignored; or a number, or its last 3 digits or more",
    ),
]
Cursor = Annotated[str | None, Query(pattern="^[A-Za-z0-9._-]{1,400}$", description="`next` of the page before")]
NumberCursor = Annotated[str | None, Query(pattern="^[0-9TZ:.#-]{1,60}$", description="`next` of the page before")]
Ids = Annotated[list[Annotated[StrictStr, Field(max_length=64)]], Field(max_length=custom_groups.LIST_MAX)]
Lang = Annotated[Language, Query(description="of the header, roles and reasons")]
PEOPLE = ["directory"]
OWN = ["own record"]
NOT_FOUND: dict[int, OpenAPIResponse] = {404: {"description": "`not_found`"}}
TAKEN: dict[int, OpenAPIResponse] = {409: {"description": "`already_exists`, `still_running`"}}
ROSTERS: dict[int, OpenAPIResponse] = {409: {"description": "`wrong_state`: a group of the roster's; `still_running`"}}
CSV: dict[int, OpenAPIResponse] = {
    200: {
        "description": "UTF-8 with a byte order mark; `Link` with rel=next names where more rows are",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }
}


class GroupView(BaseModel):
    """A group, and how many of each are in it; `parent` is the group that holds it."""

    id: str
    kind: str = Field(description="course, grade, level or school; custom: made by the school itself")
    name: str
    parent: str | None
    students: int
    guardians: int
    staff: int


class GroupList(BaseModel):
    """Every group of the school, by id."""

    groups: list[GroupView]


class SmsSwitchView(BaseModel):
    """Whether SMS is on for this person (L8), and who last changed it, when and why."""

    allowed: bool
    changed_by: str | None = Field(default=None, description="`self`, or the subject of who did")
    changed_at: datetime | None = None
    reason: str | None = None


class PersonView(BaseModel):
    """A person's record. `opted_out` is true whatever the cause: the switch, or a STOP from the handset."""

    id: str
    source: Source = Field(description="roster, or school: made by hand, which no import marks as gone")
    role: str
    given_name: str
    family_name: str
    number: str | None = Field(description="E.164")
    typed_number: str = Field(description="as the school wrote it")
    number_problem: bool = Field(description="something is written, and it cannot be used")
    number_corrected_by: str | None = Field(description="`self`, or whose correction stands over the roster's number")
    opted_out: bool = Field(description="no SMS: the number is shown in red (L9)")
    replied_stop: bool = Field(description="the handset did: only its ALTA takes that back")
    sms: SmsSwitchView
    groups: list[str]
    guardians: list[str]
    students: list[str]
    left_at: datetime | None


class PersonList(BaseModel):
    """By id, or by the word that was found; `next` is the cursor of the next page, which may be short or empty."""

    people: list[PersonView]
    next: str | None


class SmsSwitchRequest(web.RequestModel):
    """SMS on or off for one person, and why: it is kept as proof."""

    allowed: StrictBool
    reason: str = Field(min_length=1, max_length=500)


class NewPersonRequest(web.RequestModel):
    """Somebody that no roster names. What is typed as a number is kept, and marked when it cannot be used."""

    id: StrictStr | None = Field(default=None, description="1 to 64 of A-Z a-z 0-9 . _ -; left out: one is made up")
    role: StrictStr = Field(description="student, guardian, teacher, staff, administrator or director")
    given_name: StrictStr
    family_name: StrictStr
    number: StrictStr | None = None
    groups: Ids = Field(default=[], description="courses and custom groups; a guardian is in their students' courses")
    students: Ids = Field(default=[], description="of a guardian")
    guardians: Ids = Field(default=[], description="of a student")


class PersonChangeRequest(web.RequestModel):
    """What is left out stays as it is; `number` null or empty takes it away; lists are the whole of what they name."""

    role: StrictStr = Field(default="", description="student, guardian, teacher, staff, administrator or director")
    given_name: StrictStr = ""
    family_name: StrictStr = ""
    number: StrictStr | None = None
    groups: Ids = Field(default=[])
    students: Ids = Field(default=[])
    guardians: Ids = Field(default=[])


class GroupRequest(web.RequestModel):
    name: StrictStr
    people: Ids = Field(default=[], description="who is in it from the beginning")


class GroupNameRequest(web.RequestModel):
    name: StrictStr


class MembersRequest(web.RequestModel):
    """Who comes in and who goes out; nothing is done when somebody is unknown."""

    add: Ids = Field(default=[])
    remove: Ids = Field(default=[])
    with_guardians: StrictBool = Field(default=False, description="the guardians of the students named do the same")


class OwnSmsView(BaseModel):
    """Whether my SMS are on: `changed_by` is `self` or `school`."""

    allowed: bool
    changed_by: str | None
    changed_at: datetime | None


class OwnRecordView(BaseModel):
    """My own record. `opted_out`: no SMS comes; if `replied_stop`, because my handset said so."""

    id: str
    role: str
    given_name: str
    family_name: str
    number: str | None
    typed_number: str
    number_problem: bool
    opted_out: bool
    replied_stop: bool
    sms: OwnSmsView


class OwnSmsRequest(web.RequestModel):
    allowed: StrictBool
    reason: StrictStr = Field(default="", max_length=500)


class OwnNumberRequest(web.RequestModel):
    number: StrictStr | None = Field(description="one that can be used; null or empty takes mine away")


class NumberChangeView(BaseModel):
    """One change of a number: in E.164 when it could be used, and as it was typed."""

    at: datetime
    by: str = Field(description="`self`, `roster`, or the subject of who did")
    number_before: str | None
    typed_before: str
    number_after: str | None
    typed_after: str


class NumberChangeList(BaseModel):
    """Newest first."""

    changes: list[NumberChangeView]
    next: str | None


class OptOutNoteView(BaseModel):
    """The proof of one change: `cause` is the person's switch, or what the handset replied."""

    at: datetime
    number: str
    cause: str = Field(description="switch or reply")
    opted_out: bool
    by: str
    reason: str


class OptOutNoteList(BaseModel):
    """Newest first, the latest 100."""

    notes: list[OptOutNoteView]


class UnreachableView(BaseModel):
    """Somebody without a usable number; `students` are the names of whose guardian it is."""

    id: str
    name: str
    role: str
    reason: SkipReason
    typed_number: str
    groups: list[str] = Field(description="names")
    students: list[str]


class UnreachableList(BaseModel):
    """`next` is the cursor of the next page, which may be short or empty."""

    people: list[UnreachableView]
    next: str | None


@app.get("/groups", summary="The school's groups: courses, grades, levels", tags=PEOPLE)
def list_groups() -> GroupList:
    found = directory.list_groups(web.caller(app))
    return GroupList(groups=[_group_view(group) for group in found])


@app.post(
    "/groups",
    summary="Make a custom group",
    tags=PEOPLE,
    status_code=201,
    responses=TAKEN,
)
def create_group(body: GroupRequest) -> GroupView:
    key = web.idempotency_key(app)

    def work(caller: Caller, is_first: bool) -> GroupView:  # idempotency.Work's shape
        return _group_view(custom_groups.create_group(caller, body.name, body.people, key, is_first=is_first))

    return GroupView.model_validate(_once(work))


@app.patch("/groups/<group_id>", summary="Rename a custom group", tags=PEOPLE, responses=NOT_FOUND | ROSTERS)
def rename_group(group_id: GroupId, body: GroupNameRequest) -> GroupView:
    return _group_view(custom_groups.rename_group(web.caller(app), group_id, body.name))


@app.delete(
    "/groups/<group_id>",
    summary="Delete a custom group; a large one is asked for again until it is gone",
    tags=PEOPLE,
    status_code=204,
    responses=NOT_FOUND | ROSTERS,
)
def delete_group(group_id: GroupId) -> Response[None]:
    custom_groups.delete_group(web.caller(app), group_id, _time_left)
    return Response(status_code=204)


@app.post(
    "/groups/<group_id>/members",
    summary="Put people into a custom group and take them out; twice is once",
    tags=PEOPLE,
    responses=NOT_FOUND | ROSTERS,
)
def change_members(group_id: GroupId, body: MembersRequest) -> GroupView:
    changes = MemberChanges(tuple(body.add), tuple(body.remove), body.with_guardians)
    return _group_view(custom_groups.change_members(web.caller(app), group_id, changes))


@app.get("/people", summary="The people of a group, or everybody; or a search by name or number", tags=PEOPLE)
def list_people(
    query: NameQuery = None, group: GroupFilter = None, role: RoleFilter = None, cursor: Cursor = None
) -> PersonList:
    people, following = directory.list_people(web.caller(app), PeopleFilter(group, role, query), cursor)
    return PersonList(people=[_person_view(seen) for seen in people], next=following)


@app.post("/people", summary="Add somebody by hand", tags=PEOPLE, status_code=201, responses=TAKEN)
def create_person(body: NewPersonRequest) -> Response[PersonView]:
    key, now = web.idempotency_key(app), clock.now()
    edit = RecordEdit(
        role=body.role,
        given_name=body.given_name,
        family_name=body.family_name,
        typed_number=body.number or "",
        groups=tuple(body.groups),
        students=tuple(body.students),
        guardians=tuple(body.guardians),
    )

    def work(caller: Caller, is_first: bool) -> PersonView:  # idempotency.Work's shape
        made = people_edits.create_person(caller, NewPerson(body.id, edit), key, now, is_first=is_first)
        return _person_view(directory.get_person(caller, made.id))

    view = PersonView.model_validate(_once(work))
    headers: dict[str, str | list[str]] = {"Location": f"/v1/people/{view.id}"}
    return Response(status_code=201, content_type=content_types.APPLICATION_JSON, body=view, headers=headers)


@app.get("/people/unreachable", summary="People without a usable number (L14)", tags=PEOPLE, responses=NOT_FOUND)
def list_unreachable(group: GroupFilter = None, cursor: Cursor = None) -> UnreachableList:
    people, following = unreachable.list_unreachable(web.caller(app), group, cursor, limit=directory.PAGE)
    return UnreachableList(people=[_unreachable_view(one) for one in people], next=following)


@app.get("/people/unreachable.csv", summary="The same for a spreadsheet", tags=PEOPLE, responses=CSV | NOT_FOUND)
def get_unreachable_csv(group: GroupFilter = None, cursor: Cursor = None, lang: Lang = Language.ES) -> Response[str]:
    people, following = unreachable.list_unreachable(web.caller(app), group, cursor, limit=unreachable.CSV_ROWS_MAX)
    body = csv_cells.csv_text(unreachable_rows.HEADERS[lang], (_unreachable_row(one, lang) for one in people))
    headers: dict[str, str | list[str]] = {"Content-Disposition": 'attachment; filename="sin-numero.csv"'}
    if following:
        asked = dict(app.current_event.query_string_parameters or {}) | {"cursor": following}
        headers["Link"] = f'<?{urlencode(asked)}>; rel="next"'
    return Response(status_code=200, content_type="text/csv; charset=utf-8", body=body, headers=headers)


@app.get("/people/<person_id>", summary="One person's record", tags=PEOPLE, responses=NOT_FOUND)
def get_person(person_id: PersonId) -> PersonView:
    return _person_view(directory.get_person(web.caller(app), person_id))


@app.patch(
    "/people/<person_id>",
    summary="Change a record: what the roster says of it, but for a corrected number, comes back with the next import",
    tags=PEOPLE,
    responses=NOT_FOUND | TAKEN,
)
def change_person(person_id: PersonId, body: PersonChangeRequest) -> PersonView:
    caller, said = web.caller(app), body.model_fields_set
    edit = RecordEdit(
        role=body.role if "role" in said else None,
        given_name=body.given_name if "given_name" in said else None,
        family_name=body.family_name if "family_name" in said else None,
        typed_number=(body.number or "") if "number" in said else None,
        groups=tuple(body.groups) if "groups" in said else None,
        students=tuple(body.students) if "students" in said else None,
        guardians=tuple(body.guardians) if "guardians" in said else None,
    )
    people_edits.change_person(caller, person_id, edit, clock.now())
    return _person_view(directory.get_person(caller, person_id))


@app.delete(
    "/people/<person_id>",
    summary="Take somebody out of the directory; their opt-out stays",
    tags=PEOPLE,
    status_code=204,
    responses=NOT_FOUND | TAKEN,
)
def remove_person(
    person_id: PersonId,
    erase: Annotated[bool, Query(description="names, numbers and family are deleted too")] = False,
) -> Response[None]:
    people_edits.remove_person(web.caller(app), person_id, clock.now(), erase=erase)
    return Response(status_code=204)


@app.put("/people/<person_id>/sms", summary="Switch a person's SMS on or off", tags=PEOPLE)
def set_sms(person_id: PersonId, body: SmsSwitchRequest) -> PersonView:
    caller = web.caller(app)
    return _person_view(directory.set_sms(caller, person_id, allowed=body.allowed, reason=body.reason, now=clock.now()))


@app.get("/people/<person_id>/numbers", summary="Who changed a person's number", tags=PEOPLE, responses=NOT_FOUND)
def list_number_changes(person_id: PersonId, cursor: NumberCursor = None) -> NumberChangeList:
    found, following = directory.list_number_changes(web.caller(app), person_id, cursor)
    return NumberChangeList(changes=[_number_change_view(one) for one in found], next=following)


@app.get("/people/<person_id>/opt-outs", summary="The proof of a person's opt-outs", tags=PEOPLE, responses=NOT_FOUND)
def list_opt_outs(person_id: PersonId) -> OptOutNoteList:
    return OptOutNoteList(notes=[_note_view(one) for one in directory.list_opt_out_notes(web.caller(app), person_id)])


@app.get("/me", summary="My own record", tags=OWN, responses=NOT_FOUND)
def get_own_record() -> OwnRecordView:
    return _own_view(own_record.get_own(web.caller(app)))


@app.put("/me/sms", summary="Switch my own SMS on or off (L10)", tags=OWN, responses=NOT_FOUND)
def set_own_sms(body: OwnSmsRequest) -> OwnRecordView:
    caller = web.caller(app)
    return _own_view(own_record.set_own_sms(caller, allowed=body.allowed, reason=body.reason, now=clock.now()))


@app.put("/me/number", summary="Correct my own number, or take it away (L14)", tags=OWN, responses=NOT_FOUND)
def set_own_number(body: OwnNumberRequest) -> OwnRecordView:
    return _own_view(own_record.set_own_number(web.caller(app), body.number or "", clock.now()))


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return web.answer(app, event, context)


def _once(work: Callable[[Caller, bool], BaseModel]) -> dict[str, Any]:
    caller, key = web.caller(app), web.idempotency_key(app)
    people_edits.check_caller(caller)  # before anything is written, the key's own row included
    return idempotency.once(
        caller.school_id,
        key,
        web.idempotent_request(app),
        clock.now(),
        lambda is_first: work(caller, is_first).model_dump(mode="json"),
    )


def _time_left() -> timedelta:
    return timedelta(milliseconds=app.lambda_context.get_remaining_time_in_millis())


def _group_view(group: Group) -> GroupView:
    record, members = group.record, {who.value: count for who, count in group.members.items()}
    return GroupView(id=record.id, kind=record.kind, name=record.name, parent=record.parent, **members)


def _person_view(seen: PersonSeen) -> PersonView:
    record, switch = seen.person.record, seen.person.switch
    return PersonView(
        id=record.id,
        source=seen.person.source,
        role=record.role,
        given_name=record.given_name,
        family_name=record.family_name,
        number=record.number,
        typed_number=record.typed_number,
        number_problem=record.number_problem,
        number_corrected_by=seen.person.correction.by if seen.person.correction else None,
        opted_out=seen.opted_out,
        replied_stop=seen.replied_stop,
        sms=_switch_view(switch),
        groups=sorted(record.groups),
        guardians=sorted(record.guardians),
        students=sorted(record.students),
        left_at=seen.person.left_at,
    )


def _switch_view(switch: SmsSwitch | None) -> SmsSwitchView:
    if switch is None:
        return SmsSwitchView(allowed=True)
    return SmsSwitchView(allowed=switch.allowed, changed_by=switch.by, changed_at=switch.at, reason=switch.reason)


def _own_view(seen: PersonSeen) -> OwnRecordView:
    record, switch = seen.person.record, seen.person.switch
    sms = OwnSmsView(
        allowed=seen.person.sms_allowed,
        changed_by=None if switch is None else "self" if switch.is_own else "school",
        changed_at=None if switch is None else switch.at,
    )
    return OwnRecordView(
        id=record.id,
        role=record.role,
        given_name=record.given_name,
        family_name=record.family_name,
        number=record.number,
        typed_number=record.typed_number,
        number_problem=record.number_problem,
        opted_out=seen.opted_out,
        replied_stop=seen.replied_stop,
        sms=sms,
    )


def _number_change_view(change: NumberChange) -> NumberChangeView:
    return NumberChangeView(
        at=change.at,
        by=change.by,
        number_before=change.before,
        typed_before=change.typed_before,
        number_after=change.after,
        typed_after=change.typed_after,
    )


def _note_view(found: NumberNote) -> OptOutNoteView:
    note = found.note
    return OptOutNoteView(
        at=note.at,
        number=found.number,
        cause="reply" if found.is_reply else "switch",
        opted_out=note.added,
        by=note.by,
        reason=note.reason,
    )


def _unreachable_view(one: Unreachable) -> UnreachableView:
    return UnreachableView(
        id=one.person.id,
        name=unreachable.full_name(one.person),
        role=one.person.record.role,
        reason=one.reason,
        typed_number=one.person.record.typed_number,
        groups=list(one.groups),
        students=list(one.students),
    )


def _unreachable_row(one: Unreachable, language: Language) -> tuple[str, ...]:
    return unreachable_rows.row_of(
        language,
        groups=one.groups,
        name=unreachable.full_name(one.person),
        role=one.person.record.role,
        reason=one.reason,
        typed_number=one.person.record.typed_number,
        students=one.students,
    )
