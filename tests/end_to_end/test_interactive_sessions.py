"""People on the web and handsets, through HTTP, functions, queues and schedules as they are deployed (C1 to C9).

Nobody waits five minutes here: the row of a session is made older, as if the time had passed.
"""

import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from local.api import Answer, Api
from local.run import STACK
from tests.end_to_end.conftest import Stack
from tests.end_to_end.test_stack import wait_for

STORED = "%Y-%m-%dT%H:%M:%S.%f%z"
FIVE_MINUTES = timedelta(minutes=5)
NEARLY_FIVE_MINUTES = timedelta(minutes=4, seconds=45)  # the rest is for a machine with much to do


@dataclass
class Web:
    """Somebody's page: what it was told when it opened, and the only one that knows its token."""

    stack: Stack
    session: dict[str, Any] = field(default_factory=dict)

    def open(self, *numbers: str, text: str = "¿Vienes a las 5?") -> dict[str, Any]:
        self.session = self.ask_to_open(*numbers, text=text).body
        assert "token" in self.session, self.session
        return self.session

    def ask_to_open(self, *numbers: str, text: str = "¿Vienes a las 5?") -> Answer:
        body = {"text": text, "to": list(numbers)}
        return self.stack.api.call("POST", "/sessions", body=body, idempotency_key=new_key())

    def say(self, text: str, *numbers: str) -> Answer:
        body = {"text": text} | ({"to": list(numbers)} if numbers else {})
        return self._call("POST", "/messages", body)

    def read(self) -> Answer:
        return self._call("GET", "/messages")

    def extend(self) -> Answer:
        return self._call("POST", "/extend")

    def end(self) -> Answer:
        return self._call("DELETE", "")

    def answers(self) -> list[tuple[str, str]]:
        """The box "Aquí recibirás tu respuesta": who answered, and what."""
        return [(one["number"], one["text"]) for one in self.read().body["messages"] if one["direction"] == "in"]

    def code(self, number: str) -> str:
        """The short code that this handset sees the page's texts come from."""
        found: str = next(one["code"] for one in self.session["handsets"] if one["number"] == number)
        return found

    def _call(self, method: str, path: str, body: Any = None) -> Answer:
        path = f"/sessions/{self.session['id']}{path}"
        key = new_key() if body is not None else None
        return self.stack.api.call(method, path, self.session["token"], body, idempotency_key=key)


@pytest.fixture
def page(stack: Stack) -> Callable[[], Web]:
    return lambda: Web(stack)


@pytest.fixture
def number() -> str:
    """A handset that nobody has written to yet."""
    return f"+1829555{secrets.randbelow(10_000):04}"


def new_key() -> str:
    return secrets.token_urlsafe(24)


def texts_on(stack: Stack, number: str) -> list[tuple[str, str]]:
    """What a handset's inbox shows: from which code, and what."""
    inbox = stack.handsets.carrier.phones.inbox(number)
    return [(one["code"], one["text"]) for one in inbox["texts"] if one["direction"] == "received"]


def reply(stack: Stack, number: str, code: str, text: str) -> None:
    path = f"/handsets/{quote(number)}/replies"
    Api(stack.handsets.url).need("POST", path, body={"to": code, "text": text})


def sessions_table(stack: Stack) -> Any:
    return stack.aws.session.resource("dynamodb", endpoint_url=stack.emulator.endpoint_url).Table(table_name(stack))


def table_name(stack: Stack) -> str:
    found = stack.aws.client("cloudformation").describe_stack_resource(
        StackName=STACK, LogicalResourceId="SessionsTable"
    )
    name: str = found["StackResourceDetail"]["PhysicalResourceId"]
    return name


def make_older(stack: Stack, web: Web, by: timedelta) -> None:
    """As if the time had passed since the session's last activity."""
    table, key = sessions_table(stack), {"pk": f"X#{web.session['id']}", "sk": "session"}
    row = table.get_item(Key=key, ConsistentRead=True)["Item"]
    moments = {name: moved(row[name], by) for name in ("opened_at", "last_activity_at", "check_at")}
    table.update_item(
        Key=key,
        UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in moments),
        ExpressionAttributeValues={f":{name}": moment for name, moment in moments.items()},
    )


def moved(stored: str, by: timedelta) -> str:
    return (datetime.strptime(stored, STORED).astimezone(UTC) - by).strftime(STORED)


