"""SNS's side of the handsets: what the emulator's SNS published, its delivery log, and answers on the two-way topic.

The emulator keeps every text it published and gives them all at each look; each is shown once. AWS's models are read
only when there is something to say.
"""

import heapq
import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.handsets.phones import Answer, Phones
from local.handsets.webhooks import Clock, Told

if TYPE_CHECKING:
    from local.aws import Aws

PREFIX = "sns:"  # of the references by which the handsets know its texts
PUBLISHED = "/_ministack/sns/sms-messages"
LOOK_SECONDS = 0.5
LOOK_SHARE = 0.1  # of the time: the answer grows with every text there ever was
LOOK_SECONDS_MAX = 3.0  # however slow a look was: receipts wait for the next one, too
TIMEOUT_SECONDS = 10
LINES_MAX = 100  # of one write of the log
RETRY_DELAYS = tuple(timedelta(seconds=seconds) for seconds in (0.5, 1, 2, 5, 10, 20))
GROUP = "sns/{region}/{account}/DirectPublishToPhoneNumber"
ORIGIN = "AWS.MM.SMS.OriginationNumber"

# What the log says, by what became of the text (Amazon SNS developer guide, "SMS delivery monitoring").
SAYS: Mapping[str, tuple[str, str]] = {
    "delivered": ("SUCCESS", "Message has been accepted by phone"),
    "unreachable": ("FAILURE", "Phone is currently unreachable/unavailable"),
    "wrong_number": ("FAILURE", "Invalid phone number"),
    "blocked": ("FAILURE", "Phone has blocked SMS"),
}


@dataclass(frozen=True, slots=True)
class Published:
    """One text as the emulator's SNS took it. `code` is "" when it came from no number of ours."""

    id: str
    number: str
    code: str
    text: str

    @property
    def reference(self) -> str:
        return PREFIX + self.id


@dataclass(order=True, slots=True)
class _Line:
    due: datetime
    number: int
    status: str = field(compare=False)
    message: str = field(compare=False)
    attempts: int = field(compare=False, default=0)


