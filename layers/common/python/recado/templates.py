"""A school's saved texts: made, changed, archived; and what a text comes to while somebody writes it.

A version once saved never changes and is never deleted: messages name the version they were made from.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from recado import idempotency
from recado.access import Caller
from recado.errors import (
    ChangedMeanwhile,
    FieldProblem,
    IdempotencyKeyReused,
    InvalidRequest,
    NotAllowed,
    NotFound,
    WrongState,
)
from recado.rules import roles, segments, texts
from recado.rules.message_states import Category
from recado.rules.segments import Size
from recado.rules.texts import Field, FieldValues
from recado.tables import templates as table
from recado.tables.base import Transaction
from recado.tables.templates import Template

NAME_CHARACTERS_MAX = 100


@dataclass(frozen=True, slots=True)
class Content:
    """What a template says: everything a version keeps."""

    name: str
    category: Category
    text: str
    drop_accents: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What a text comes to with these values. `problems`: why it could not be sent as it stands; none, it could."""

    text: str
    size: Size
    without_accents: Size
    costly: tuple[str, ...]
    fields: frozenset[Field]
    missing: frozenset[Field]
    problems: tuple[FieldProblem, ...]


class _Moved(Exception):  # a signal between two steps here
    """The template is there already, or no longer as it was read."""


def check_caller(caller: Caller) -> None:
    """Raises NotAllowed for everybody but those who may send (L2); every act below asks it too."""
    if not roles.may_use_templates(caller.role):
        raise NotAllowed


def create(caller: Caller, content: Content, key: str, now: datetime, *, is_first: bool) -> Template:
    """A new template, version 1. The id follows from the key: asking again finds the same. Raises InvalidRequest,
    IdempotencyKeyReused for a key that made one more than a day ago."""
    check_caller(caller)
    read = _read(content)
    made = _new_version(caller, f"t{idempotency.fingerprint(key)[:25]}", read, version=1, now=now, first=None)
    try:
        with Transaction() as write:
            table.create_template(write, made, taken=_Moved())
    except _Moved:
        found = _get(caller.school_id, made.id)
        # The same moment: our own write, tried again by the SDK after its answer was lost.
        if is_first and found.created_at != now:
            raise IdempotencyKeyReused from None
        return found
    return made


def change(caller: Caller, template_id: str, content: Content, seen_version: int, now: datetime) -> Template:
    """The next version of a template, unless nothing changes. Raises InvalidRequest, NotFound, WrongState when it is
    archived, ChangedMeanwhile when `seen_version` is not its newest: nobody's change is overwritten unseen."""
    check_caller(caller)
    read = _read(content)
    was = _get(caller.school_id, template_id)
    if was.archived_at is not None:
        raise WrongState("The template is archived")
    if _says(was) == read:
        return was  # nothing to change, or asked again because the answer was lost
    if was.version != seen_version:
        raise _changed(was)
    changed = _new_version(caller, was.id, read, version=was.version + 1, now=now, first=was)
    try:
        with Transaction() as write:
            table.save_version(write, changed, was=was, refused=_Moved())
    except _Moved:
        found = _get(caller.school_id, template_id)
        if found == changed:
            return found  # our own, and its answer was lost
        if found.archived_at is not None:
            raise WrongState("The template is archived") from None
        raise _changed(found) from None
    return changed


def archive(caller: Caller, template_id: str, now: datetime) -> None:
    """Offers a template no longer; it and its versions stay readable. Archived already is done. Raises NotFound."""
    check_caller(caller)
    if not table.archive_template(caller.school_id, template_id, caller.subject, now):
        _get(caller.school_id, template_id)


def get(caller: Caller, template_id: str, version: int | None) -> Template:
    """A template as it is now, or one of its versions. Raises NotFound."""
    check_caller(caller)
    return get_version(caller.school_id, template_id, version)


def get_version(school_id: str, template_id: str, version: int | None) -> Template:
    """The version a message is made from (None: the newest), archived or not: `archived_at` says so. Raises NotFound,
    also for what belongs to another school."""
    template = _get(school_id, template_id)
    if version is None or version == template.version:
        return template
    found = table.find_version(template, version)
    if found is None:
        raise NotFound("The template has no such version")
    return found


def list_offered(caller: Caller, *, limit: int, after: str | None) -> tuple[list[Template], str | None]:
    """A page of the templates that are not archived, by id, and the cursor of the next."""
    check_caller(caller)
    return table.list_templates(caller.school_id, limit=limit, after=after)


def list_versions(
    caller: Caller, template_id: str, *, limit: int, before: int | None
) -> tuple[list[Template], int | None]:
    """A page of a template's versions, newest first, and the cursor of the next. Raises NotFound."""
    check_caller(caller)
    return table.list_versions(_get(caller.school_id, template_id), limit=limit, before=before)


def preview(caller: Caller, text: str, values: FieldValues, *, drop_accents: bool) -> Preview:
    """What a text would be and cost for somebody of these values. Writes nothing, and answers also for a text that
    could not be sent yet: it is asked while somebody types."""
    check_caller(caller)
    composed = texts.compose(text)
    sent = texts.text_for(composed, values, drop_accents)
    return Preview(
        text=sent,
        size=segments.measure(sent),
        without_accents=texts.price_of(composed, values, drop_accents=True),
        costly=texts.costly_characters(sent),
        fields=texts.fields_in(composed),
        missing=texts.missing_fields(composed, values),
        problems=tuple(_problems_of(lambda: texts.check_text(composed, drop_accents=drop_accents))),
    )


def _read(content: Content) -> Content:
    """The content as it is kept. Raises InvalidRequest with everything that is wrong."""
    read = replace(content, name=texts.compose(content.name).strip(), text=texts.compose(content.text))
    problems = [
        *_problems_of(lambda: texts.check_label(read.name, "/name", NAME_CHARACTERS_MAX)),
        *_problems_of(lambda: texts.check_text(read.text, drop_accents=read.drop_accents)),
    ]
    if problems:
        raise InvalidRequest(fields=problems)
    return read


def _problems_of(check: Callable[[], None]) -> tuple[FieldProblem, ...]:
    try:
        check()
    except InvalidRequest as refused:
        return refused.fields
    return ()


def _new_version(
    caller: Caller, template_id: str, content: Content, *, version: int, now: datetime, first: Template | None
) -> Template:
    return Template(
        school_id=caller.school_id,
        id=template_id,
        version=version,
        newest_version=version,
        name=content.name,
        category=content.category,
        text=content.text,
        drop_accents=content.drop_accents,
        saved_by=caller.subject,
        saved_at=now,
        created_by=first.created_by if first else caller.subject,
        created_at=first.created_at if first else now,
    )


def _says(template: Template) -> Content:
    return Content(template.name, template.category, template.text, template.drop_accents)


def _get(school_id: str, template_id: str) -> Template:
    found = table.find_template(school_id, template_id)
    if found is None:
        raise NotFound("There is no such template")
    return found


def _changed(found: Template) -> ChangedMeanwhile:
    return ChangedMeanwhile(f"Its version is {found.version} by now", members={"version": found.version})
