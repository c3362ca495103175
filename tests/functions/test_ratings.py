"""The `ratings` function on its events: tariffs announced, the billing file, totals; numbers only where they belong."""

import csv
import io
import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from recado import clock
from recado.rules import tariffs
from recado.tables import ratings
from recado.tables.base import Transaction
from recado.tables.ratings import RatedReply
from tests.apps import Context, call, load_app, load_event
from tests.worlds import NOON, TestClock

PESO = tariffs.rate_by(tariffs.TARIFFS["DO"][0])
NUMBER = "+18095550101"
COLUMNS = ["rated_at", "carrier", "reply_id", "number", "code", "messages", "currency", "price", "ITBIS", "ISC", "CDT"]


@pytest.fixture(autouse=True)
def moment(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    moment = TestClock()
    monkeypatch.setattr(clock, "now", moment)
    return moment


def rated(reply_id: str, at: datetime = NOON, *, is_priced: bool = True) -> None:
    reply = RatedReply("signed_webhook", reply_id, "DO", NUMBER, "44101", at, PESO if is_priced else None)
    with Transaction() as write:
        ratings.create_rating(write, reply, seen_before=AssertionError("twice"))


def a_closed_day() -> None:
    for number in range(3):
        rated(f"r{number}", NOON - timedelta(days=1, seconds=-number))
    rated("=cmd|calc", NOON - timedelta(days=2), is_priced=False)


def answered(event: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = load_app("ratings").handler(event, Context())
    return found


def with_query(event: dict[str, Any], **query: str) -> dict[str, Any]:
    event["queryStringParameters"] = query
    event["multiValueQueryStringParameters"] = {name: [value] for name, value in query.items()}
    return event


def parts() -> list[dict[str, Any]]:
    """Every part of the file, as its `Link` leads."""
    event, found = load_event("ratings_file"), list[dict[str, Any]]()
    while True:
        found.append(answered(event))
        assert found[-1]["statusCode"] == 200
        link = found[-1]["multiValueHeaders"].get("Link")
        if link is None:
            return found
        address = urlsplit(link[0].removeprefix("<").removesuffix('>; rel="next"'))
        assert address.path == "/v1/operator/ratings.csv"
        event = with_query(event, **{name: values[0] for name, values in parse_qs(address.query).items()})


def lines_of(part: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(part["body"].removeprefix("\ufeff"))))


def test_the_file_has_a_line_for_each_message_and_its_totals_at_the_end_C6() -> None:
    a_closed_day()

    found = parts()

    lines = [line for part in found for line in lines_of(part)]
    assert [len(lines_of(part)) for part in found] == [2, 4]
    assert list(lines[0]) == [*COLUMNS, "total"]
    assert list(lines[1].values()) == [
        *("2026-11-22T08:00:00-04:00", "signed_webhook", "r0", f"'{NUMBER}", "44101"),
        *("1", "DOP", "1.00", "0.18", "0.10", "0.02", "1.30"),
    ]
    assert [line["rated_at"] for line in lines[-2:]] == ["TOTAL", "TOTAL"]
    assert [(one["messages"], one["currency"], one["ISC"], one["total"]) for one in lines[-2:]] == [
        ("3", "DOP", "0.30", "3.90"),
        ("1", "", "", ""),
    ]
    owed = sum(Decimal(line["total"] or 0) for line in lines[:-2])
    assert owed == sum(Decimal(line["total"] or 0) for line in lines[-2:])


def test_a_message_without_a_tariff_has_a_line_with_nothing_owed_and_no_cell_is_a_formula() -> None:
    a_closed_day()

    first = lines_of(parts()[0])[0]

    assert (first["reply_id"], first["currency"], first["price"], first["total"]) == ("'=cmd|calc", "", "", "")


def test_the_same_closed_days_are_the_same_bytes_whenever_they_are_asked_for(moment: TestClock) -> None:
    a_closed_day()
    first = [part["body"] for part in parts()]
    moment.move(days=3)
    rated("later", moment())

    assert [part["body"] for part in parts()] == first


def test_a_day_that_is_not_over_is_in_no_file() -> None:
    status, body = call("ratings", load_event("ratings_file_of_an_open_day"))

    assert (status, body["errors"][0]["field"], body["errors"][0]["code"]) == (422, "/query/to", "still_open")


def test_totals_are_by_day_and_in_sum_and_say_which_day_still_grows() -> None:
    a_closed_day()
    rated("today")

    status, body = call("ratings", load_event("ratings_totals"))

    assert (status, body["country"], body["next"]) == (200, "DO", None)
    assert [(one["day"], one["is_closed"], sum(each["count"] for each in one["sums"])) for one in body["days"]] == [
        ("2026-11-20", True, 0),
        ("2026-11-21", True, 1),
        ("2026-11-22", True, 3),
        ("2026-11-23", False, 1),
    ]
    taxes = [("ITBIS", "0.72"), ("ISC", "0.40"), ("CDT", "0.08")]
    assert body["sums"] == [
        {
            "currency": "DOP",
            "count": 4,
            "price": "4.00",
            "taxes": [{"name": name, "amount": amount} for name, amount in taxes],
            "total": "5.20",
        },
        {"currency": None, "count": 1, "price": "0", "taxes": [], "total": "0"},
    ]


def test_one_message_is_found_by_its_carriers_id() -> None:
    rated("r1")

    status, body = call("ratings", load_event("ratings_one"))

    assert (status, body["number"], body["total"]) == (200, NUMBER, "1.30")
    assert body["rated_at"] == "2026-11-23T12:00:00Z"


def test_a_message_that_was_not_rated_is_not_found() -> None:
    assert call("ratings", load_event("ratings_one"))[0] == 404


def test_a_price_is_announced_listed_and_withdrawn() -> None:
    status, made = call("ratings", load_event("ratings_tariff_announced"))
    again = call("ratings", load_event("ratings_tariff_announced"))
    _, listed = call("ratings", load_event("ratings_tariffs"))
    withdrawn, _ = call("ratings", load_event("ratings_tariff_withdrawn"))
    _, after = call("ratings", load_event("ratings_tariffs"))

    assert status == 201
    assert again == (201, made)
    assert made == {
        "country": "DO",
        "valid_from": "2026-11-25",
        "currency": "DOP",
        "price": "1.25",
        "taxes": [
            {"name": "ITBIS", "share": "0.18", "amount": "0.23"},
            {"name": "ISC", "share": "0.10", "amount": "0.13"},
            {"name": "CDT", "share": "0.02", "amount": "0.03"},
        ],
        "total": "1.64",
        "announced_at": "2026-11-23T12:00:00Z",
        "announced_by": "u-17",
        "may_be_withdrawn": True,
    }
    assert [one["valid_from"] for one in listed["tariffs"]] == ["2020-01-01", "2026-11-25"]
    assert listed["tariffs"][1] == made
    assert (withdrawn, [one["total"] for one in after["tariffs"]]) == (204, ["1.30"])


def test_a_price_that_has_begun_stays(moment: TestClock) -> None:
    call("ratings", load_event("ratings_tariff_announced"))
    moment.now = datetime(2026, 11, 25, 4, tzinfo=UTC)

    status, body = call("ratings", load_event("ratings_tariff_withdrawn"))

    assert (status, body["code"]) == (409, "wrong_state")


def test_every_wrong_field_of_a_tariff_is_named_at_once() -> None:
    status, body = call("ratings", load_event("ratings_tariff_with_wrong_fields"))

    assert (status, body["code"]) == (422, "invalid_request")
    assert [one["field"] for one in body["errors"]] == ["/currency", "/price", "/taxes/0/name", "/taxes/0/share"]


def test_no_price_begins_today() -> None:
    status, body = call("ratings", load_event("ratings_tariff_for_today"))

    assert (status, body["errors"][0]["field"], body["errors"][0]["code"]) == (422, "/valid_from", "too_soon")


def test_a_director_sees_no_billing() -> None:
    status, body = call("ratings", load_event("ratings_refused_to_a_director"))

    assert (status, body["code"]) == (403, "not_allowed")


def test_no_number_of_the_billing_is_logged(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    a_closed_day()

    assert NUMBER in parts()[0]["body"]
    assert NUMBER in str(call("ratings", load_event("ratings_one")))
    call("ratings", load_event("ratings_totals"))
    printed = capsys.readouterr()
    logged = printed.out + printed.err + caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    assert "request_answered" in logged
    assert NUMBER[2:] not in logged
