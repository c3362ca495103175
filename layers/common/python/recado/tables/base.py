"""What every table shares: the five PynamoDB base models, and transactions whose refusals have names.

It must never decide: it says what a write expects, and which error it is when the row was otherwise.
"""

import random
import time
from collections.abc import Callable, Sequence
from functools import cache
from types import TracebackType
from typing import Any, Self

from pynamodb.attributes import Attribute
from pynamodb.connection import Connection, TableConnection
from pynamodb.exceptions import DeleteError, PutError, PynamoDBException, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from recado.settings import SETTINGS

CONFLICT_ATTEMPTS_MAX = 6
READ_TIMEOUT_SECONDS = 4
CONNECT_TIMEOUT_SECONDS = 2
RETRIES_MAX = 2  # 3 attempts of at most 6 s: under API Gateway's 29 s and a wave's lease of 30 s

type Refused = Callable[[dict[str, Any] | None], Exception]


class BaseMeta:
    """PynamoDB's settings for every table; the region and the endpoint come from the environment."""

    connect_timeout_seconds = CONNECT_TIMEOUT_SECONDS
    read_timeout_seconds = READ_TIMEOUT_SECONDS
    max_retry_attempts = RETRIES_MAX
    max_pool_connections = 32


class LedgerMeta(BaseMeta):
    table_name = SETTINGS.ledger_table


class PeopleMeta(BaseMeta):
    table_name = SETTINGS.people_table


class MessagesMeta(BaseMeta):
    table_name = SETTINGS.messages_table


class SessionsMeta(BaseMeta):
    table_name = SETTINGS.sessions_table


class RoutesMeta(BaseMeta):
    table_name = SETTINGS.routes_table


def is_refused(error: PynamoDBException) -> bool:
    """Whether a single write was refused by its own condition; an answer that never came is no refusal."""
    return _code_of(error) == "ConditionalCheckFailedException"


def put_if(row: Model, condition: Condition) -> bool:
    """Puts a row under a condition; False when the condition did not hold."""
    return _written_if(lambda: row.save(condition=condition))


def update_if(row: Model, actions: Sequence[Action], condition: Condition) -> bool:
    """Updates a row under a condition and refreshes `row`; False when the condition did not hold."""
    return _written_if(lambda: row.update(actions=list(actions), condition=condition))


def delete_if(row: Model, condition: Condition | None) -> bool:
    """Deletes a row under a condition; False when the condition did not hold."""
    return _written_if(lambda: row.delete(condition=condition))


def _written_if(write: Callable[[], object]) -> bool:
    """Whether the condition held. A write that met somebody's transaction was not made, and is tried again."""
    for attempt in range(CONFLICT_ATTEMPTS_MAX):
        try:
            write()
        except (PutError, UpdateError, DeleteError) as error:
            if is_refused(error):
                return False
            if _code_of(error) != "TransactionConflictException" or attempt == CONFLICT_ATTEMPTS_MAX - 1:
                raise
            _let_others_finish(attempt)
        else:
            break
    return True


def _code_of(error: PynamoDBException) -> str | None:
    # Not `cause_response_code`: it fails itself on a timeout, which has no response.
    response = getattr(error.cause, "response", None) or {}
    code: str | None = response.get("Error", {}).get("Code")
    return code


def _let_others_finish(attempt: int) -> None:
    time.sleep(random.uniform(0.01, 0.05) * 2**attempt)  # noqa: S311  # spreads contenders, hides nothing


class Contended(TransactWriteError):
    """A transaction was not made, for its rows were in others' each time: neither refused nor unknown."""


class Transaction:
    """Up to 100 conditional writes, all or none. Use as a context manager; it commits on leaving.

    Each write names the error of its refusal: a function of the row as it was (raw, or None when absent). When several
    were refused, the one added first speaks: add the row that proves "already done" first.
    """

    def __init__(self) -> None:
        self._adders: list[tuple[int, Callable[[TransactWrite], None], Refused]] = []

    def __len__(self) -> int:
        return len(self._adders)

    def put(self, row: Model, condition: Condition, refused: Refused) -> None:
        self._adders.append((2, lambda write: write.save(row, condition=condition, return_values="ALL_OLD"), refused))

    def update(self, row: Model, actions: Sequence[Action], condition: Condition | None, refused: Refused) -> None:
        def add(write: TransactWrite) -> None:
            write.update(row, actions=list(actions), condition=condition, return_values="ALL_OLD")

        self._adders.append((3, add, refused))

    def check(self, model: type[Model], pk: str, sk: str, condition: Condition, refused: Refused) -> None:
        self._adders.append((0, lambda write: write.condition_check(model, pk, sk, condition=condition), refused))

    def delete(self, row: Model, condition: Condition | None, refused: Refused) -> None:
        self._adders.append((1, lambda write: write.delete(row, condition=condition), refused))

    def commit(self) -> None:
        """Raises the first refusal's error; a conflict with another transaction is tried again, a few times."""
        for attempt in range(CONFLICT_ATTEMPTS_MAX):
            try:
                with TransactWrite(connection=shared_connection()) as write:
                    for _, add, _ in self._adders:
                        add(write)
            except TransactWriteError as error:
                refusal = self._refusal(error)
                if refusal is not None:
                    raise refusal from error
                if not _is_conflict(error):
                    raise
                if attempt == CONFLICT_ATTEMPTS_MAX - 1:
                    raise Contended(error.msg, error.cause) from error
                _let_others_finish(attempt)
            else:
                return

    def _refusal(self, error: TransactWriteError) -> Exception | None:
        # PynamoDB sends checks, deletes, puts, updates in this order; the reasons come back in it.
        sent = sorted(range(len(self._adders)), key=lambda added: (self._adders[added][0], added))
        for added, (_, _, refused) in enumerate(self._adders):
            reasons = error.cancellation_reasons
            reason = reasons[sent.index(added)] if reasons else None
            if reason is not None and reason.code == "ConditionalCheckFailed":
                return refused(reason.raw_item)
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._adders:
            self.commit()


def _is_conflict(error: TransactWriteError) -> bool:
    codes = {reason.code for reason in error.cancellation_reasons if reason is not None}
    return bool(codes & {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})


class Row(Model):
    """What every model inherits: one DynamoDB client for all of them (PynamoDB would make one a model, at start-up)."""

    @classmethod
    def _get_connection(cls) -> TableConnection:
        table = super()._get_connection()
        if table.connection._client is None:  # noqa: SLF001
            table.connection._client = shared_connection().client  # noqa: SLF001
        return table


@cache
def shared_connection() -> Connection:
    """The connection whose client everything uses; tests and the simulation attach their faults to it."""
    return Connection(
        connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
        read_timeout_seconds=READ_TIMEOUT_SECONDS,
        max_retry_attempts=RETRIES_MAX,
        max_pool_connections=BaseMeta.max_pool_connections,
    )


def read_raw[T](attribute: Attribute[T], raw: dict[str, Any] | None) -> T | None:
    """One attribute of a raw row that a refusal brought back; None when it is not there."""
    if raw is None or attribute.attr_name not in raw:
        return None
    found: T = attribute.deserialize(attribute.get_value(raw[attribute.attr_name]))
    return found
