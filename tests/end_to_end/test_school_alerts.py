"""What a school's portal does with its alerts, over HTTP, on a whole stack: from its roster to what families received.

The school is made for this file; a test key's sandbox is in test_sandbox.py.
"""

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import pytest

from local.api import Answer, Api, Key
from tests.end_to_end.conftest import AUDIENCE_MAX, Stack
from tests.end_to_end.test_stack import wait_for

SCHOOL = "las-lengas"
ZONE = "America/Santiago"
FAMILIES_OF_2B = 60  # three waves
FOREIGN = "guardian-06"  # her number is Dominican
SLOW_SECONDS = 2.0
SOON = timedelta(seconds=3)
A_MINUTE_AND_MORE = 100

USERS = (
    "sourcedId",
    "enabledUser",
    "orgSourcedIds",
    "role",
    "username",
    "givenName",
    "familyName",
    "sms",
    "agentSourcedIds",
)
OF_1A = (  # student, given name, guardians
    ("student-01", "Ana", "guardian-01"),
    ("student-02", "Luis", "guardian-01"),
    ("student-03", "Elisa", "guardian-03"),
    ("student-04", "Iván", "guardian-04"),
    ("student-05", "Sara", "guardian-05"),
    ("student-06", "Pedro", FOREIGN),
    ("student-07", "Julia", "guardian-07,guardian-08"),
)
NUMBERS_OF_1A = {
    "guardian-01": "+56 9 5555 6001",
    "guardian-03": "9 5555 6003",
    "guardian-04": "",
    "guardian-05": "12345",
    FOREIGN: "+1 809 555 0160",
    "guardian-07": "955556007",
    "guardian-08": "+56 9 5555 6007",
}


@dataclass(frozen=True)
class School:
    """The school of this file, and its portal. `shown` is its import as it was before it was applied."""

    stack: Stack
    key: Key
    shown: dict[str, Any]
    new: list[str]
    applied: dict[str, Any]
    soon_id: str

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = None, person: str = "") -> Answer:
        """As the director; with `person`, as that guardian."""
        return self.stack.api.call(method, path, self._token(person), body, key)

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None, person: str = "") -> Any:
        return self.stack.api.need(method, path, self._token(person), body, key)

    def of_operator(self, method: str, path: str, body: Any, key: str | None = None) -> Any:
        return ask_operator(self.stack, method, f"/operator/schools/{SCHOOL}{path}", body, key)

    def available(self) -> int:
        return sum(one["available"] for one in self.ask("GET", "/credits")["accounts"] if one["zone"] == "domestic")

    def _token(self, person: str) -> str:
        now = datetime.now(UTC)
        return (
            self.key.token("guardian", person, now, person=person) if person else self.key.token("director", "d-1", now)
        )


# --- the school ----------------------------------------------------------------------------------------------------


def ask_operator(stack: Stack, method: str, path: str, body: Any, key: str | None = None) -> Any:
    return stack.api.need(method, path, stack.operator.token("operator", "support", datetime.now(UTC)), body, key)


def roster() -> bytes:
    """OneRoster 1.1: 1A has a family for each of what may be with a number, 2B sixty that can be written to."""
    of_2b = [(f"student-{n}", f"Nombre{n}", f"guardian-{n}") for n in range(100, 100 + FAMILIES_OF_2B)]
    numbers = NUMBERS_OF_1A | {guardian: f"9 5555 7{guardian[-3:]}" for _, _, guardian in of_2b}
    users = [("teacher-1", "true", SCHOOL, "teacher", "t1", "Teresa", "Lagos", "", "")]
    users += [(one, "true", SCHOOL, "student", one, name, "Rojas", "", of) for one, name, of in (*OF_1A, *of_2b)]
    users += [(one, "true", SCHOOL, "guardian", one, "Rosa", "Rojas", number, "") for one, number in numbers.items()]
    enrolled = [("course-1a", one) for one, _, _ in OF_1A] + [("course-2b", one) for one, _, _ in of_2b]
    files: dict[str, list[tuple[str, ...]]] = {
        "manifest.csv": [("propertyName", "value"), ("manifest.version", "1.0"), ("oneroster.version", "1.1")],
        "orgs.csv": [("sourcedId", "name", "type"), (SCHOOL, "Colegio Las Lengas", "school")],
        "classes.csv": [
            ("sourcedId", "title", "grades", "courseSourcedId", "classType", "schoolSourcedId", "termSourcedIds"),
            ("course-1a", "1 Básico A", "01", "p1", "homeroom", SCHOOL, "t1"),
            ("course-2b", "2 Básico B", "02", "p2", "homeroom", SCHOOL, "t1"),
        ],
        "users.csv": [USERS, *users],
        "enrollments.csv": [
            ("sourcedId", "classSourcedId", "schoolSourcedId", "userSourcedId", "role"),
            *((f"e-{one}", course, SCHOOL, one, "student") for course, one in enrolled),
        ],
    }
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        for name, rows in files.items():
            text = io.StringIO()
            csv.writer(text).writerows(rows)
            archive.writestr(name, text.getvalue())
    return zipped.getvalue()


