"""SNS's side of the handsets, with an emulator that only gives texts and an AWS that only listens."""

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from local.handsets.carrier import OWN_NUMBER, Carrier
from local.handsets.faults import Faults
from local.handsets.phones import Phones
from local.handsets.sns import ORIGIN, RETRY_DELAYS, SAYS, Sns, pause_after
from local.handsets.watchers import Watchers
from local.handsets.webhooks import Outbox, Recado
from recado.carriers import sns as carrier_sns
from recado.rules.delivery_states import Receipt

NOON = datetime(2026, 11, 23, 12, 0, 0, 558_000, UTC)
MARIA = "+56900000001"


class Emulator:
    """Everything that was published, again at each look."""

    def __init__(self) -> None:
        self.published: dict[str, list[dict[str, Any]]] = {}
        self.url = ""

    def publish(self, message_id: str, text: str, *, number: str = MARIA, code: str = "20600") -> None:
        attributes = {ORIGIN: {"DataType": "String", "StringValue": code}} if code else {}
        record = {"MessageId": message_id, "Message": text, "MessageAttributes": attributes, "PhoneNumber": number}
        self.published.setdefault(number, []).append(record)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    found = Emulator()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"sms_messages": found.published}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


class Refused(Exception):
    pass


class Aws:
    """Logs and the topic; `is_down` refuses everything."""

    ResourceAlreadyExistsException = FileExistsError

    def __init__(self) -> None:
        self.is_down = False
        self.lines: list[tuple[str, str]] = []
        self.published: list[dict[str, Any]] = []
        self.exceptions = self

    def client(self, _: str) -> "Aws":
        return self

    def create_log_stream(self, **_: str) -> None:
        if self.is_down:
            raise Refused
        if self.lines:
            raise FileExistsError

    def put_log_events(self, *, logGroupName: str, logEvents: list[Any], **_: str) -> None:  # noqa: N803
        self.lines += [(logGroupName, one["message"]) for one in logEvents]

    def publish(self, **asked: str) -> None:
        if self.is_down:
            raise Refused
        self.published.append(asked)


class World:
    def __init__(self, emulator: Emulator, phones: Phones) -> None:
        self.now = NOON
        self.aws = Aws()
        self.phones = phones
        self.sns = Sns(emulator.url, "recado", phones, lambda: self.now)
        for name, value in {"_aws": self.aws, "_refused": (Refused,), "_topic": "arn:topic", "_group": "sns/x"}.items():
            vars(self.sns)[name] = value
        recado = Recado("http://127.0.0.1:9/v1", "whsec_dG8tY2Fycmllci10by1jYXJyaWVyLTAx", lambda: self.now)
        self.carrier = Carrier(
            phones=phones,
            recado=recado,
            outbox=Outbox(recado, lambda: self.now),
            watchers=Watchers(),
            secret="whsec_dG8tY2Fycmllci10by1jYXJyaWVyLTAx",  # of tests
            clock=lambda: self.now,
            dice=random.Random(7),  # noqa: S311  # dice, not secrets
            sns=self.sns,
        )

    def look(self) -> None:
        for text in self.sns.look():
            self.carrier.show_published(text)

    def thread(self, number: str = MARIA) -> list[tuple[str, str, int]]:
        return [(one["text"], one["code"], one["times_asked"]) for one in self.phones.inbox(number)["texts"]]


@contextmanager
def told(world: World, **faults: Any) -> Iterator[None]:
    world.carrier.set_faults(Faults(**faults))
    yield


def test_a_text_that_sns_published_is_shown_once_however_often_one_looks(emulator: Emulator) -> None:
    world = World(emulator, Phones())
    emulator.publish("1", "Hola")
    world.look()
    emulator.publish("2", "Otra vez", code="")
    emulator.publish("3", "A otra", number="+56900000002")

    world.look()
    world.look()

    assert world.thread() == [("Hola", "20600", 1), ("Otra vez", OWN_NUMBER, 1)]
    assert world.thread("+56900000002") == [("A otra", "20600", 1)]


def test_what_was_shown_before_a_restart_is_not_shown_again(emulator: Emulator, tmp_path: Path) -> None:
    before, after, file = World(emulator, Phones()), World(emulator, Phones()), tmp_path / "handsets.json"
    emulator.publish("1", "Hola")
    before.look()
    before.phones.save(file)
    after.phones.load(file)
    emulator.publish("2", "Chao")

    after.look()

    assert [text for text, _, _ in after.thread()] == ["Hola", "Chao"]


