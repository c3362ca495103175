"""A school's webhook: where its events go, what signs them, and who brings them at this moment.

Two write it and never over each other: the school's settings under `version`, the worker under `owner`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from recado.rules.event_types import EventType
from recado.rules.webhook_deliveries import DisabledBecause, WebhookState
from recado.tables.base import BaseMeta, MessagesMeta, Row, Transaction, update_if
from recado.tables.events import FIRST_SHARD, SHARDS, shard_of


@dataclass(frozen=True, slots=True)
class Secret:
    """The n-th of the school's: derived, never stored. `until`: None for the newest. `made_for`: whose request."""

    number: int
    master_version: int
    made_at: datetime
    until: datetime | None = None
    made_for: str | None = None

    def signs(self, now: datetime) -> bool:
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Webhook:
    """`events`: the wanted types; None: all. `cursor`: up to which event all are taken up. `epoch`: one more with each
    webhook made anew. `failed_rounds` in a row; `failed_at`: the last of them. `wake_at`: for when a job was put.
    `pokes`: how often somebody said that there is something to do.
    """

    url: str
    events: tuple[EventType, ...] | None
    state: WebhookState
    state_since: datetime
    because: DisabledBecause | None
    created_at: datetime
    changed_at: datetime
    changed_by: str
    epoch: int
    version: int
    secrets: tuple[Secret, ...]
    cursor: int
    owner: str | None = None
    lease_until: datetime | None = None
    failed_rounds: int = 0
    failing_since: datetime | None = None
    failed_at: datetime | None = None
    paused_until: datetime | None = None
    wake_at: datetime | None = None
    pokes: int = 0

    def wants(self, event_type: EventType) -> bool:
        return event_type is EventType.WEBHOOK_TEST or self.events is None or event_type in self.events


class _AttentionIndex(GlobalSecondaryIndex[Any]):
    class Meta(BaseMeta):
        index_name = "Attention"
        projection = KeysOnlyProjection()

    attend_shard = NumberAttribute(hash_key=True)
    attend_at = UTCDateTimeAttribute(range_key=True)


class _WebhookRow(Row):
    class Meta(MessagesMeta):
        pass

    attention = _AttentionIndex()

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    url = UnicodeAttribute()
    events: JSONAttribute = JSONAttribute(null=True)
    state = UnicodeAttribute()
    state_since = UTCDateTimeAttribute()
    because = UnicodeAttribute(null=True)
    created_at = UTCDateTimeAttribute()
    changed_at = UTCDateTimeAttribute()
    changed_by = UnicodeAttribute()
    epoch = NumberAttribute()
    version = NumberAttribute()
    secrets = JSONAttribute()
    cursor = NumberAttribute()
    owner = UnicodeAttribute(null=True)
    lease_until = UTCDateTimeAttribute(null=True)
    failed_rounds = NumberAttribute(default=0)
    failing_since = UTCDateTimeAttribute(null=True)
    failed_at = UTCDateTimeAttribute(null=True)
    paused_until = UTCDateTimeAttribute(null=True)
    wake_at = UTCDateTimeAttribute(null=True)
    pokes = NumberAttribute(default=0)
    attend_shard = NumberAttribute(null=True)
    attend_at = UTCDateTimeAttribute(null=True)


def find_webhook(school_id: str) -> Webhook | None:
    """The school's webhook as it is, or as it was when it was deleted."""
    try:
        return _webhook(_WebhookRow.get(*_key(school_id), consistent_read=True))
    except _WebhookRow.DoesNotExist:
        return None


