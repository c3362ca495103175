"""Two schools on one shared code and a family of both, on the whole stack: asked whose it is, STOP, ALTA."""

from datetime import UTC, datetime
from typing import Any

import pytest

from local.api import Api, Key
from tests.end_to_end.conftest import Stack
from tests.end_to_end.test_stack import wait_for

CODE = "20650"
FAMILY = "+56955558901"
SCHOOLS = {"colegio-norte": "Colegio Norte", "colegio-sur": "Colegio Sur"}


@pytest.fixture(scope="module")
def schools(stack: Stack) -> dict[str, Key]:
    """Both without a code of their own, with a bag, and with the same guardian."""
    ask_operator(
        stack, "POST", "/operator/short-codes", {"country": "CL", "code": CODE, "purpose": "schools"}, "shared"
    )
    keys = {}
    for school_id, name in SCHOOLS.items():
        made = {"id": school_id, "name": name, "country": "CL", "time_zone": "America/Santiago", "code": ""}
        ask_operator(stack, "POST", "/operator/schools", made, f"{school_id}-school")
        secret = ask_operator(stack, "POST", f"/operator/schools/{school_id}/keys", {}, f"{school_id}-key")
        ask_operator(stack, "POST", f"/operator/schools/{school_id}/bags", {"bag": "domestic-500"}, f"{school_id}-bag")
        keys[school_id] = Key(school_id, secret["key_id"], secret["secret"])
        person = {"role": "guardian", "given_name": "Rosa", "family_name": "Rojas", "number": FAMILY}
        as_director(stack, keys[school_id], "POST", "/people", person, f"{school_id}-rosa")
    return keys


def ask_operator(stack: Stack, method: str, path: str, body: Any, key: str) -> Any:
    return stack.api.need(method, path, stack.operator.token("operator", "support", datetime.now(UTC)), body, key)


def as_director(
    stack: Stack, key: Key, method: str, path: str, body: Any = None, idempotency: str | None = None
) -> Any:
    return stack.api.need(method, path, key.token("director", "d-1", datetime.now(UTC)), body, idempotency)


def texts_on(stack: Stack) -> list[str]:
    """What the family's handset received from the shared code, the oldest first."""
    shown = Api(stack.handsets.url).need("GET", f"/handsets/{FAMILY}")
    return [one["text"] for one in shown["texts"] if (one["direction"], one["code"]) == ("received", CODE)]


def write(stack: Stack, text: str) -> None:
    sent = Api(stack.handsets.url).need("POST", f"/handsets/{FAMILY}/replies", body={"to": CODE, "text": text})
    assert sent["taken"], sent


def replies_of(stack: Stack, key: Key) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = as_director(stack, key, "GET", "/replies")["replies"]
    return found


def test_a_family_of_two_schools_says_whose_its_answer_is_and_stops_and_starts_both(
    stack: Stack, schools: dict[str, Key]
) -> None:
    norte, sur = schools["colegio-norte"], schools["colegio-sur"]

    # 1. An answer that may be for either waits, and the handset is asked.
    write(stack, "¿A qué hora salen?")
    wait_for(lambda: texts_on(stack), "the question")
    assert texts_on(stack)[-1].endswith("1 Colegio Norte, 2 Colegio Sur")
    assert replies_of(stack, norte) == replies_of(stack, sur) == []

    # 2. Its digit sends it on, to that school alone, and the portal is told.
    write(stack, "2")
    [reply] = wait_for(lambda: replies_of(stack, sur), "the reply")
    assert (reply["text"], reply["code"]) == ("¿A qué hora salen?", CODE)
    assert reply["sent_on_at"] > reply["received_at"]
    assert replies_of(stack, norte) == []
    events = as_director(stack, sur, "GET", "/events")["events"]
    assert reply["id"] in [one["data"].get("reply") for one in events]
    assert as_director(stack, sur, "GET", f"/replies/{reply['id']}") == reply

    # 3. STOP binds at both, and is confirmed, though both are blocked now.
    write(stack, "No más")
    wait_for(lambda: "no le llegaran" in texts_on(stack)[-1], "the confirmation")
    assert "Colegio Norte, Colegio Sur" in texts_on(stack)[-1]
    for school_id, key in schools.items():
        alert = {"text": "Hoy no hay clases", "category": "classes_cancelled", "audience": {"who": ["guardians"]}}
        estimate = as_director(stack, key, "POST", "/messages/estimate", alert)
        assert estimate["by_state"]["opted_out"] == 1, school_id

    # 4. ALTA takes it back at both.
    write(stack, "alta")
    wait_for(lambda: "de nuevo" in texts_on(stack)[-1], "the answer to ALTA")
    seen = as_director(stack, norte, "GET", "/people")["people"]
    assert [one["opted_out"] for one in seen] == [False]