class Sns:
    """Use `start` and `stop`; `look` and `write_due` are what its thread does, and what a test may call itself."""

    def __init__(self, endpoint_url: str, stack: str, phones: Phones, clock: Clock) -> None:
        self._base = urlsplit(endpoint_url)
        self._endpoint_url = endpoint_url
        self._stack = stack
        self._phones = phones
        self._clock = clock
        self._seen: dict[str, int] = {}  # how many of each number's texts
        self._lines: list[_Line] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._written = 0
        self._given_up = 0

    def start(self, show: Callable[[Published], None]) -> None:
        self._thread = threading.Thread(target=self._run, args=(show,), name="sns", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(TIMEOUT_SECONDS + 1)

    def counts(self) -> dict[str, int]:
        with self._lock:
            return {"waiting": len(self._lines), "sent": self._written, "given_up": self._given_up}

    def look(self) -> list[Published]:
        """What was published since, each text once: also those of before a restart are known."""
        found = list[Published]()
        for number, records in self._published().items():
            for record in records[self._seen.get(number, 0) :]:
                said = record.get("MessageAttributes", {}).get(ORIGIN, {}).get("StringValue", "")
                text = Published(record["MessageId"], number, said, record["Message"])
                if self._phones.remember_first(text.reference, Answer("accepted", id=text.id)):
                    found.append(text)
            self._seen[number] = len(records)
        return found

    def owe(self, text: Published, state: str, due: datetime) -> None:
        """A line of the delivery log, to be written then."""
        began = self._clock()
        status, said = SAYS[state]
        line = {
            "notification": {
                "messageId": text.id,
                "timestamp": f"{began:%Y-%m-%d %H:%M:%S}.{began.microsecond // 1000:03}",
            },
            "delivery": {
                "phoneCarrier": "Simulated",
                "destination": text.number,
                "priceInUSD": 0.05,
                "smsType": "Transactional",
                "providerResponse": said,
                "dwellTimeMs": 100,
                **({"dwellTimeMsUntilDeviceAck": 200} if status == "SUCCESS" else {}),
            },
            "status": status,
        }
        with self._lock:
            heapq.heappush(self._lines, _Line(due, next(self._numbers), status, json.dumps(line, ensure_ascii=False)))

    def write_due(self) -> int:
        """Writes the lines that are due; those that could not be written wait, a few times. Returns how many."""
        due = self._take_due()
        for status in ("SUCCESS", "FAILURE"):
            of_status = [line for line in due if line.status == status]
            for some in itertools.batched(of_status, LINES_MAX, strict=False):
                self._write(status, some)
        return len(due)

    def bring_answer(self, number: str, code: str, text: str, answered: str | None) -> Told:
        """What a handset wrote, as AWS puts it on the two-way topic. `answered` is a reference of ours."""
        payload = {
            "originationNumber": number,
            "destinationNumber": code,
            "messageKeyword": f"KEYWORD_{code}",
            "messageBody": text,
            "inboundMessageId": f"in-{time.time_ns():x}-{next(self._numbers)}",
        }
        if answered is not None:
            payload["previousPublishedMessageId"] = answered.removeprefix(PREFIX)
        try:
            self._aws.client("sns").publish(TopicArn=self._topic, Message=json.dumps(payload, ensure_ascii=False))
        except self._refused as error:
            return Told(None, type(error).__name__)
        return Told(200, "published")

    # --- the emulator --------------------------------------------------------------------------------------------

    @cached_property
    def _aws(self) -> "Aws":
        from local.aws import Aws  # reads large models: only who speaks by SNS waits for them

        return Aws(self._endpoint_url)

    @cached_property
    def _refused(self) -> tuple[type[Exception], ...]:
        from botocore.exceptions import BotoCoreError, ClientError

        return (BotoCoreError, ClientError)

    @cached_property
    def _topic(self) -> str:
        found = self._aws.client("cloudformation").describe_stack_resource(
            StackName=self._stack, LogicalResourceId="TwoWayTopic"
        )
        arn: str = found["StackResourceDetail"]["PhysicalResourceId"]
        return arn

    @cached_property
    def _group(self) -> str:
        account = self._aws.client("sts").get_caller_identity()["Account"]
        return GROUP.format(region=self._aws.session.region_name, account=account)

    def _published(self) -> dict[str, list[dict[str, Any]]]:
        """By number; nothing while the emulator is not to be reached."""
        connection = http.client.HTTPConnection(self._base.hostname or "", self._base.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", PUBLISHED)
            found: dict[str, list[dict[str, Any]]] = json.loads(connection.getresponse().read())["sms_messages"]
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            return {}
        else:
            return found
        finally:
            connection.close()

    def _write(self, status: str, lines: Sequence[_Line]) -> None:
        logs, stream = None, f"handsets-{self._clock():%Y-%m-%d}"
        try:
            logs = self._aws.client("logs")
            group = self._group + ("" if status == "SUCCESS" else "/Failure")
            self._create_stream(logs, group, stream)
            now = int(self._clock().timestamp() * 1000)
            events = [{"timestamp": now, "message": line.message} for line in lines]
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
        except self._refused:
            self._put_back(lines)
            return
        with self._lock:
            self._written += len(lines)

    @staticmethod
    def _create_stream(logs: Any, group: str, stream: str) -> None:
        try:
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
        except logs.exceptions.ResourceAlreadyExistsException:
            return

    def _take_due(self) -> list[_Line]:
        now, due = self._clock(), list[_Line]()
        with self._lock:
            while self._lines and self._lines[0].due <= now:
                due.append(heapq.heappop(self._lines))
        return due

    def _put_back(self, lines: Sequence[_Line]) -> None:
        with self._lock:
            for line in lines:
                if line.attempts == len(RETRY_DELAYS):
                    self._given_up += 1
                    continue
                due = self._clock() + RETRY_DELAYS[line.attempts]
                heapq.heappush(self._lines, _Line(due, line.number, line.status, line.message, line.attempts + 1))

    def _run(self, show: Callable[[Published], None]) -> None:
        pause = LOOK_SECONDS
        while not self._stopping.wait(pause):
            began = time.monotonic()
            found = self.look()
            pause = pause_after(time.monotonic() - began)
            for text in found:
                show(text)
            self.write_due()


def pause_after(look_seconds: float) -> float:
    """How long to wait after a look that took so long."""
    return min(LOOK_SECONDS_MAX, max(LOOK_SECONDS, look_seconds / LOOK_SHARE))
