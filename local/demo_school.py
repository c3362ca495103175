"""Loads the demo school through the same doors as a real one: the operator's API, the import bucket, the directory.

Whatever is there already is left as it is, so a second start finds its data.
"""

import csv
import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from local.api import Api, ApiError, Key
from local.aws import Aws

DEMO = Path(__file__).parent / "demo"
SCHOOL_ID = "los-aromos"
SCHOOL_NAME = "Escuela Los Aromos"
SCHOOL_CODE = "20600"
SESSION_CODES = tuple(str(code) for code in range(20701, 20717))  # a quarter of them is one address's
BAGS = ("domestic-2000",)  # and no international one: what a foreign number says then is part of the demo (L13)
KEY_ID = "demo-portal"
KINDS = ("students", "guardians", "staff")
THERE_ALREADY = frozenset({"already_exists", "idempotency_key_reused"})
IMPORT_ID = "demo"
IMPORT_SECONDS_MAX = 60
POLL_SECONDS = 0.3
TOKEN_LIFE = timedelta(hours=12)

type Clock = Callable[[], datetime]


@dataclass(frozen=True)
class DemoSchool:
    """Loads what is missing; the key's secret is derived, so it need not be kept from the start that made it."""

    api: Api
    aws: Aws
    operator: Key
    import_bucket: str
    marker: Path  # there when everything was loaded once
    secret_of: Callable[[str, str], str]  # (school, key id) -> the key's secret
    clock: Clock

    def load(self) -> tuple[Key, int]:
        """The school's key and how many people its directory has. Raises ApiError."""
        key = Key(SCHOOL_ID, KEY_ID, self.secret_of(SCHOOL_ID, KEY_ID))
        if self.marker.exists() and (people := self._count_people(key)):
            return key, people
        # One after the other: a second request at once would start a second process of the function, a second of work.
        self._create_school()
        self._create_key()
        self._upload_roster()
        for code in SESSION_CODES:
            self._add_code(code)
        for bag in BAGS:
            self._sell_bag(bag)
        self._wait_for_import(key)
        for person_id, reason in _opt_outs():
            self._switch_off_sms(key, person_id, reason)
        self.marker.touch()
        return key, self._count_people(key)

    def director_token(self, key: Key) -> str:
        return key.token("director", "directora", self.clock(), TOKEN_LIFE)

    def _create_school(self) -> None:
        self._ask_operator(
            "/operator/schools",
            {
                "id": SCHOOL_ID,
                "name": SCHOOL_NAME,
                "country": "CL",
                "time_zone": "America/Santiago",
                "code": SCHOOL_CODE,
            },
        )

    def _add_code(self, code: str) -> None:
        self._ask_operator("/operator/short-codes", {"country": "DO", "code": code, "purpose": "sessions"})

    def _sell_bag(self, bag: str) -> None:
        self._ask_operator(f"/operator/schools/{SCHOOL_ID}/bags", {"bag": bag})

    def _create_key(self) -> None:
        self._ask_operator(f"/operator/schools/{SCHOOL_ID}/keys", {"key_id": KEY_ID})

    def _ask_operator(self, path: str, body: dict[str, str]) -> None:
        """What exists already is as good as made."""
        token = self.operator.token("operator", "make-run", self.clock())
        key = hashlib.sha256(f"{path} {json.dumps(body)}".encode()).hexdigest()
        answer = self.api.call("POST", path, token, body, idempotency_key=f"demo-{key[:32]}")
        if answer.is_success or (isinstance(answer.body, dict) and answer.body.get("code") in THERE_ALREADY):
            return
        raise ApiError(f"POST {path} was answered {answer.status}: {answer.body}")

    def _upload_roster(self) -> None:
        self.aws.client("s3").put_object(
            Bucket=self.import_bucket, Key=f"imports/{SCHOOL_ID}/{IMPORT_ID}.zip", Body=roster_zip()
        )

    def _wait_for_import(self, key: Key) -> None:
        deadline = time.monotonic() + IMPORT_SECONDS_MAX
        token = self.director_token(key)
        while time.monotonic() < deadline:
            answer = self.api.call("GET", f"/imports/{IMPORT_ID}", token)
            state = answer.body["state"] if answer.is_success else "running"
            if state == "done":
                return
            if state == "refused":
                raise ApiError(f"the demo school's roster was refused: {answer.body['problems']}")
            time.sleep(POLL_SECONDS)
        raise ApiError(f"the demo school's roster was not imported within {IMPORT_SECONDS_MAX} s")

    def _switch_off_sms(self, key: Key, person_id: str, reason: str) -> None:
        body = {"allowed": False, "reason": reason}
        self.api.need("PUT", f"/people/{person_id}/sms", self.director_token(key), body)

    def _count_people(self, key: Key) -> int:
        """0 also when there is no such school: a marker may be older than the data."""
        answer = self.api.call("GET", "/groups", self.director_token(key))
        groups = answer.body["groups"] if answer.is_success else []
        return sum(group[who] for group in groups if group["kind"] == "school" for who in KINDS)


def roster_zip() -> bytes:
    """The OneRoster files of the demo, zipped as a portal would upload them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((DEMO / "oneroster").glob("*.csv")):
            archive.write(file, file.name)
    return buffer.getvalue()


def names_by_number(today: date) -> dict[str, str]:
    """Who holds each number, for the handsets' page; read by the same rules that import the roster."""
    from recado.rules.oneroster import FILES_READ, read_roster  # reads phonenumbers: half a second, only when needed

    with ExitStack() as stack:
        files = {
            name: stack.enter_context((DEMO / "oneroster" / name).open("rb"))
            for name in FILES_READ
            if (DEMO / "oneroster" / name).exists()
        }
        roster = read_roster(files, "CL", today)
    names: dict[str, list[str]] = {}
    for person in roster.people.values():
        if person.number is not None:
            names.setdefault(person.number, []).append(f"{person.given_name} {person.family_name}")
    return {number: " / ".join(holders[:2]) for number, holders in sorted(names.items())}


def _opt_outs() -> list[tuple[str, str]]:
    with (DEMO / "opt_outs.csv").open(encoding="utf-8", newline="") as file:
        return [(row["sourcedId"], row["reason"]) for row in csv.DictReader(file)]
