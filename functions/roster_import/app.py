"""A OneRoster zip has been put into the import bucket: apply it. The key says whose it is; portals get it signed."""

import re
from typing import Any
from urllib.parse import unquote_plus

from recado import clock, log, roster_import
from recado.errors import NotFound

# A sandbox's id ends in "~test".
KEY = re.compile(r"imports/(?P<school>[A-Za-z0-9._-]{1,64}(?:~test)?)/(?P<import>[A-Za-z0-9._-]{1,64})\.zip")


def handler(event: dict[str, Any], _context: object) -> None:
    """Whatever raises here is tried again by Lambda, twice; importing again ends the same."""
    for record in event["Records"]:
        import_uploaded(unquote_plus(record["s3"]["object"]["key"]))


def import_uploaded(key: str) -> None:
    named = KEY.fullmatch(key)
    if named is None:
        log.trouble("roster_key_refused")
        return
    try:
        result = roster_import.import_roster(named["school"], named["import"], key, clock.now)
    except NotFound as error:
        log.trouble("roster_school_unknown", error, import_id=named["import"])
        return
    log.outcome(
        "roster_imported",
        school=named["school"],
        import_id=result.id,
        state=result.state.value,
        bad_rows=result.bad_rows_count,
        **result.counts,
    )
