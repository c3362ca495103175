"""The rows of one page of 100 recipients as the real `send` writes them, as JSON: what the null server answers with.

A process of its own: it imports moto, which would slow down whoever is measured.
"""

import contextlib
import io
import json
import sys
from typing import Any

from moto.backends import get_backend

from bench import world
from bench.meter import ACCOUNT, REGION
from tests import conftest

RECIPIENTS = 100
TABLES = ("MessagesTable", "PeopleTable")


def main() -> None:
    carrier = world.CarrierServer()
    with contextlib.redirect_stdout(io.StringIO()), world.school(RECIPIENTS):
        world.call("send", world.request_event())
        (job,) = conftest.jobs_on("BulkQueue")
        rows = {table: _rows(table) for table in TABLES}
    carrier.stop()
    json.dump(
        {
            "environment": conftest.environment(),
            "event": world.queue_event([job]),
            "master_secret": conftest.MASTER_SECRET,
            "tables": rows,
        },
        sys.stdout,
    )


def _rows(table: str) -> list[dict[str, Any]]:
    items = get_backend("dynamodb")[ACCOUNT][REGION].get_table(table).all_items()
    return [item.to_json()["Attributes"] for item in items]


if __name__ == "__main__":
    main()
