"""A large audience being planned: one row a message, with how far it has come and who is at it until when.

A worker that ends in good order leaves its place to the next one. One that died may still be writing pages: whoever
comes after begins again under another plan's number, so that nobody writes into anybody's pages.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.expressions.condition import Condition

from recado.tables.base import MessagesMeta, Row, Transaction, put_if, update_if


class Purpose(StrEnum):
    """What a plan is made for."""

    ESTIMATE = "estimate"
    SEND = "send"
    RELEASE = "release"  # of a scheduled message whose time is coming


@dataclass(frozen=True, slots=True)
class Planning:
    """`revision` is the message's as it is planned; `order` what is asked of it then; `totals`, `place` how far.

    `job_until`: until then its job is surely on its way; whoever looks later, and finds nobody at it, puts another.
    """

    school_id: str
    message_id: str
    plan: str
    revision: int
    purpose: Purpose
    started_at: datetime
    order: Mapping[str, Any] = field(default_factory=dict)
    place: str | None = None
    totals: Mapping[str, Any] | None = None
    owner: str | None = None
    lease_until: datetime | None = None
    job_until: datetime | None = None
    done_at: datetime | None = None
    refusal: Mapping[str, Any] | None = None

    def is_left(self, now: datetime) -> bool:
        """Whether nobody is at it, or whoever was is dead by contract."""
        return self.done_at is None and (self.lease_until is None or now >= self.lease_until)


class _PlanningRow(Row):
    class Meta(MessagesMeta):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    plan = UnicodeAttribute()
    revision = NumberAttribute()
    purpose = UnicodeAttribute()
    started_at = UTCDateTimeAttribute()
    order = JSONAttribute()
    place = UnicodeAttribute(null=True)
    totals = JSONAttribute(null=True)
    owner = UnicodeAttribute(null=True)
    lease_until = UTCDateTimeAttribute(null=True)
    job_until = UTCDateTimeAttribute(null=True)
    done_at = UTCDateTimeAttribute(null=True)
    refusal = JSONAttribute(null=True)


def find_planning(school_id: str, message_id: str) -> Planning | None:
    """A message's planning, consistently."""
    try:
        row = _PlanningRow.get(*_key(school_id, message_id), consistent_read=True)
    except _PlanningRow.DoesNotExist:
        return None
    return Planning(
        school_id=school_id,
        message_id=message_id,
        plan=row.plan,
        revision=int(row.revision),
        purpose=Purpose(row.purpose),
        started_at=row.started_at,
        order=row.order,
        place=row.place,
        totals=row.totals,
        owner=row.owner,
        lease_until=row.lease_until,
        job_until=row.job_until,
        done_at=row.done_at,
        refusal=row.refusal,
    )


def create_planning(planning: Planning, *, was: Planning | None) -> bool:
    """Begins a plan in the place of the one that was seen; False when that one is not there any more."""
    return put_if(_row(planning), _is_still(was))


def create_planning_in(write: Transaction, planning: Planning, *, was: Planning | None, refused: Exception) -> None:
    """The same, as part of a transaction."""
    write.put(_row(planning), _is_still(was), lambda _: refused)


def take_planning(planning: Planning, owner: str, lease_until: datetime) -> bool:
    """Takes a plan that nobody is at; False when somebody is, or has been further, or another is in its place."""
    is_here = _PlanningRow.place == planning.place if planning.place else _PlanningRow.place.does_not_exist()
    condition = (
        (_PlanningRow.plan == planning.plan)
        & _PlanningRow.done_at.does_not_exist()
        & _PlanningRow.lease_until.does_not_exist()
        & is_here
    )
    actions = [_PlanningRow.owner.set(owner), _PlanningRow.lease_until.set(lease_until)]
    return update_if(_PlanningRow(*_key(planning.school_id, planning.message_id)), actions, condition)


def note_job(planning: Planning, job_until: datetime) -> bool:
    """Takes it on oneself to put a fresh job for a plan; False when somebody else has, or another is in its place."""
    seen = _PlanningRow.job_until == planning.job_until
    condition = (_PlanningRow.plan == planning.plan) & (
        seen if planning.job_until else _PlanningRow.job_until.does_not_exist()
    )
    row = _PlanningRow(*_key(planning.school_id, planning.message_id))
    return update_if(row, [_PlanningRow.job_until.set(job_until)], condition)


def note_progress(
    planning: Planning, owner: str, place: str, totals: Mapping[str, Any], lease_until: datetime | None
) -> bool:
    """Keeps how far the owner is; without a lease it leaves the rest to whoever comes. False: it is not theirs now."""
    lease = _PlanningRow.lease_until.remove() if lease_until is None else _PlanningRow.lease_until.set(lease_until)
    actions = [_PlanningRow.place.set(place), _PlanningRow.totals.set(dict(totals)), lease]
    return update_if(_PlanningRow(*_key(planning.school_id, planning.message_id)), actions, _is_owners(planning, owner))


def finish_planning(
    planning: Planning,
    owner: str,
    now: datetime,
    *,
    totals: Mapping[str, Any] | None,
    refusal: Mapping[str, Any] | None,
) -> bool:
    """Says that the plan is made, or why it cannot be; False when it is not the owner's any more."""
    actions = [_PlanningRow.done_at.set(now), _PlanningRow.lease_until.remove()]
    if totals is not None:
        actions.append(_PlanningRow.totals.set(dict(totals)))
    if refusal is not None:
        actions.append(_PlanningRow.refusal.set(dict(refusal)))
    return update_if(_PlanningRow(*_key(planning.school_id, planning.message_id)), actions, _is_owners(planning, owner))


def _row(planning: Planning) -> _PlanningRow:
    return _PlanningRow(
        *_key(planning.school_id, planning.message_id),
        plan=planning.plan,
        revision=planning.revision,
        purpose=planning.purpose.value,
        started_at=planning.started_at,
        order=dict(planning.order),
        job_until=planning.job_until,
    )


def _is_still(was: Planning | None) -> Condition:
    return _PlanningRow.pk.does_not_exist() if was is None else _PlanningRow.plan == was.plan


def _is_owners(planning: Planning, owner: str) -> Condition:
    condition: Condition = (_PlanningRow.plan == planning.plan) & (_PlanningRow.owner == owner)
    return condition


def _key(school_id: str, message_id: str) -> tuple[str, str]:
    return f"S#{school_id}#M#{message_id}", "planning"