def save_webhook(
    write: Transaction,
    school_id: str,
    after: Webhook,
    before: Webhook | None,
    *,
    attend_at: datetime | None,
    moved: Exception,
) -> None:
    """Writes the settings' half of a webhook, if that is as it was read; the worker's half only with a new `epoch`."""
    is_new = before is None or before.epoch != after.epoch
    actions = [
        _WebhookRow.url.set(after.url),
        _set(_WebhookRow.events, None if after.events is None else [one.value for one in after.events]),
        _WebhookRow.state.set(after.state.value),
        _WebhookRow.state_since.set(after.state_since),
        _set(_WebhookRow.because, after.because.value if after.because else None),
        _WebhookRow.created_at.set(after.created_at),
        _WebhookRow.changed_at.set(after.changed_at),
        _WebhookRow.changed_by.set(after.changed_by),
        _WebhookRow.epoch.set(after.epoch),
        _WebhookRow.version.set(1 if before is None else before.version + 1),
        _WebhookRow.secrets.set([_secret_values(one) for one in after.secrets]),
        _WebhookRow.pokes.add(1),
    ]
    if is_new:
        actions.append(_WebhookRow.cursor.set(after.cursor))
    if is_new or before is None or after.state is not before.state:  # whoever works for it has nothing to do here
        actions += [_WebhookRow.owner.remove(), _WebhookRow.lease_until.remove(), _WebhookRow.wake_at.remove()]
    if is_new or before is None or (after.state, after.url) != (before.state, before.url):
        actions += [_WebhookRow.failed_rounds.set(0)]  # another start, with no failures behind it
        actions += [_WebhookRow.failing_since.remove(), _WebhookRow.failed_at.remove()]
        actions += [_WebhookRow.paused_until.remove()]
    if attend_at is not None or after.state is not WebhookState.ENABLED:
        actions += _attend(school_id, attend_at)
    condition = _WebhookRow.pk.does_not_exist() if before is None else _WebhookRow.version == before.version
    write.update(_WebhookRow(*_key(school_id)), actions, condition, lambda _: moved)


def poke(write: Transaction, school_id: str, seen: Webhook, attend_at: datetime, moved: Exception) -> None:
    """Says that there is something to do now. Refused when the webhook is not as it was read."""
    actions = [_WebhookRow.pokes.add(1), *_attend(school_id, attend_at)]
    write.update(_WebhookRow(*_key(school_id)), actions, _WebhookRow.version == seen.version, lambda _: moved)


def claim(school_id: str, seen: Webhook, mine: Webhook) -> Webhook | None:
    """Takes a webhook that nobody works for, or whose worker's time is over; None: somebody else has it.

    `mine`: with the owner and the lease. Whoever claims and dies is looked after when the lease is over.
    """
    is_free = _WebhookRow.owner.does_not_exist()
    if seen.owner is not None:
        is_free = (_WebhookRow.owner == seen.owner) & (_WebhookRow.lease_until == seen.lease_until)
    is_ours = _WebhookRow.owner == mine.owner  # our own write, whose answer was lost
    row = _WebhookRow(*_key(school_id))
    actions = [
        _set(_WebhookRow.owner, mine.owner),
        _set(_WebhookRow.lease_until, mine.lease_until),
        *_failing(mine),
        *_attend(school_id, mine.lease_until),
    ]
    is_enabled = _WebhookRow.state == WebhookState.ENABLED.value
    if not update_if(row, actions, is_enabled & (_WebhookRow.version == seen.version) & (is_free | is_ours)):
        return None
    return _webhook(row)


def move_cursor(write: Transaction, school_id: str, seen: Webhook, cursor: int, moved: Exception) -> None:
    """All events up to this one are taken up. Refused when another worker did, or the webhook is another one now."""
    condition = _is_mine(seen) & (_WebhookRow.cursor == seen.cursor)
    write.update(_WebhookRow(*_key(school_id)), [_WebhookRow.cursor.set(cursor)], condition, lambda _: moved)


def release(school_id: str, mine: Webhook, *, attend_at: datetime | None) -> bool:
    """Lets go, and says when to look again. False: somebody said that there is more to do, or it is not ours now."""
    actions = [
        _WebhookRow.owner.remove(),
        _WebhookRow.lease_until.remove(),
        _set(_WebhookRow.wake_at, mine.wake_at),
        *_attend(school_id, attend_at),
    ]
    condition = _is_mine(mine) & (_WebhookRow.pokes == mine.pokes)
    return update_if(_WebhookRow(*_key(school_id)), actions, condition)