def upload(url: str, content: bytes) -> int:
    """As anybody who has the address: no token."""
    place = urlsplit(url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=30)
    try:
        connection.request("PUT", f"{place.path}?{place.query}", content)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture(scope="module")
def school(stack: Stack) -> School:
    made = {"id": SCHOOL, "name": "Colegio Las Lengas", "country": "CL", "time_zone": ZONE, "code": "20610"}
    ask_operator(stack, "POST", "/operator/schools", made, "lengas")
    secret = ask_operator(stack, "POST", f"/operator/schools/{SCHOOL}/keys", {}, "lengas-key")
    key = Key(SCHOOL, secret["key_id"], secret["secret"])
    ask_operator(stack, "POST", f"/operator/schools/{SCHOOL}/bags", {"bag": "domestic-500"}, "lengas-bag")
    empty = School(stack, key, {}, [], {}, "")

    # Its roster: uploaded, compared, looked at, applied.
    begun = empty.ask("POST", "/imports", {}, key="roster")
    assert upload(begun["uploads"][0]["url"], roster()) == 200
    place = f"/imports/{begun['id']}"
    shown = wait_for(lambda: in_state(empty, place, "ready"), "the roster to be compared", 60)
    new, following = list[str](), ""
    while following is not None:
        page = empty.ask("GET", f"{place}/changes?change=new" + (f"&cursor={following}" if following else ""))
        new, following = new + [one["id"] for one in page["changes"]], page["next"]
    empty.ask("POST", f"{place}/apply", {})
    applied = wait_for(lambda: in_state(empty, place, "done"), "the roster to be applied", 60)

    # And one message that waits, for the last test: the others run meanwhile.
    at = (datetime.now(UTC) + SOON).isoformat()
    soon = empty.ask(
        "POST", "/messages", alert("El bus sale a las 8.", send={"at": at}, people=["guardian-01"]), key="soon"
    )
    return School(stack, key, shown, new, applied, soon["id"])


def in_state(school: School, place: str, state: str) -> dict[str, Any] | None:
    seen: dict[str, Any] = school.ask("GET", place)
    assert seen["state"] not in {"refused", "discarded"}, seen
    return seen if seen["state"] == state else None


# --- what portals ask ----------------------------------------------------------------------------------------------


