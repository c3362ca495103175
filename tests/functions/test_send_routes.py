"""Routes of `send`: estimates, edits, schedules, reports, asking again; statuses, shapes, and every field they refuse
(L1, L3, L9, L11, L13, L14)."""

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from recado import clock, message_reports, messages, templates
from recado.rules.message_states import Category, MessageState
from recado.settings import SETTINGS
from recado.tables import messages as message_table
from tests.apps import Context, call, load_app, load_event
from tests.conftest import jobs_on
from tests.message_worlds import AT_NIGHT, FOREIGN, add_person, copies_of, set_quiet_hours
from tests.worlds import (
    DIRECTOR,
    NOON,
    SCHOOL,
    FakeCarrier,
    TestClock,
    add_guardian,
    add_guardians,
    alert,
    create,
    create_school,
    figures,
    mobile,
    opt_out,
    work_all,
)

LARGE = 2


@pytest.fixture(autouse=True)
def school(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    moment = TestClock()
    monkeypatch.setattr(clock, "now", moment)
    create_school(domestic=100)
    add_guardians(3)
    return moment


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few people are a large audience."""
    monkeypatch.setattr("recado.planning.SETTINGS", replace(SETTINGS, audience_max=LARGE))


def of(event: dict[str, Any], message_id: str) -> dict[str, Any]:
    event["path"] = event["path"].replace(event["pathParameters"]["message_id"], message_id)
    event["pathParameters"]["message_id"] = message_id
    return event


def saying(event: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """With these members of the body; None leaves one out."""
    body = {**json.loads(event["body"] or "{}"), **changes}
    return event | {"body": json.dumps({name: value for name, value in body.items() if value is not LEFT_OUT})}


LEFT_OUT = object()


def asking(event: dict[str, Any], **query: str) -> dict[str, Any]:
    return event | {
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()},
    }


def with_key(event: dict[str, Any], key: str) -> dict[str, Any]:
    event["headers"]["Idempotency-Key"] = key
    event["multiValueHeaders"]["Idempotency-Key"] = [key]
    return event


def by(event: dict[str, Any], **authorizer: str) -> dict[str, Any]:
    event["requestContext"]["authorizer"].update(authorizer)
    return event


def answered(event: dict[str, Any]) -> dict[str, Any]:
    """The whole answer, headers included."""
    found: dict[str, Any] = load_app("send").handler(event, Context())
    return found


def refused_fields(event: dict[str, Any]) -> set[str]:
    status, body = call("send", event)
    assert (status, body["code"]) == (422, "invalid_request"), body
    return {error["field"] for error in body["errors"]}


def nothing_was_written() -> bool:
    return messages.list_recent(DIRECTOR, limit=1, before=None) == ([], None) and figures() == (100, 0, 0)


def saved_state(message_id: str) -> MessageState:
    found = message_table.find_message(SCHOOL, message_id)
    assert found is not None
    return found.state


# --- estimates --------------------------------------------------------------------------------------------------


def test_an_estimate_says_who_how_much_and_what_would_be_left_L3_L11() -> None:
    add_guardian(3, number=None)
    add_guardian(4, number=FOREIGN)

    status, body = call("send", load_event("send_estimated"))

    assert status == 200
    assert (body["people"], body["by_state"]) == (
        5,
        {"sendable": 3, "no_number": 1, "no_international_bag": 1},
    )
    assert (body["credits"], body["balance"], body["missing"]) == (
        {"domestic": 3},
        {"domestic": {"before": 100, "after": 97}},
        {},
    )
    assert (body["text"]["encoding"], body["text"]["costly_characters"]) == (
        "UCS-2",
        ["ó", "°", "á"],
    )  # its course's too
    assert (len(body["digest"]), len(body["recipients"]), body["next"]) == (64, 2, 2)
    assert (body["message_id"], body["is_ready"], body["progress"]) == (None, True, None)
    assert body["message_centre"]["credits"] == 0
    assert nothing_was_written()


def test_an_estimate_above_the_balance_says_how_many_are_missing() -> None:
    event = saying(load_event("send_estimated"), text="a" * 1500, category="meeting")
    for position in range(10, 20):
        add_guardian(position)

    _, body = call("send", event)

    assert (body["credits"], body["missing"]) == ({"domestic": 130}, {"domestic": 30})
    assert body["balance"]["domestic"] == {"before": 100, "after": -30}


def test_the_price_without_accents_is_shown_where_it_is_less() -> None:
    _, dear = call("send", saying(load_event("send_estimated"), text="Reunión " + "a" * 70))
    _, plain = call("send", saying(load_event("send_estimated"), text="Reunion " + "a" * 70))

    assert dear["without_accents"] == {"credits": {"domestic": 3}, "saves": 3}
    assert plain["without_accents"] is None


def test_whoever_opted_out_is_red_in_the_estimate_and_nobody_else_L9() -> None:
    opt_out(mobile(1), "person#g00001")

    _, body = call("send", saying(load_event("send_estimated"), limit=100))

    assert {row["id"]: row["is_red"] for row in body["recipients"]} == {
        "g00000": False,
        "g00001": True,
        "g00002": False,
    }
    [red] = [row for row in body["recipients"] if row["is_red"]]
    assert (red["number"], red["state"], bool(red["meaning"])) == (mobile(1), "opted_out", True)


def test_an_estimate_of_an_everyday_notice_is_pointed_to_the_message_centre_L1() -> None:
    status, body = call("send", saying(load_event("send_estimated"), category="notice"))
    confirmed, advised = call(
        "send", saying(load_event("send_estimated"), category="notice", confirm_notice_by_sms=True)
    )

    assert (status, body["code"], body["message_centre_credits"]) == (422, "notice_by_sms_not_confirmed", 0)
    assert (confirmed, bool(advised["advice"])) == (200, True)


def test_the_estimate_of_a_draft_shows_the_people_of_one_state(school: TestClock) -> None:
    add_guardian(3, number=None)
    draft = create(alert(send=False), school)

    answer = answered(of(load_event("send_estimated_of_a_draft"), draft.id))

    body = json.loads(answer["body"])
    assert (answer["statusCode"], body["message_id"]) == (200, draft.id)
    assert [row["id"] for row in body["recipients"]] == ["g00003"]
    assert answer["multiValueHeaders"]["Location"] == [f"/v1/messages/{draft.id}/estimate"]


def test_what_was_shown_is_sent_by_its_digest_and_what_changed_is_told() -> None:
    _, shown = call("send", load_event("send_estimated"))
    opt_out(mobile(1), "person#g00001")
    event = saying(load_event("send_now"), **content_of("send_estimated"), digest=shown["digest"])

    status, body = call("send", event)

    assert (status, body["code"], body["people_changed"]) == (409, "plan_changed", 1)
    assert body["people"] == [
        {"id": "g00001", "was": "sendable", "is": "opted_out", "changed": ["state", "segments", "number"]}
    ]
    assert nothing_was_written()
    again, sent = call("send", with_key(saying(event, digest=body["now"]["digest"]), "confirmado-otra-vez"))
    assert (again, sent["credits_held"]) == (201, {"domestic": 2})


def content_of(event: str) -> dict[str, Any]:
    body = json.loads(load_event(event)["body"])
    return {name: body[name] for name in ("text", "category", "audience")}


@pytest.mark.usefixtures("small_limit")
def test_a_large_estimate_is_answered_202_with_where_to_look() -> None:
    answer = answered(load_event("send_estimated"))

    body = json.loads(answer["body"])
    assert (answer["statusCode"], body["is_ready"], body["digest"]) == (202, False, None)
    assert answer["multiValueHeaders"]["Retry-After"] == ["2"]
    assert answer["multiValueHeaders"]["Location"] == [f"/v1/messages/{body['message_id']}/estimate"]
    assert body["progress"]["people"] == 0
    assert saved_state(body["message_id"]) is MessageState.DRAFT
    assert len(jobs_on("PlansQueue")) == 1


@pytest.mark.usefixtures("small_limit")
def test_a_large_send_is_answered_202_with_where_to_look() -> None:
    answer = answered(load_event("send_now"))

    body = json.loads(answer["body"])
    assert (answer["statusCode"], body["state"]) == (202, "planning")
    assert answer["multiValueHeaders"]["Location"] == [f"/v1/messages/{body['id']}"]
    assert answer["multiValueHeaders"]["Retry-After"] == ["2"]
    assert figures() == (100, 0, 0)


# --- edits, schedules -------------------------------------------------------------------------------------------


def test_a_draft_is_changed_and_a_second_editor_is_told(school: TestClock) -> None:
    draft = create(alert(send=False), school)
    event = of(load_event("send_edited"), draft.id)

    status, body = call("send", event)
    second, problem = call("send", event)

    assert (status, body["revision"], body["drop_accents"], body["category"]) == (200, 1, True, "meeting")
    assert (second, problem["code"]) == (409, "changed_meanwhile")


def test_a_draft_is_scheduled_by_the_schools_clocks_and_the_offset_is_shown(school: TestClock) -> None:
    draft = create(alert(send=False), school)

    status, body = call("send", of(load_event("send_moved"), draft.id))

    assert (status, body["state"], body["send_at"]) == (200, "scheduled", "2026-11-24T11:00:00Z")
    assert (body["send_at_local"], body["time_zone"]) == ("2026-11-24T08:00:00-03:00", "America/Santiago")
    assert [act["act"] for act in body["history"]] == ["created", "scheduled"]


# Chile goes back an hour on 3 April 2027 at midnight, and forward on 4 September 2027 at midnight.
@pytest.mark.parametrize(
    ("at", "code"),
    [
        ("2027-04-03T23:30", "ambiguous_local_time"),
        ("2027-09-05T00:30", "no_such_local_time"),
        ("9999-12-31T23:59:59-14:00", "malformed"),
        ("0001-01-01T00:00:00+14:00", "malformed"),
        ("2026-13-01T08:00:00", "malformed"),
        ("2026-W48-1T08:00:00", "malformed"),
        ("mañana a las ocho", "malformed"),
        ("2026-11-23T11:59:00Z", "in_the_past"),
        ("2027-11-24T08:00:00Z", "too_far"),
        ("9999-12-31T23:59:59Z", "too_far"),
    ],
)
def test_a_time_that_cannot_be_is_refused_by_name_and_nothing_is_written(school: TestClock, at: str, code: str) -> None:
    if code == "no_such_local_time":
        school.now = NOON + timedelta(days=200)
    status, body = call("send", saying(load_event("send_now"), send={"at": at}))

    assert (status, [(error["field"], error["code"]) for error in body["errors"]]) == (422, [("/send/at", code)])
    assert nothing_was_written()

    draft = create(alert(send=False), school)
    status, body = call("send", saying(of(load_event("send_moved"), draft.id), at=at))

    assert (status, [(error["field"], error["code"]) for error in body["errors"]]) == (422, [("/at", code)])
    assert saved_state(draft.id) is MessageState.DRAFT


@pytest.mark.parametrize(("offset", "utc"), [("-03:00", "02:30"), ("-04:00", "03:30")])
def test_a_time_that_comes_twice_is_meant_by_its_offset(offset: str, utc: str) -> None:
    event = saying(load_event("send_now"), send={"at": f"2027-04-03T23:30:00{offset}"})

    status, body = call("send", event)

    assert (status, body["send_at"], body["send_at_local"]) == (
        201,
        f"2027-04-04T{utc}:00Z",
        f"2027-04-03T23:30:00{offset}",
    )


def test_quiet_hours_answer_with_the_next_time_and_who_sends_all_the_same_is_recorded(school: TestClock) -> None:
    set_quiet_hours()
    school.now = AT_NIGHT

    status, body = call("send", load_event("send_now"))
    event = with_key(saying(load_event("send_now"), despite_quiet_hours=True), "a-pesar-de-la-hora")
    done, sent = call("send", event)

    assert (status, body["code"]) == (409, "quiet_hours")
    assert body["next_allowed_at_local"] == "2026-11-24T07:00:00-03:00"
    assert (done, sent["despite_quiet_hours_by"]) == (201, "directora")


def test_a_message_is_made_from_a_template_whose_category_it_takes() -> None:
    made = templates.create(
        DIRECTOR,
        templates.Content("Reunión", Category.MEETING, "Hola {guardian}", drop_accents=True),
        "key-t",
        NOON,
        is_first=True,
    )

    status, body = call("send", saying(load_event("send_from_a_template"), template={"id": made.id}))

    assert (status, body["state"], body["category"], body["text"]) == (201, "draft", "meeting", "Hola {guardian}")
    assert (body["template"], body["drop_accents"]) == ({"id": made.id, "version": 1}, True)


def test_a_template_that_is_not_there_is_a_wrong_field() -> None:
    assert refused_fields(load_event("send_from_a_template")) == {"/template"}
    assert nothing_was_written()


# --- reports ----------------------------------------------------------------------------------------------------


def sent(school: TestClock) -> str:
    add_guardian(3, number=None)
    message = create(alert(), school)
    school.move(seconds=10)
    work_all(FakeCarrier(), school)
    return message.id


def test_recipients_are_told_page_by_page_in_words_of_the_language_asked_for_L11(school: TestClock) -> None:
    message_id = sent(school)

    _, first = call("send", of(load_event("send_recipients"), message_id))
    _, second = call(
        "send", asking(of(load_event("send_recipients"), message_id), limit="2", cursor=first["next"], lang="es")
    )

    assert [row["people"][0]["id"] for row in first["recipients"] + second["recipients"]] == [
        "g00000",
        "g00001",
        "g00002",
        "g00003",
    ]
    assert second["next"] is None
    english, spanish = first["recipients"][0]["meaning"], second["recipients"][0]["meaning"]
    assert english
    assert spanish
    assert english != spanish
    assert [row["id"] for row in first["recipients"]] == ["t.0.0", "t.0.1"]  # what `message.recipients_changed` says
    skipped = second["recipients"][1]
    assert (skipped["state"], skipped["charged"], skipped["segments"]) == ("no_number", "no", 0)


def test_the_file_of_recipients_neutralises_formulas_and_is_read_by_excel(school: TestClock) -> None:
    add_person("mallory", name='=HYPERLINK("http://x")', number=mobile(9))
    message_id = sent(school)

    answer = answered(of(load_event("send_recipients_csv"), message_id))
    english = answered(asking(of(load_event("send_recipients_csv"), message_id), lang="en"))

    assert answer["statusCode"] == 200
    assert answer["multiValueHeaders"]["Content-Type"] == ["text/csv; charset=utf-8"]
    assert answer["body"].startswith("\ufeff")
    rows = list(csv.reader(io.StringIO(answer["body"].removeprefix("\ufeff")), delimiter=";"))
    assert rows[0][:3] == ["número", "personas", "estado"]
    assert {row[-1] for row in rows} == {"definitivo", "sí", "no"}
    assert rows[1][0] == f"'{mobile(0)}"
    assert [row[1] for row in rows if "HYPERLINK" in row[1]] == ['\'=HYPERLINK("http://x") Muñoz']
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    assert english["body"].removeprefix("\ufeff").startswith("number,people,state,")


def test_a_long_file_names_the_next_one_in_the_same_language_and_shape(
    school: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_reports, "CSV_LINES_MAX", 2)
    message_id = sent(school)

    answer = answered(asking(of(load_event("send_recipients_csv"), message_id), separator="semicolon", lang="en"))

    assert answer["multiValueHeaders"]["Link"] == [
        f'</v1/messages/{message_id}/recipients.csv?cursor=t.0.2&lang=en&separator=semicolon>; rel="next"'
    ]


def test_the_statement_of_a_message_says_what_was_held_charged_and_given_back(school: TestClock) -> None:
    message_id = sent(school)

    status, body = call("send", of(load_event("send_statement"), message_id))

    assert (status, body["state"]) == (200, "sent")
    assert (body["held"], body["captured"], body["released"]) == ({"domestic": 0}, {"domestic": 3}, {"domestic": 0})
    assert [entry["cause"].split("#")[0] for entry in body["entries"]] == ["hold", "close"]
    assert all(entry["words"] for entry in body["entries"])


def test_a_message_is_sent_again_as_a_draft_of_its_own(school: TestClock) -> None:
    message_id = sent(school)
    event = of(load_event("send_again"), message_id)

    status, body = call("send", event)

    assert (status, body["state"], body["audience"]) == (
        201,
        "draft",
        {"again_of": [message_id], "again_states": ["no_number", "stopped"]},
    )
    assert call("send", event) == (status, body)


def test_asking_for_data_answers_201_and_costs_nothing_L14(school: TestClock) -> None:
    status, body = call("send", load_event("send_data_check"))
    work_all(FakeCarrier(), school)

    assert (status, body["channels"], body["credits_held"]) == (201, ["inbox"], {})
    assert copies_of("g00000") == [messages.DATA_CHECK_TEXTS["es"]]
    assert figures() == (100, 0, 0)


# --- what is refused --------------------------------------------------------------------------------------------

LONG = "x" * 65
CONTENT: list[tuple[dict[str, Any], str]] = [
    ({"text": 7}, "/text"),
    ({"text": ""}, "/text"),
    ({"text": "a" * 5001}, "/text"),
    ({"text": "\u0000"}, "/text"),
    ({"text": "{apellido}"}, "/text"),
    ({"category": "party"}, "/category"),
    ({"category": 1}, "/category"),
    ({"audience": LEFT_OUT}, "/audience"),
    ({"audience": "everybody"}, "/audience"),
    ({"audience": {}}, "/audience"),
    ({"audience": {"who": ["cats"]}}, "/audience/who/0"),
    ({"audience": {"who": ["staff"] * 4}}, "/audience/who"),
    ({"audience": {"who": ["staff"], "groups": ["a b"]}}, "/audience/groups/0"),
    ({"audience": {"who": ["staff"], "groups": ["nope"]}}, "/audience/groups/0"),
    ({"audience": {"people": [""]}}, "/audience/people/0"),
    ({"audience": {"people": [LONG]}}, "/audience/people/0"),
    ({"audience": {"people": [7]}}, "/audience/people/0"),
    ({"audience": {"people": ["g00000"] * 1001}}, "/audience/people"),
    ({"audience": {"who": ["staff"], "minus_people": ["'; --"]}}, "/audience/minus_people/0"),
    ({"audience": {"who": ["staff"], "minus_people": ["x"] * 1001}}, "/audience/minus_people"),
    ({"audience": {"who": ["staff"], "minus_groups": ["nope"]}}, "/audience/minus_groups/0"),
    ({"audience": {"who": ["staff"], "again_of": ["m1"]}}, "/audience/again_of"),
    ({"channels": []}, "/channels"),
    ({"channels": ["pigeon"]}, "/channels/0"),
    ({"channels": ["sms", "sms", "inbox"]}, "/channels"),
    ({"inbox_for_unreachable": "si"}, "/inbox_for_unreachable"),
    ({"drop_accents": 2}, "/drop_accents"),
    ({"confirm_notice_by_sms": "maybe"}, "/confirm_notice_by_sms"),
    ({"expires_after_minutes": 4}, "/expires_after_minutes"),
    ({"expires_after_minutes": 4321}, "/expires_after_minutes"),
    ({"expires_after_minutes": "soon"}, "/expires_after_minutes"),
    ({"template": {"id": ""}, "text": LEFT_OUT}, "/template/id"),
    ({"template": {"id": "a b"}, "text": LEFT_OUT}, "/template/id"),
    ({"template": {"id": LONG}, "text": LEFT_OUT}, "/template/id"),
    ({"template": {"id": "t", "version": 0}, "text": LEFT_OUT}, "/template/version"),
    ({"template": {"id": "t", "colour": 1}, "text": LEFT_OUT}, "/template/colour"),
    ({"template": {"id": "t"}, "text": LEFT_OUT}, "/template"),
    ({"template": {"id": "t"}}, "/"),
    ({"text": LEFT_OUT}, "/"),
    ({"category": LEFT_OUT}, "/"),
    ({"colour": "red"}, "/colour"),
]
OWN: list[tuple[str, dict[str, Any], str]] = [
    ("send_now", {"send": "later"}, "/send"),
    ("send_now", {"send": {"at": 7}}, "/send"),
    ("send_now", {"send": {"at": "2026-12-01"}}, "/send"),
    ("send_now", {"send": {"at": "2" * 41}}, "/send"),
    ("send_now", {"send": {"at": "2026-12-01T08:00", "zone": "UTC"}}, "/send"),
    ("send_now", {"digest": "abc"}, "/digest"),
    ("send_now", {"digest": "A" * 64}, "/digest"),
    ("send_now", {"despite_quiet_hours": "perhaps"}, "/despite_quiet_hours"),
    ("send_edited", {"revision": -1}, "/revision"),
    ("send_edited", {"revision": "newest"}, "/revision"),
    ("send_edited", {"send": "now"}, "/send"),
    ("send_estimated", {"state": "Not a state"}, "/state"),
    ("send_estimated", {"limit": 0}, "/limit"),
    ("send_estimated", {"limit": 101}, "/limit"),
    ("send_estimated", {"cursor": -1}, "/cursor"),
    ("send_estimated", {"cursor": 10_000_001}, "/cursor"),
    ("send_estimated_of_a_draft", {"state": "x" * 41}, "/state"),
    ("send_estimated_of_a_draft", {"limit": "many"}, "/limit"),
    ("send_estimated_of_a_draft", {"cursor": 0.5}, "/cursor"),
    ("send_estimated_of_a_draft", {"text": "x"}, "/text"),
    ("send_draft_sent", {"digest": 7}, "/digest"),
    ("send_draft_sent", {"despite_quiet_hours": []}, "/despite_quiet_hours"),
    ("send_draft_sent", {"at": "2026-12-01T08:00"}, "/at"),
    ("send_moved", {"at": LEFT_OUT}, "/at"),
    ("send_moved", {"at": 7}, "/at"),
    ("send_moved", {"at": "2026-12-01"}, "/at"),
    ("send_moved", {"digest": "abc"}, "/digest"),
    ("send_moved", {"despite_quiet_hours": "perhaps"}, "/despite_quiet_hours"),
    ("send_moved", {"when": "now"}, "/when"),
    ("send_again", {"states": ["happy"]}, "/states/0"),
    ("send_again", {"states": "unknown"}, "/states"),
    ("send_again", {"states": ["unknown"] * 13}, "/states"),
    ("send_again", {"people": []}, "/people"),
]
QUERIES: list[tuple[str, dict[str, str], str]] = [
    ("send_list", {"limit": "0"}, "/query/limit"),
    ("send_list", {"limit": "101"}, "/query/limit"),
    ("send_list", {"limit": "x"}, "/query/limit"),
    ("send_list", {"before": "rubbish"}, "/query/before"),
    ("send_list", {"before": "9999-12-31T23:59:59-14:00"}, "/query/before"),
    ("send_list", {"before": "2026-02-31T00:00:00.000000+00:00#m1"}, "/query/before"),
    ("send_list", {"before": "x" * 201}, "/query/before"),
    ("send_list", {"lang": "fr"}, "/query/lang"),
    ("send_list", {"sort": "asc"}, "/query/sort"),
    ("send_seen", {"lang": "fr"}, "/query/lang"),
    ("send_recipients", {"limit": "0"}, "/query/limit"),
    ("send_recipients", {"state": "Sent!"}, "/query/state"),
    ("send_recipients", {"cursor": "t.1"}, "/query/cursor"),
    ("send_recipients", {"cursor": "'"}, "/query/cursor"),
    ("send_recipients", {"lang": "ES"}, "/query/lang"),
    ("send_recipients_csv", {"cursor": "s.x.0"}, "/query/cursor"),
    ("send_recipients_csv", {"separator": "tab"}, "/query/separator"),
    ("send_recipients_csv", {"lang": "fr"}, "/query/lang"),
    ("send_statement", {"lang": "fr"}, "/query/lang"),
    ("send_replies", {"limit": "101"}, "/query/limit"),
]


@pytest.mark.parametrize(("changes", "field"), CONTENT)
@pytest.mark.parametrize("event", ["send_now", "send_estimated"])
def test_every_field_of_a_message_that_is_wrong_is_named_and_nothing_is_written(
    event: str, changes: dict[str, Any], field: str
) -> None:
    assert field in refused_fields(saying(load_event(event), **changes))
    assert nothing_was_written()


@pytest.mark.parametrize(("changes", "field"), CONTENT)
def test_every_field_of_an_edit_that_is_wrong_is_named_and_the_draft_stays(
    school: TestClock, changes: dict[str, Any], field: str
) -> None:
    draft = create(alert(send=False), school)

    assert field in refused_fields(saying(of(load_event("send_edited"), draft.id), **changes))

    assert message_table.find_message(SCHOOL, draft.id) == draft


@pytest.mark.parametrize(("event", "changes", "field"), OWN)
def test_every_other_field_of_a_body_that_is_wrong_is_named(
    school: TestClock, event: str, changes: dict[str, Any], field: str
) -> None:
    draft = create(alert(send=False), school)
    loaded = load_event(event)
    loaded = of(loaded, draft.id) if loaded["pathParameters"] else loaded

    fields = refused_fields(saying(loaded, **changes))

    assert any(one == field or one.startswith(f"{field}/") for one in fields)
    assert message_table.find_message(SCHOOL, draft.id) == draft


@pytest.mark.parametrize(("event", "query", "field"), QUERIES)
def test_every_parameter_that_is_wrong_is_named(
    school: TestClock, event: str, query: dict[str, str], field: str
) -> None:
    message = create(alert(), school)
    loaded = load_event(event)
    loaded = of(loaded, message.id) if loaded["pathParameters"] else loaded

    assert field in refused_fields(asking(loaded, **query))


@pytest.mark.parametrize("message_id", ["x" * 65, "a.b", "%27"])
def test_an_id_that_cannot_be_is_refused(message_id: str) -> None:
    assert refused_fields(of(load_event("send_seen"), message_id)) == {"/path/message_id"}


ROUTES_OF_A_MESSAGE = [
    "send_seen",
    "send_edited",
    "send_estimated_of_a_draft",
    "send_draft_sent",
    "send_moved",
    "send_cancelled",
    "send_stopped",
    "send_again",
    "send_recipients",
    "send_recipients_csv",
    "send_statement",
]


@pytest.mark.parametrize("event", ROUTES_OF_A_MESSAGE)
def test_another_schools_message_is_404_on_every_route(school: TestClock, event: str) -> None:
    create_school("otra-escuela")
    message = create(alert(send=event == "send_seen"), school)
    before = message_table.find_message(SCHOOL, message.id)

    status, body = call("send", by(of(load_event(event), message.id), school="otra-escuela"))

    assert (status, body["code"]) == (404, "not_found")
    assert message_table.find_message(SCHOOL, message.id) == before


def test_another_schools_group_is_asked_nothing_L14() -> None:
    create_school("otra-escuela")
    event = load_event("send_data_check")
    event["path"], event["pathParameters"] = "/groups/nope/data-check", {"group_id": "nope"}

    assert call("send", event)[0] == 404


@pytest.mark.parametrize(
    "event",
    ["send_estimated", "send_estimated_of_a_draft", "send_edited", "send_moved", "send_again", "send_data_check"],
)
@pytest.mark.parametrize("role", ["teacher", "staff", "guardian", "student"])
def test_only_directors_and_administrators_may_L2(school: TestClock, event: str, role: str) -> None:
    message = create(alert(send=False), school)
    loaded = load_event(event)
    loaded = of(loaded, message.id) if "message_id" in (loaded["pathParameters"] or {}) else loaded

    status, body = call("send", by(loaded, role=role))

    assert (status, body["code"]) == (403, "not_allowed_to_send")
    assert message_table.find_message(SCHOOL, message.id) == message


@pytest.mark.parametrize("event", ["send_again", "send_data_check"])
def test_what_makes_a_message_needs_a_key(school: TestClock, event: str) -> None:
    loaded = load_event(event)
    loaded["headers"].pop("Idempotency-Key")
    loaded["multiValueHeaders"].pop("Idempotency-Key")

    assert call("send", loaded)[1]["code"] == "idempotency_key_missing"


def test_minus_everybody_reaches_nobody_and_says_so() -> None:
    audience = {"who": ["guardians"], "minus_people": ["g00000", "g00001", "g00002"]}

    status, body = call("send", saying(load_event("send_now"), audience=audience))

    assert (status, body["code"]) == (422, "nobody_to_reach")
    assert nothing_was_written()


def test_people_without_numbers_are_reached_in_the_message_centre_when_asked_for_nothing_L4(school: TestClock) -> None:
    add_guardian(7, number=None)
    event = saying(load_event("send_now"), audience={"people": ["g00007"]}, inbox_for_unreachable=True)

    status, body = call("send", event)
    work_all(FakeCarrier(), school)

    assert (status, body["recipients"], body["message_centre"]["copies"]) == (201, 0, 1)
    assert (body["credits_held"], figures(), len(copies_of("g00007"))) == ({}, (100, 0, 0), 1)


@pytest.mark.parametrize("text", ["😀🎉", "مرحبا بكم", "Ñandú '; DROP TABLE", "=1+1"])
def test_texts_of_every_script_are_kept_and_shown_as_they_are(text: str) -> None:
    _, body = call("send", saying(load_event("send_draft"), text=text))

    assert body["text"] == text


@pytest.mark.parametrize("body", [None, "", "{}"])
def test_what_has_nothing_to_say_may_be_asked_without_a_body(body: str | None, school: TestClock) -> None:
    draft = create(alert(send=False), school)
    asked = [of(load_event(name), draft.id) for name in ("send_estimated_of_a_draft", "send_draft_sent")]

    statuses = [call("send", event | {"body": body})[0] for event in asked]

    assert statuses == [200, 200]
