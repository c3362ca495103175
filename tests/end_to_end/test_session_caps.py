"""A flood of anonymous sessions from one address, on the whole stack."""

from local.api import Answer, Api
from tests.end_to_end.conftest import Stack

TOLD_OFF = "+1 809 555 0171"
LEFT_ALONE = "+1 809 555 0172"


def open_session(api: Api, place: int, *numbers: str) -> Answer:
    body = {"text": "¿Estás ahí?", "to": list(numbers)}
    return api.call("POST", "/sessions", body=body, idempotency_key=f"flood-of-one-address-{place:04}")


def test_a_flood_from_one_address_stops_at_a_quarter_of_the_handsets_codes_and_others_are_still_reached(
    stack: Stack,
) -> None:
    opened = [open_session(stack.api, place, TOLD_OFF) for place in range(6)]

    assert [one.status for one in opened] == [201, 201, 201, 201, 429, 429]
    assert opened[-1].body["code"] == "session_limit_reached"
    assert opened[-1].body["limit"] == "handset_sessions"
    assert len({one.body["handsets"][0]["code"] for one in opened[:4]}) == 4
    both = open_session(stack.api, 6, TOLD_OFF, LEFT_ALONE)
    assert both.status == 201
    assert [one["reason"] for one in both.body["refused"]] == ["too_many_sessions"]
    assert [one["typed"] for one in both.body["handsets"]] == [LEFT_ALONE]

    # When one has ended, the request that was refused goes through under its own key.
    first = opened[0].body
    assert stack.api.call("DELETE", f"/sessions/{first['id']}", first["token"]).status == 204
    assert open_session(stack.api, 4, TOLD_OFF).status == 201
