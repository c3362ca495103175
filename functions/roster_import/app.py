"""Roster imports at work: a file has been put into the import bucket, or a job says that one owes a step."""

import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.typing import LambdaContext

from recado import clock, log, roster_import
from recado.errors import NotFound
from recado.import_holds import TimeLeft
from recado.tables.imports import Import

ID = "[A-Za-z0-9._-]{1,64}"
SCHOOL = "[A-Za-z0-9._~-]{1,70}"
ASKED_FOR = re.compile(rf"imports/(?P<school>{SCHOOL})/(?P<import>{ID})/(?P<file>[a-z.]{{1,40}})")
AT_ONCE = re.compile(
    rf"imports/(?P<school>{SCHOOL})/(?P<import>{ID})\.zip"
)  # the operator's: with AWS credentials only


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Whatever raises here is tried again: by Lambda, by the queue, and within three minutes by the minute's run."""

    def time_left() -> timedelta:
        return timedelta(milliseconds=context.get_remaining_time_in_millis())

    for record in event["Records"]:
        if "s3" in record:
            note_upload(unquote_plus(record["s3"]["object"]["key"]), time_left)
        else:
            job = json.loads(record["body"])
            work(job["school"], job["import"], time_left)
    return {"batchItemFailures": []}


def note_upload(key: str, time_left: TimeLeft) -> None:
    asked_for, at_once = ASKED_FOR.fullmatch(key), AT_ONCE.fullmatch(key)
    try:
        if asked_for is not None:
            school, import_id, file = asked_for["school"], asked_for["import"], asked_for["file"]
            _say(school, roster_import.note_upload(school, import_id, file, clock.now, time_left))
        elif at_once is not None:
            school, import_id = at_once["school"], at_once["import"]
            _say(school, roster_import.import_roster(school, import_id, clock.now, time_left))
        else:
            log.trouble("roster_key_refused")
    except NotFound as error:
        log.trouble("roster_upload_unasked", error)


def work(school: str, import_id: str, time_left: TimeLeft) -> None:
    try:
        _say(school, roster_import.work(school, import_id, clock.now, time_left))
    except NotFound as error:
        log.trouble("roster_job_of_nothing", error)


def _say(school: str, one: Import) -> None:
    log.outcome(
        "roster_import",
        school=school,
        import_id=one.id,
        state=one.state.value,
        bad_rows=one.bad_rows_count,
        written=one.progress.done,
        total=one.progress.total,
    )