def rows_left(stack: Stack, web: Web) -> list[str]:
    found = sessions_table(stack).query(
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": f"X#{web.session['id']}"},
        ConsistentRead=True,
    )
    return [row["sk"] for row in found["Items"]]


def sweep(stack: Stack) -> None:
    """The minute's sweep, now."""
    found = stack.aws.client("cloudformation").describe_stack_resource(
        StackName=STACK, LogicalResourceId="SessionSweeper"
    )
    name = found["StackResourceDetail"]["PhysicalResourceId"]
    answered = stack.aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps({"source": "aws.scheduler"}))
    assert "FunctionError" not in answered, answered["Payload"].read()


def test_two_people_and_one_handset_talk_on_two_codes_and_each_has_their_own_answers(
    stack: Stack, page: Callable[[], Web], number: str
) -> None:
    ana, luis = page(), page()
    ana.open(number, text="Soy Ana. ¿Vienes?")
    luis.open(number, text="Soy Luis. ¿Vienes?")
    assert ana.code(number) != luis.code(number)
    wait_for(lambda: len(texts_on(stack, number)) == 2, "both texts on the handset")
    assert set(texts_on(stack, number)) == {
        (ana.code(number), "Soy Ana. ¿Vienes?"),
        (luis.code(number), "Soy Luis. ¿Vienes?"),
    }

    reply(stack, number, ana.code(number), "Sí, Ana <b>voy</b>")
    reply(stack, number, luis.code(number), "No, Luis")

    assert ana.answers() == [(number, "Sí, Ana <b>voy</b>")]
    assert luis.answers() == [(number, "No, Luis")]


def test_a_reply_in_the_last_seconds_keeps_a_session_and_one_at_five_minutes_reaches_nobody_C7_C9(
    stack: Stack, page: Callable[[], Web], number: str
) -> None:
    web = page()
    web.open(number)
    wait_for(lambda: texts_on(stack, number), "the text on the handset")

    make_older(stack, web, NEARLY_FIVE_MINUTES)
    reply(stack, number, web.code(number), "a tiempo")
    assert web.answers() == [(number, "a tiempo")]
    make_older(stack, web, NEARLY_FIVE_MINUTES)
    assert web.extend().status == 200

    make_older(stack, web, FIVE_MINUTES)
    reply(stack, number, web.code(number), "tarde")
    assert (web.read().status, web.read().body["code"]) == (410, "session_ended")
    assert web.extend().status == 410


def test_a_reply_before_the_sweep_keeps_the_session_and_one_after_it_reaches_nobody_C9(
    stack: Stack, page: Callable[[], Web], number: str
) -> None:
    kept, swept = page(), page()
    kept.open(number)
    swept.open(number)
    wait_for(lambda: len(texts_on(stack, number)) == 2, "both texts on the handset")
    make_older(stack, kept, NEARLY_FIVE_MINUTES)
    make_older(stack, swept, FIVE_MINUTES)

    reply(stack, number, kept.code(number), "antes")
    sweep(stack)
    wait_for(lambda: rows_left(stack, swept) == ["session"], "the words to be gone")
    reply(stack, number, swept.code(number), "después")

    assert kept.answers() == [(number, "antes")]
    assert swept.read().status == 410
    assert rows_left(stack, swept) == ["session"], "nothing of a late reply is kept"


def test_of_a_reply_and_a_sweep_in_the_same_moment_one_wins_and_both_say_the_same(
    stack: Stack, page: Callable[[], Web], number: str
) -> None:
    web = page()
    web.open(number)
    wait_for(lambda: texts_on(stack, number), "the text on the handset")
    make_older(stack, web, FIVE_MINUTES - timedelta(seconds=0.5))

    with ThreadPoolExecutor(2) as both:
        replying = both.submit(reply, stack, number, web.code(number), "justo ahora")
        sweeping = both.submit(sweep, stack)
        replying.result()
        sweeping.result()

    # Whoever was first: the answer is there and the session goes on, or it has ended and nothing was kept of it.
    if web.read().status == 200:
        assert web.answers() == [(number, "justo ahora")]
    else:
        sweep(stack)
        wait_for(lambda: rows_left(stack, web) == ["session"], "the words to be gone")