def note_failing(school_id: str, mine: Webhook) -> bool:
    """Keeps what was learnt of the portal; False when it is another one by now."""
    condition = _is_mine(mine) & (_WebhookRow.version == mine.version)
    return update_if(_WebhookRow(*_key(school_id)), _failing(mine), condition)


def take_due(shard: int, now: datetime, *, look_again: datetime, limit: int) -> list[str]:
    """Schools of one shard to be looked after now, for events or for what is due; the longest overdue first.

    Each is taken by whoever moves its time on to `look_again`. A school that is owed both comes twice.
    """
    found = _WebhookRow.attention.query(
        FIRST_SHARD + shard, range_key_condition=_AttentionIndex.attend_at <= now, limit=limit, page_size=limit
    )
    # The counter of events waits in the same index under the same names: one update serves both.
    return [
        row.pk.split("#")[1]
        for row in found
        if update_if(
            _WebhookRow(row.pk, row.sk),
            [_WebhookRow.attend_at.set(look_again)],
            _WebhookRow.attend_at == row.attend_at,
        )
    ]


def shards() -> range:
    return range(SHARDS)


def _is_mine(mine: Webhook) -> Condition:
    found: Condition = (
        (_WebhookRow.owner == mine.owner)
        & (_WebhookRow.epoch == mine.epoch)
        & (_WebhookRow.state == WebhookState.ENABLED.value)
    )
    return found


def _failing(mine: Webhook) -> list[Action]:
    return [
        _WebhookRow.failed_rounds.set(mine.failed_rounds),
        _set(_WebhookRow.failing_since, mine.failing_since),
        _set(_WebhookRow.failed_at, mine.failed_at),
        _set(_WebhookRow.paused_until, mine.paused_until),
    ]


def _attend(school_id: str, attend_at: datetime | None) -> list[Action]:
    if attend_at is None:
        return [_WebhookRow.attend_shard.remove(), _WebhookRow.attend_at.remove()]
    return [_WebhookRow.attend_shard.set(shard_of(school_id)), _WebhookRow.attend_at.set(attend_at)]


def _set(attribute: Any, value: Any) -> Action:
    found: Action = attribute.remove() if value is None else attribute.set(value)
    return found


def _key(school_id: str) -> tuple[str, str]:
    return f"S#{school_id}#WEBHOOK", "webhook"


def _secret_values(one: Secret) -> dict[str, Any]:
    return {
        "number": one.number,
        "master": one.master_version,
        "at": one.made_at.isoformat(),
        "until": one.until.isoformat() if one.until else None,
        "for": one.made_for,
    }


def _secrets(found: Sequence[Mapping[str, Any]]) -> tuple[Secret, ...]:
    return tuple(
        Secret(
            number=one["number"],
            master_version=one["master"],
            made_at=datetime.fromisoformat(one["at"]),
            until=datetime.fromisoformat(one["until"]) if one["until"] else None,
            made_for=one["for"],
        )
        for one in found
    )


def _webhook(row: _WebhookRow) -> Webhook:
    return Webhook(
        url=row.url,
        events=None if row.events is None else tuple(EventType(one) for one in row.events),
        state=WebhookState(row.state),
        state_since=row.state_since,
        because=DisabledBecause(row.because) if row.because else None,
        created_at=row.created_at,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
        epoch=int(row.epoch),
        version=int(row.version),
        secrets=_secrets(row.secrets),
        cursor=int(row.cursor),
        owner=row.owner,
        lease_until=row.lease_until,
        failed_rounds=int(row.failed_rounds),
        failing_since=row.failing_since,
        failed_at=row.failed_at,
        paused_until=row.paused_until,
        wake_at=row.wake_at,
        pokes=int(row.pokes),
    )
