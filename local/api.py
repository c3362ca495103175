"""Talks to recado's API as its callers do: HTTP, a signed token, an Idempotency-Key. For the demo and for tests."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import jwt

TIMEOUT_SECONDS = 30


class ApiError(Exception):
    """recado answered something else than what was needed; the text is one line."""


@dataclass(frozen=True)
class Key:
    """A key of a school's portal, or of the platform's staff (school `platform`)."""

    school_id: str
    key_id: str
    secret: str

    def token(
        self, role: str, subject: str, now: datetime, life: timedelta = timedelta(minutes=15), person: str | None = None
    ) -> str:
        """What the portal signs for one of its people."""
        claims: dict[str, Any] = {
            "iss": self.school_id,
            "sub": subject,
            "role": role,
            "iat": int(now.timestamp()),
            "exp": int((now + life).timestamp()),
        }
        if person is not None:
            claims["person"] = person
        return jwt.encode(claims, self.secret, algorithm="HS256", headers={"kid": self.key_id})


@dataclass(frozen=True)
class Answer:
    """`headers` by their names in lower case."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def is_success(self) -> bool:
        return http.HTTPStatus(self.status).is_success


@dataclass(frozen=True)
class Api:
    base_url: str  # e.g. http://127.0.0.1:4566/v1

    def call(
        self, method: str, path: str, token: str | None = None, body: Any = None, idempotency_key: str | None = None
    ) -> Answer:
        headers = {"accept": "application/json"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        if idempotency_key is not None:
            headers["idempotency-key"] = idempotency_key
        content = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = json.dumps(body, ensure_ascii=False).encode()
        base = urlsplit(self.base_url)
        connection = http.client.HTTPConnection(base.hostname or "", base.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, base.path + path, content, headers)
            response = connection.getresponse()
            answered = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(f"{method} {path} was not answered ({type(error).__name__})") from error
        finally:
            connection.close()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, _json_or_text(answered), headers)

    def need(
        self, method: str, path: str, token: str | None = None, body: Any = None, idempotency_key: str | None = None
    ) -> Any:
        """The body of a success. Raises ApiError with the problem's own words."""
        answer = self.call(method, path, token, body, idempotency_key)
        if not answer.is_success:
            said = answer.body.get("detail") or answer.body.get("title") if isinstance(answer.body, dict) else ""
            raise ApiError(f"{method} {path} was answered {answer.status}: {said or answer.body}")
        return answer.body


def _json_or_text(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode("utf-8", "replace")