def test_after_the_end_the_next_text_opens_another_session_from_another_code_C7_C8_C9(
    stack: Stack, page: Callable[[], Web], number: str
) -> None:
    web = page()
    first = web.open(number)
    first_code = web.code(number)
    wait_for(lambda: texts_on(stack, number), "the text on the handset")
    assert web.end().status == 204
    assert web.read().status == 410
    assert web.say("¿Sigues ahí?").status == 410, "nothing was kept, so nobody knows to whom"

    again = web.say("¿Sigues ahí?", number)

    assert again.status == 201
    assert again.body["id"] != first["id"]
    web.session = again.body
    assert web.code(number) != first_code
    wait_for(lambda: (web.code(number), "¿Sigues ahí?") in texts_on(stack, number), "the text from the other code")
    reply(stack, number, first_code, "al hilo de antes")
    reply(stack, number, web.code(number), "al de ahora")
    assert web.answers() == [(number, "al de ahora")]


def test_a_token_opens_its_own_session_and_nothing_without_one(stack: Stack, page: Callable[[], Web]) -> None:
    ana, luis = page(), page()
    ana.open("+18295550001")
    luis.open("+18295550002")
    path = f"/sessions/{ana.session['id']}/messages"

    assert stack.api.call("GET", path, luis.session["token"]).status == 401
    assert stack.api.call("GET", path, ana.session["token"] + "A").status == 401
    assert stack.api.call("GET", path).status == 401


def test_a_handset_whose_codes_are_all_used_is_refused_and_says_when_to_try_again(
    stack: Stack, page: Callable[[], Web], number: str
) -> None:
    pool = stack.api.need("GET", "/operator/short-codes?country=DO&purpose=sessions&state=free", operator(stack))
    for _ in pool["codes"]:
        web = page()
        web.open(number)
        web.end()

    refused = page().ask_to_open(number)

    assert (refused.status, refused.body["code"]) == (422, "no_handset_reachable")
    assert refused.body["refused"][0]["reason"] == "no_short_code_free"
    assert 0 < int(refused.headers["retry-after"]) <= 3600


def test_a_fleet_handset_receives_and_what_it_answers_is_shown_to_nobody_C3(
    stack: Stack, page: Callable[[], Web], number: str
) -> None:
    stack.api.need("POST", "/operator/fleets/DO", operator(stack), {"number": number}, idempotency_key=new_key())
    web = page()

    opened = web.open(number)

    assert [(one["number"], one["can_answer"]) for one in opened["handsets"]] == [(number, False)]
    wait_for(lambda: texts_on(stack, number), "the text on the handset")
    reply(stack, number, web.code(number), "no debería llegar")
    assert web.answers() == []
    path = f"/operator/fleets/DO/{quote(number)}"
    assert stack.api.call("DELETE", path, operator(stack)).status == 204


def test_of_a_flood_at_the_same_moment_exactly_as_many_pass_as_may_and_the_others_are_told_when(
    page: Callable[[], Web], number: str
) -> None:
    with ThreadPoolExecutor(6) as threads:
        asked = list(threads.map(lambda web: web.ask_to_open(number), [page() for _ in range(12)]))

    refused = [one for one in asked if one.status != 201]
    assert len(asked) - len(refused) == 4, [one.status for one in asked]
    assert {(one.status, one.body["code"], one.body["limit"]) for one in refused} == {
        (429, "session_limit_reached", "handset_sessions")
    }
    assert all(0 < int(one.headers["retry-after"]) <= 300 for one in refused)


def test_a_handset_that_answers_bloquear_hears_nothing_more_from_the_web_until_it_says_alta(
    stack: Stack, page: Callable[[], Web], number: str
) -> None:
    web, other = page(), page()
    web.open(number)
    wait_for(lambda: texts_on(stack, number), "the text on the handset")
    reply(stack, number, web.code(number), "Bloquear")

    assert other.ask_to_open(number).body["refused"][0]["reason"] == "opted_out"
    assert web.say("¿Por qué?").body["refused"][0]["reason"] == "opted_out"
    wait_for(lambda: len(texts_on(stack, number)) == 2, "what BLOQUEAR is answered")  # that, and nothing more
    (_, first), (_, answer) = texts_on(stack, number)
    assert first == "¿Vienes a las 5?"
    assert answer.endswith("responda ALTA.")

    reply(stack, number, web.code(number), "ALTA")
    assert other.ask_to_open(number).status == 201


def operator(stack: Stack) -> str:
    return stack.operator.token("operator", "soporte-1", datetime.now(UTC))
