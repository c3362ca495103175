"""The handsets: which texts each received and sent, and what the carrier was asked. Safe to use from several threads.

Decides nothing: what is taken or refused is the carrier's (`carrier.py`).
"""

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

TEXTS_PER_HANDSET_MAX = 200
REFERENCES_MAX = 200_000  # remembered answers; about a day of a large load test

type Direction = Literal["received", "sent"]


@dataclass(frozen=True, slots=True)
class Text:
    """One text in a handset's thread. `code` is the other side, a short code."""

    id: str
    direction: Direction
    code: str
    text: str
    at: str  # ISO 8601, UTC
    parts: int
    reference: str | None = None
    times_asked: int = 1  # how often recado handed this reference over
    answer: str | None = None  # of a reply: what recado said to it


@dataclass(frozen=True, slots=True)
class Answer:
    """What the carrier said about one reference."""

    status: Literal["accepted", "refused"]
    id: str | None = None
    reason: str | None = None
    code: str | None = None

    def as_json(self, reference: str) -> dict[str, str]:
        return {"reference": reference} | {name: value for name, value in asdict(self).items() if value is not None}


class Phones:
    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self._lock = threading.Lock()
        self._names = dict(names or {})
        self._threads: dict[str, list[Text]] = {}
        self._unread: dict[str, int] = {}
        self._answers: dict[str, Answer] = {}
        self._places: dict[str, str] = {}  # reference -> the number that shows it
        self._changes = 0
        self._saved_changes = 0

    # --- what the carrier does ---

    def find_answer(self, reference: str) -> Answer | None:
        """The answer given before to this reference, which counts as asked again."""
        with self._lock:
            answer = self._answers.get(reference)
            if answer is None:
                return None
            number = self._places.get(reference)
            if number is not None:
                self._threads[number] = [
                    replace(text, times_asked=text.times_asked + 1) if text.reference == reference else text
                    for text in self._threads[number]
                ]
                self._changes += 1
            return answer

    def remember_answer(self, reference: str, answer: Answer) -> None:
        with self._lock:
            self._remember(reference, answer)

    def remember_first(self, reference: str, answer: Answer) -> bool:
        """False when this reference has its answer already."""
        with self._lock:
            if reference in self._answers:
                return False
            self._remember(reference, answer)
            return True

    def last_reference(self, number: str, code: str) -> str | None:
        """Of the latest text that a handset received from a code; None when it has none."""
        with self._lock:
            thread = reversed(self._threads.get(number, []))
            return next((text.reference for text in thread if text.direction == "received" and text.code == code), None)

    def receive(self, number: str, text: Text) -> dict[str, Any]:
        """Shows a text on a handset; returns what a watching page needs."""
        with self._lock:
            self._append(number, text)
            self._unread[number] = self._unread.get(number, 0) + 1
            if text.reference is not None:
                self._places[text.reference] = number
            return self._event(number, text)

    def send(self, number: str, text: Text) -> dict[str, Any]:
        """Adds a reply to the thread of the handset it was written on."""
        with self._lock:
            self._append(number, text)
            self._unread[number] = 0
            return self._event(number, text)

    def mark_read(self, number: str) -> bool:
        """Says whether anything was unread."""
        with self._lock:
            if not self._unread.get(number):
                return False
            self._unread[number] = 0
            self._changes += 1
            return True

    # --- what is shown ---

    def list_handsets(self) -> list[dict[str, Any]]:
        """Every handset that has a text, the latest first."""
        with self._lock:
            rows = [
                self._summary(number) | {"last": asdict(thread[-1])}
                for number, thread in self._threads.items()
                if thread
            ]
        return sorted(rows, key=lambda row: str(row["last"]["at"]), reverse=True)

    def inbox(self, number: str) -> dict[str, Any]:
        with self._lock:
            return self._summary(number) | {"texts": [asdict(text) for text in self._threads.get(number, [])]}

    # --- across a restart ---

    def is_changed(self) -> bool:
        with self._lock:
            return self._changes != self._saved_changes

    def save(self, file: Path) -> None:
        """Writes everything, or nothing: the old file stays until the new one is whole."""
        with self._lock:
            changes = self._changes
            content = {
                "threads": {number: [asdict(text) for text in thread] for number, thread in self._threads.items()},
                "unread": {number: count for number, count in self._unread.items() if count},
                "answers": {reference: asdict(answer) for reference, answer in self._answers.items()},
            }
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".new")
        with draft.open("w", encoding="utf-8") as out:
            json.dump(content, out, ensure_ascii=False)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
        with self._lock:
            self._saved_changes = changes

    def load(self, file: Path) -> None:
        """Finds what was saved; a file that is not there is an empty network."""
        if not file.exists():
            return
        content = json.loads(file.read_text(encoding="utf-8"))
        with self._lock:
            self._threads = {number: [Text(**text) for text in thread] for number, thread in content["threads"].items()}
            self._unread = dict(content["unread"])
            self._answers = {reference: Answer(**answer) for reference, answer in content["answers"].items()}
            self._places = {
                text.reference: number
                for number, thread in self._threads.items()
                for text in thread
                if text.reference is not None
            }

    # --- under the lock ---

    def _remember(self, reference: str, answer: Answer) -> None:
        self._answers[reference] = answer
        if len(self._answers) > REFERENCES_MAX:
            oldest = next(iter(self._answers))
            del self._answers[oldest]
            self._places.pop(oldest, None)
        self._changes += 1

    def _append(self, number: str, text: Text) -> None:
        thread = self._threads.setdefault(number, [])
        thread.append(text)
        for gone in thread[:-TEXTS_PER_HANDSET_MAX]:
            if gone.reference is not None:
                self._places.pop(gone.reference, None)
        del thread[:-TEXTS_PER_HANDSET_MAX]
        self._changes += 1

    def _summary(self, number: str) -> dict[str, Any]:
        return {
            "number": number,
            "name": self._names.get(number),
            "unread": self._unread.get(number, 0),
            "total": len(self._threads.get(number, [])),
        }

    def _event(self, number: str, text: Text) -> dict[str, Any]:
        return self._summary(number) | {"text": asdict(text)}


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
