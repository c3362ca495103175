"""/groups and /people: what the school's office sees of its people, and their SMS switch (L8)."""

from datetime import datetime
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field, StrictBool

from recado import clock, directory, web
from recado.directory import PersonSeen
from recado.tables.groups import Group

app = web.resolver()

ID = r"^[A-Za-z0-9._-]{1,64}$"
PersonId = Annotated[str, Path(pattern=ID)]
GroupFilter = Annotated[str | None, Query(alias="group", pattern=ID, description="only this group's people")]
Cursor = Annotated[str | None, Query(pattern=ID, description="`next` of the page before")]


class GroupView(BaseModel):
    """A group, and how many of each were in it after the last import; `parent` is the group that holds it."""

    id: str
    kind: str = Field(description="course, grade, level or school")
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
    changed_by: str | None = None
    changed_at: datetime | None = None
    reason: str | None = None


class PersonView(BaseModel):
    """A person's record. `opted_out` is true whatever the cause: the switch, or a STOP from the handset."""

    id: str
    role: str
    given_name: str
    family_name: str
    number: str | None = Field(description="E.164")
    typed_number: str = Field(description="as the school wrote it")
    number_problem: bool = Field(description="something is written, and it cannot be used")
    opted_out: bool = Field(description="no SMS: the number is shown in red (L9)")
    sms: SmsSwitchView
    groups: list[str]
    guardians: list[str]
    students: list[str]
    left_at: datetime | None


class PersonList(BaseModel):
    """By id; `next` is the cursor of the next page."""

    people: list[PersonView]
    next: str | None


class SmsSwitchRequest(web.RequestModel):
    """SMS on or off for one person, and why: it is kept as proof."""

    allowed: StrictBool
    reason: str = Field(min_length=1, max_length=500)


@app.get("/groups", summary="The school's groups: courses, grades, levels", tags=["directory"])
def list_groups() -> GroupList:
    found = directory.list_groups(web.caller(app))
    return GroupList(groups=[_group_view(group) for group in found])


@app.get("/people", summary="The people of a group, or everybody, by id", tags=["directory"])
def list_people(group: GroupFilter = None, cursor: Cursor = None) -> PersonList:
    people, following = directory.list_people(web.caller(app), group, cursor)
    return PersonList(people=[_person_view(seen) for seen in people], next=following)


@app.get("/people/<person_id>", summary="One person's record", tags=["directory"])
def get_person(person_id: PersonId) -> PersonView:
    return _person_view(directory.get_person(web.caller(app), person_id))


@app.put("/people/<person_id>/sms", summary="Switch a person's SMS on or off", tags=["directory"])
def set_sms(person_id: PersonId, body: SmsSwitchRequest) -> PersonView:
    caller = web.caller(app)
    return _person_view(directory.set_sms(caller, person_id, allowed=body.allowed, reason=body.reason, now=clock.now()))


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return web.answer(app, event, context)


def _group_view(group: Group) -> GroupView:
    record, members = group.record, {who.value: count for who, count in group.members.items()}
    return GroupView(id=record.id, kind=record.kind, name=record.name, parent=record.parent, **members)


def _person_view(seen: PersonSeen) -> PersonView:
    record, switch = seen.person.record, seen.person.switch
    return PersonView(
        id=record.id,
        role=record.role,
        given_name=record.given_name,
        family_name=record.family_name,
        number=record.number,
        typed_number=record.typed_number,
        number_problem=record.number_problem,
        opted_out=seen.opted_out,
        sms=SmsSwitchView(allowed=True)
        if switch is None
        else SmsSwitchView(allowed=switch.allowed, changed_by=switch.by, changed_at=switch.at, reason=switch.reason),
        groups=sorted(record.groups),
        guardians=sorted(record.guardians),
        students=sorted(record.students),
        left_at=seen.person.left_at,
    )