def alert(text: str, *groups: str, people: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """To guardians of groups, or to some people."""
    audience = {"who": ["guardians"], "groups": list(groups)} if groups else {"people": people}
    return {"text": text, "category": "meeting", "audience": audience, **more}


def seen_when(school: School, message_id: str, is_so: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
    """The message as soon as it is so."""
    last: dict[str, Any] = {}

    def look() -> dict[str, Any] | None:
        last.update(school.ask("GET", f"/messages/{message_id}"))
        return last if is_so(last) else None

    return wait_for(look, what, 60, lambda: f"{last['state']} {last['counts']}")


def is_delivered(message: dict[str, Any]) -> bool:
    counts: dict[str, int] = message["counts"]
    return message["state"] == "sent" and counts == {"delivered": message["recipients"]}


def texts_on(stack: Stack, number: str) -> list[str]:
    return [one["text"] for one in Api(stack.handsets.url).need("GET", f"/handsets/{quote(number)}")["texts"]]


def is_shown(stack: Stack, text: str) -> bool:
    """Whether any handset has got it."""
    return any(one["last"]["text"] == text for one in Api(stack.handsets.url).need("GET", "/handsets"))


@contextmanager
def faults(stack: Stack, **told: float) -> Iterator[None]:
    """The simulated carrier does badly until the block ends."""
    handsets = Api(stack.handsets.url)
    handsets.need("PUT", "/faults", body=told)
    try:
        yield
    finally:
        handsets.need("PUT", "/faults", body={})


# --- the claims ----------------------------------------------------------------------------------------------------


def test_a_roster_is_compared_before_it_is_applied_and_applying_it_again_changes_nothing(school: School) -> None:
    """L3, L14: who is in which course, and who has no number that can be used."""
    people = 1 + 2 * (7 + FAMILIES_OF_2B)

    again = school.call("POST", f"/imports/{school.applied['id']}/apply", {})
    groups = {one["id"]: one["guardians"] for one in school.ask("GET", "/groups")["groups"]}
    without = school.ask("GET", "/people/unreachable?group=course-1a")["people"]

    assert school.shown["counts"] == {"new": people, "changed": 0, "unchanged": 0, "gone": 0}
    assert school.shown["bad_rows_count"] == 0
    assert {"guardian-01", "student-159", "teacher-1", "course-1a"} <= set(school.new)
    assert (again.status, again.body["state"]) == (202, "done")
    assert (groups["course-1a"], groups["course-2b"]) == (7, FAMILIES_OF_2B)
    assert {"guardian-04", "guardian-05"} <= {one["id"] for one in without}


def test_what_was_shown_goes_out_or_the_plan_has_changed(school: School) -> None:
    """L9, L10, L11, L12: somebody opts out between estimate and send; then each sees what became of whom."""
    body = alert("Mañana no hay clases, {guardian}: {student}.", "course-1a")
    body["audience"]["minus_people"] = [FOREIGN]
    first = school.ask("POST", "/messages/estimate", body)

    school.ask("PUT", "/me/sms", {"allowed": False, "reason": "No más SMS"}, person="guardian-03")
    refused = school.call("POST", "/messages", body | {"send": "now", "digest": first["digest"]}, key="shown")
    second = school.ask("POST", "/messages/estimate", body)
    sent = school.ask("POST", "/messages", body | {"send": "now", "digest": second["digest"]}, key="shown-again")
    seen = seen_when(school, sent["id"], is_delivered, "every receipt")
    lines = school.ask("GET", f"/messages/{sent['id']}/recipients")["recipients"]
    report = school.ask("GET", f"/messages/{sent['id']}/recipients.csv?lang=en")
    statement = school.ask("GET", f"/messages/{sent['id']}/statement")

    assert first["by_state"] == {"sendable": 3, "duplicate_of": 1, "no_number": 1, "unusable_number": 1}
    assert (refused.status, refused.body["code"]) == (409, "plan_changed")
    (changed,) = refused.body["people"]
    assert (changed["id"], changed["was"], changed["is"]) == ("guardian-03", "sendable", "opted_out")
    assert [one["id"] for one in second["recipients"] if one["is_red"]] == ["guardian-03"]
    assert sent["credits_held"] == second["credits"] == seen["credits_captured"] == statement["captured"]
    assert {(one["people"][0]["id"], one["state"], one["charged"], one["is_red"]) for one in lines} == {
        ("guardian-01", "delivered", "yes", False),
        ("guardian-07", "delivered", "yes", False),
        ("guardian-03", "opted_out", "no", True),
        ("guardian-04", "no_number", "no", False),
        ("guardian-05", "unusable_number", "no", False),
    }
    assert [line[:2] for line in list(csv.reader(io.StringIO(report)))[1:2]] == [["'+56955556001", "Rosa Rojas"]]
    (of_both,) = [one for one in texts_on(school.stack, "+56955556001") if "no hay clases" in one]
    assert "Ana" in of_both
    assert "Luis" in of_both, "one text for both children"
    assert not [one for one in texts_on(school.stack, "+56955556003") if "no hay clases" in one]


def test_a_scheduled_message_has_a_local_time_moves_and_gives_its_credits_back(school: School) -> None:
    there = ZoneInfo(ZONE)
    day, other_day = [datetime.now(there).date() + timedelta(days=days) for days in (30, 200)]
    before = school.available()
    draft = school.ask("POST", "/messages", alert("Reunión el lunes.", "course-2b"), key="scheduled")
    place = f"/messages/{draft['id']}"

    waits = school.ask("POST", f"{place}/schedule", {"at": f"{day}T08:00"})
    held = school.available()
    moved = school.ask("POST", f"{place}/schedule", {"at": f"{other_day}T08:00"})
    cancelled = school.ask("POST", f"{place}/cancel")

    for message, on in ((waits, day), (moved, other_day)):
        local = datetime(on.year, on.month, on.day, 8, tzinfo=there)
        assert message["send_at_local"] == local.isoformat(), "with the offset of that day"
        assert datetime.fromisoformat(message["send_at"]) == local
    assert held == before - FAMILIES_OF_2B
    assert (cancelled["state"], cancelled["cancelled_by"]) == ("cancelled", "d-1")
    assert school.available() == before


def test_a_message_in_flight_is_stopped_and_pays_for_what_went_out(school: School) -> None:
    text = "Alerta que se detiene."
    with faults(school.stack, slow_seconds=SLOW_SECONDS):
        sent = school.ask("POST", "/messages", alert(text, "course-2b", send="now"), key="stopped")
        wait_for(lambda: is_shown(school.stack, text), "the first wave")
        school.ask("POST", f"/messages/{sent['id']}/stop")
        seen = seen_when(school, sent["id"], lambda one: one["state"] == "stopped", "the message to stop")

    stopped = seen["counts"]["stopped"]
    statement = school.ask("GET", f"/messages/{sent['id']}/statement")
    assert 0 < stopped < FAMILIES_OF_2B
    assert seen["stopped_by"] == "d-1"
    assert statement["captured"] == {"domestic": FAMILIES_OF_2B - stopped}
    assert statement["released"] == {"domestic": stopped}


def test_an_empty_bag_stops_a_message_until_another_is_sold(school: School) -> None:
    """L5, L7: refused whole, with what is missing; nothing is written."""
    body = alert("a" * 1500, "course-2b", send="now")  # ten segments each

    refused = school.call("POST", "/messages", body, key="bag")
    school.of_operator("POST", "/bags", {"bag": "domestic-2000"}, "another-bag")
    sent = school.ask("POST", "/messages", body, key="bag")

    assert (refused.status, refused.body["code"]) == (402, "not_enough_credits")
    assert refused.body["zones"]["domestic"]["missing"] >= 10 * FAMILIES_OF_2B - 500
    assert sent["credits_held"] == {"domestic": 10 * FAMILIES_OF_2B}


def test_a_number_abroad_waits_for_an_international_bag(school: School) -> None:
    """L13."""
    body = alert("Reunión mañana.", people=[FOREIGN])

    refused = school.call("POST", "/messages", body | {"send": "now"}, key="abroad")
    school.of_operator("POST", "/bags", {"bag": "international-100"}, "abroad-bag")
    sent = school.ask("POST", "/messages", body | {"send": "now"}, key="abroad")
    seen_when(school, sent["id"], is_delivered, "the receipt from abroad")

    assert (refused.status, refused.body["code"]) == (422, "nobody_to_reach")
    assert refused.body["skipped"] == {"no_international_bag": 1}
    assert sent["credits_held"] == {"international": 1}


def test_a_suspended_contract_freezes_credits_but_not_the_message_centre(school: School) -> None:
    """L4, L5: nothing is lost, families still read what the school tells them, each their own."""
    body = alert("Se suspende el paseo.", people=["guardian-04", "guardian-07"])
    before = school.available()

    school.of_operator("PUT", "/contract", {"contract": "suspended"})
    try:
        refused = school.call("POST", "/messages", body | {"send": "now"}, key="suspended")
        sent = school.ask("POST", "/messages", body | {"channels": ["inbox"], "send": "now"}, key="suspended-inbox")
        unread = wait_for(
            lambda: school.ask("GET", "/inbox/unread", person="guardian-04")["unread"], "the copy in the inbox"
        )
        frozen = school.available()
    finally:
        school.of_operator("PUT", "/contract", {"contract": "active"})
    inbox = school.ask("GET", "/inbox", person="guardian-04")["messages"]
    school.ask("PUT", f"/inbox/{sent['id']}/read", person="guardian-04")
    resumed = school.ask("POST", "/messages", body | {"send": "now"}, key="suspended")

    assert (refused.status, refused.body["code"]) == (409, "contract_suspended")
    assert frozen == before
    assert unread == 1
    assert [(one["id"], one["text"]) for one in inbox] == [(sent["id"], body["text"])]
    assert school.ask("GET", "/inbox/unread", person="guardian-04")["unread"] == 0
    assert school.call("GET", f"/inbox/{sent['id']}", person="guardian-01").status == 404, "it is not in her inbox"
    assert sent["message_centre"]["copies"] == 2
    assert resumed["state"] == "sending"


def test_a_large_audience_is_planned_in_the_background_and_the_send_takes_that_plan(school: School) -> None:
    everybody = alert("Simulacro el viernes.") | {"audience": {"who": ["guardians", "students", "staff"]}}

    asked = school.call("POST", "/messages/estimate", everybody)
    draft_id = asked.body["message_id"]
    place = f"/messages/{draft_id}/estimate"
    shown = wait_for(lambda: when_ready(school, place), "the plan", 60)
    sent = school.call("POST", f"/messages/{draft_id}/send", {"digest": shown["digest"]})
    seen = seen_when(school, draft_id, is_delivered, "every receipt")

    assert (asked.status, asked.body["is_ready"]) == (202, False)
    assert shown["people"] == 1 + 2 * (7 + FAMILIES_OF_2B) > AUDIENCE_MAX
    assert shown["valid_until"] is not None
    assert sent.body["digest"] == shown["digest"]
    assert seen["credits_captured"] == shown["credits"]


def when_ready(school: School, place: str) -> dict[str, Any] | None:
    found: dict[str, Any] = school.ask("POST", place, {})
    return found if found["is_ready"] else None


def test_another_school_finds_nothing_of_it(school: School) -> None:
    """404, not 403: another school does not learn that it is there."""
    message, roster_id = school.soon_id, school.applied["id"]
    group = school.ask("POST", "/groups", {"name": "Coro"}, key="choir")["id"]
    template = {"name": "Reunión", "text": "Reunión a las 19.", "category": "meeting"}
    template_id = school.ask("POST", "/templates", template, key="template")["id"]
    asked: list[tuple[str, str, Any]] = [
        ("GET", f"/messages/{message}", None),
        ("PUT", f"/messages/{message}", alert("Otra cosa.", "course-7b")),
        ("GET", f"/messages/{message}/recipients", None),
        ("GET", f"/messages/{message}/recipients.csv", None),
        ("GET", f"/messages/{message}/statement", None),
        ("POST", f"/messages/{message}/estimate", {}),
        ("POST", f"/messages/{message}/send", {}),
        ("POST", f"/messages/{message}/schedule", {"at": (datetime.now(UTC) + timedelta(days=2)).isoformat()}),
        ("POST", f"/messages/{message}/cancel", None),
        ("POST", f"/messages/{message}/stop", None),
        ("POST", f"/messages/{message}/again", {}),
        ("GET", f"/imports/{roster_id}", None),
        ("GET", f"/imports/{roster_id}/changes", None),
        ("POST", f"/imports/{roster_id}/apply", {}),
        ("POST", f"/imports/{roster_id}/discard", None),
        ("GET", f"/templates/{template_id}", None),
        ("GET", f"/people?group={group}", None),
        ("POST", f"/groups/{group}/data-check", None),
        ("DELETE", f"/groups/{group}", None),
        ("GET", "/people/teacher-1", None),
    ]
    director = school.stack.token()  # of the demo school

    answers = [
        (method, path, school.stack.api.call(method, path, director, body, f"theirs-{number}").status)
        for number, (method, path, body) in enumerate(asked)
    ]

    assert [one for one in answers if one[2] != 404] == []


def test_a_message_goes_out_within_a_minute_of_its_time(school: School) -> None:
    seen = wait_for(
        lambda: next((one for one in [school.ask("GET", f"/messages/{school.soon_id}")] if is_delivered(one)), None),
        "the scheduled message",
        A_MINUTE_AND_MORE,
    )

    released = [datetime.fromisoformat(one["at"]) for one in seen["history"] if one["act"] == "released"]
    late = released[0] - datetime.fromisoformat(seen["send_at"])
    assert timedelta(0) <= late <= timedelta(seconds=75), "each minute, and a run of the emulator's clock"
    assert "El bus sale a las 8." in texts_on(school.stack, "+56955556001")