@pytest.mark.parametrize("state", sorted(SAYS))
def test_the_line_that_is_written_is_one_that_recado_reads(emulator: Emulator, state: str) -> None:
    world = World(emulator, Phones())
    emulator.publish("34d9b400", "Hola")
    [text] = world.sns.look()

    world.sns.owe(text, state, world.now)
    world.sns.write_due()

    [(group, line)] = world.aws.lines
    [receipt] = carrier_sns.read_receipts(line.encode())
    assert (receipt.carrier_id, receipt.state) == ("34d9b400", Receipt(state))
    assert receipt.at is not None
    assert timedelta() <= receipt.at - NOON < timedelta(seconds=1)
    assert group == ("sns/x" if state == "delivered" else "sns/x/Failure")


def test_a_receipt_comes_when_the_faults_say_and_twice_or_never(emulator: Emulator) -> None:
    world = World(emulator, Phones())
    emulator.publish("1", "Hola")
    with told(world, receipts_delay_seconds=60, receipts_twice=True):
        world.look()
    emulator.publish("2", "Chao")
    with told(world, no_receipts=True):
        world.look()

    world.sns.write_due()
    early = len(world.aws.lines)
    world.now += timedelta(seconds=60)
    world.sns.write_due()

    assert early == 0
    assert [json.loads(line)["notification"]["messageId"] for _, line in world.aws.lines] == ["1", "1"]


def test_faults_of_a_while_are_over_for_what_sns_published_too(emulator: Emulator) -> None:
    world = World(emulator, Phones())
    world.carrier.set_faults(Faults(unreachable_share=1.0, no_receipts=True, for_seconds=10))
    emulator.publish("1", "Hola")
    world.look()
    world.now += timedelta(seconds=10)
    emulator.publish("2", "Chao")

    world.look()
    world.sns.write_due()

    assert [text for text, _, _ in world.thread()] == ["Chao"]
    assert [json.loads(line)["notification"]["messageId"] for _, line in world.aws.lines] == ["2"]


def test_a_look_takes_a_tenth_of_the_time_and_the_next_is_never_far_away() -> None:
    assert [pause_after(seconds) for seconds in (0.001, 0.1, 4.0)] == [0.5, 1.0, 3.0]


def test_a_line_that_the_log_does_not_take_is_tried_again_a_few_times_and_then_counted(emulator: Emulator) -> None:
    world = World(emulator, Phones())
    emulator.publish("1", "Hola")
    world.look()
    world.aws.is_down = True

    for delay in (*RETRY_DELAYS, timedelta(), timedelta()):
        world.sns.write_due()
        world.now += delay

    assert world.sns.counts() == {"waiting": 0, "sent": 0, "given_up": 1}


def test_an_answer_goes_to_the_topic_when_the_last_text_of_that_code_came_by_sns(emulator: Emulator) -> None:
    world = World(emulator, Phones())
    emulator.publish("1", "¿Vienen?")
    world.look()

    by_topic = world.carrier.reply(MARIA, "20600", "Sí")
    by_webhook = world.carrier.reply(MARIA, "20700", "¿Quién es?")

    [asked] = world.aws.published
    record = {"Message": asked["Message"], "Timestamp": NOON.isoformat()}
    [reply] = carrier_sns.read_replies(json.dumps(record).encode())
    assert (reply.handset, reply.code, reply.text) == (MARIA, "20600", "Sí")
    assert json.loads(asked["Message"])["previousPublishedMessageId"] == "1"
    assert by_topic["taken"]
    assert by_webhook["status"] is None, "nobody listens where the webhook is"


def test_an_answer_that_the_topic_does_not_take_is_said_so(emulator: Emulator) -> None:
    world = World(emulator, Phones())
    emulator.publish("1", "¿Vienen?")
    world.look()
    world.aws.is_down = True

    assert not world.carrier.reply(MARIA, "20600", "Sí")["taken"]


def test_an_emulator_that_is_away_has_published_nothing() -> None:
    absent = Emulator()
    absent.url = "http://127.0.0.1:9"

    assert World(absent, Phones()).sns.look() == []
