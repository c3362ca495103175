"""Texts a school has saved to send again. The current row says what is offered; each version has a row for good."""

from dataclasses import dataclass, replace
from datetime import datetime

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute

from recado.rules.message_states import Category
from recado.tables.base import PeopleMeta, Row, Transaction, update_if

CURSOR_END = "~"  # ids are ASCII below it


@dataclass(frozen=True, slots=True)
class Template:
    """One version of a template; `saved_…` is this version's, `newest_version` and the rest the template's."""

    school_id: str
    id: str
    version: int
    newest_version: int
    name: str
    category: Category
    text: str
    drop_accents: bool
    saved_by: str
    saved_at: datetime
    created_by: str
    created_at: datetime
    archived_by: str | None = None
    archived_at: datetime | None = None


class _TemplateRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    version = NumberAttribute()
    name = UnicodeAttribute()
    category = UnicodeAttribute()
    text = UnicodeAttribute()
    drop_accents = BooleanAttribute()
    saved_by = UnicodeAttribute()
    saved_at = UTCDateTimeAttribute()
    created_by = UnicodeAttribute()
    created_at = UTCDateTimeAttribute()
    archived_by = UnicodeAttribute(null=True)
    archived_at = UTCDateTimeAttribute(null=True)


class _VersionRow(Row):
    class Meta(PeopleMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    name = UnicodeAttribute()
    category = UnicodeAttribute()
    text = UnicodeAttribute()
    drop_accents = BooleanAttribute()
    saved_by = UnicodeAttribute()
    saved_at = UTCDateTimeAttribute()


def find_template(school_id: str, template_id: str) -> Template | None:
    """A template as it is now, archived or not, consistently."""
    try:
        row = _TemplateRow.get(*_key(school_id, template_id), consistent_read=True)
    except _TemplateRow.DoesNotExist:
        return None
    return _template(school_id, row)


def find_version(template: Template, version: int) -> Template | None:
    """One of a template's versions, consistently."""
    try:
        row = _VersionRow.get(*_version_key(template.school_id, template.id, version), consistent_read=True)
    except _VersionRow.DoesNotExist:
        return None
    return _version(template, row)


def list_templates(school_id: str, *, limit: int, after: str | None = None) -> tuple[list[Template], str | None]:
    """A page of the templates that are not archived, by id, and the cursor of the next (None: no more)."""
    condition = _TemplateRow.sk.between(f"TEMPLATE#{after or ''}", f"TEMPLATE#{CURSOR_END}")
    offered = _TemplateRow.archived_at.does_not_exist()
    rows = _TemplateRow.query(f"S#{school_id}", condition, filter_condition=offered, limit=limit + 2, page_size=200)
    found = [_template(school_id, row) for row in rows if row.sk != f"TEMPLATE#{after}"]
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def list_versions(template: Template, *, limit: int, before: int | None = None) -> tuple[list[Template], int | None]:
    """A page of a template's versions, newest first, and the cursor of the next (None: no more)."""
    pk, sk = _version_key(template.school_id, template.id, before or 0)
    condition = _VersionRow.sk < sk if before else None
    rows = list(_VersionRow.query(pk, condition, scan_index_forward=False, limit=limit + 1, page_size=limit + 1))
    found = [_version(template, row) for row in rows[:limit]]
    return found, found[-1].version if len(rows) > limit else None


def create_template(write: Transaction, template: Template, *, taken: Exception) -> None:
    """A new template and its first version, as part of a transaction that is refused as `taken`."""
    write.put(_row(template), _TemplateRow.pk.does_not_exist(), lambda _: taken)
    write.put(_version_row(template), _VersionRow.pk.does_not_exist(), lambda _: taken)


def save_version(write: Transaction, template: Template, *, was: Template, refused: Exception) -> None:
    """A next version, and the current row that offers it; refused unless it is as read and not archived."""
    as_read = (_TemplateRow.version == was.version) & _TemplateRow.archived_at.does_not_exist()
    write.put(_row(template), as_read, lambda _: refused)
    write.put(_version_row(template), _VersionRow.pk.does_not_exist(), lambda _: refused)


def archive_template(school_id: str, template_id: str, by: str, now: datetime) -> bool:
    """Offers a template no longer; False when there is none, or it is archived already (the first moment stays)."""
    row = _TemplateRow(*_key(school_id, template_id))
    actions = [_TemplateRow.archived_by.set(by), _TemplateRow.archived_at.set(now)]
    return update_if(row, actions, _TemplateRow.pk.exists() & _TemplateRow.archived_at.does_not_exist())


def _key(school_id: str, template_id: str) -> tuple[str, str]:
    return f"S#{school_id}", f"TEMPLATE#{template_id}"


def _version_key(school_id: str, template_id: str, version: int) -> tuple[str, str]:
    return f"S#{school_id}#TEMPLATE#{template_id}", f"{version:08}"


def _row(template: Template) -> _TemplateRow:
    return _TemplateRow(
        *_key(template.school_id, template.id),
        version=template.version,
        name=template.name,
        category=template.category.value,
        text=template.text,
        drop_accents=template.drop_accents,
        saved_by=template.saved_by,
        saved_at=template.saved_at,
        created_by=template.created_by,
        created_at=template.created_at,
    )


def _version_row(template: Template) -> _VersionRow:
    return _VersionRow(
        *_version_key(template.school_id, template.id, template.version),
        name=template.name,
        category=template.category.value,
        text=template.text,
        drop_accents=template.drop_accents,
        saved_by=template.saved_by,
        saved_at=template.saved_at,
    )


def _template(school_id: str, row: _TemplateRow) -> Template:
    return Template(
        school_id=school_id,
        id=row.sk.removeprefix("TEMPLATE#"),
        version=int(row.version),
        newest_version=int(row.version),
        name=row.name,
        category=Category(row.category),
        text=row.text,
        drop_accents=row.drop_accents,
        saved_by=row.saved_by,
        saved_at=row.saved_at,
        created_by=row.created_by,
        created_at=row.created_at,
        archived_by=row.archived_by,
        archived_at=row.archived_at,
    )


def _version(template: Template, row: _VersionRow) -> Template:
    return replace(
        template,
        version=int(row.sk),
        name=row.name,
        category=Category(row.category),
        text=row.text,
        drop_accents=row.drop_accents,
        saved_by=row.saved_by,
        saved_at=row.saved_at,
    )
