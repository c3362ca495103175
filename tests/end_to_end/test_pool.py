"""The operator's pool and fleet list through the whole stack: gateway, authorizer, function, sessions."""

import http.client
from datetime import UTC, datetime
from urllib.parse import urlsplit

from tests.end_to_end.conftest import Stack

KEY = "an-anonymous-page-of-the-fleet-test"


def operator_token(stack: Stack) -> str:
    return stack.operator.token("operator", "soporte", datetime.now(UTC))


def send_file(stack: Stack, content: bytes, media_type: str) -> tuple[int, str]:
    base = urlsplit(stack.api.base_url)
    connection = http.client.HTTPConnection(base.hostname or "", base.port, timeout=60)
    headers = {"authorization": f"Bearer {operator_token(stack)}", "content-type": media_type}
    try:
        connection.request("POST", f"{base.path}/operator/fleets/DO/list.csv", content, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_a_list_of_numbers_and_ranges_is_imported_and_a_session_marks_who_cannot_answer_C3(stack: Stack) -> None:
    token, fleet = operator_token(stack), "/operator/fleets/DO"
    rows = "".join(f"849 557 {number:04},,\r\n" for number in range(1000))
    file = f"number,from,to\r\n,809 556 0000,809 556 0099\r\nnadie,,\r\n{rows}".encode("utf-8-sig")

    status, answered = send_file(stack, file, "text/csv; charset=utf-8")

    assert (status, answered) == (
        200,
        '{"added":1001,"there_already":0,"bad":1,"bad_rows":[{"line":3,"column":"number","reason":"not_a_number"}]}',
    )
    assert send_file(stack, file, "application/json")[0] == 415
    assert send_file(stack, b"number\r\n" + b"8" * (2 << 20), "text/csv")[0] == 413
    for number in ("%2B18095560007", "+18095560007", "18095560007"):
        found = stack.api.need("GET", f"{fleet}/{number}", token)
        assert found == {
            "number": "+18095560007",
            "is_barred": True,
            "entries": [{"number": None, "from": "+18095560000", "to": "+18095560099"}],
        }
    exported = stack.api.need("GET", f"{fleet}/list.csv", token)
    assert exported.count("\r\n") == 1002

    opened = stack.api.need(
        "POST", "/sessions", None, {"text": "¿Vienes?", "to": ["809 556 0007", "809 556 0107"]}, idempotency_key=KEY
    )
    assert [(one["typed"], one["can_answer"]) for one in opened["handsets"]] == [
        ("809 556 0007", False),
        ("809 556 0107", True),
    ]

    assert stack.api.call("DELETE", f"{fleet}/18095560000?to=18095560099", token).status == 204
    assert stack.api.need("GET", f"{fleet}/18095560007", token)["is_barred"] is False


def test_a_code_is_added_drained_and_stays_until_it_may_go(stack: Stack) -> None:
    token, codes = operator_token(stack), "/operator/short-codes"
    before = stack.api.need("GET", f"{codes}/capacity?country=DO&sessions_per_hour=12", token)
    code = {"country": "DO", "code": "20799", "purpose": "sessions"}
    stack.api.need("POST", codes, token, code, idempotency_key="code-20799")

    after = stack.api.need("GET", f"{codes}/capacity?country=DO", token)
    drained = stack.api.need("POST", f"{codes}/DO/20799/drain", token)
    early = stack.api.call("DELETE", f"{codes}/DO/20799", token)

    assert before["wanted"]["codes_needed"] == 13
    assert after["codes_free"] == before["codes_free"] + 1
    assert (early.status, early.body["code"]) == (409, "wrong_state")
    assert datetime.fromisoformat(early.body["removable_at"]) == datetime.fromisoformat(drained["removable_at"])
    draining = stack.api.need("GET", f"{codes}?country=DO&state=draining", token)["codes"]
    assert [one["code"] for one in draining] == ["20799"]
