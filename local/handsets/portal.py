"""The demo school's portal, as far as pages need one: `GET /token` signs a token for whoever one wants to be.

It must never be more than a demo: a real portal asks who is signed in, and knows their role and person.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from flask import Flask, Response, jsonify, request

from local.api import Key

TOKEN_LIFE = timedelta(minutes=15)
ROLES = frozenset({"director", "administrator", "teacher", "staff", "guardian", "student"})
PERSON_LENGTH_MAX = 100


@dataclass(frozen=True, slots=True)
class Portal:
    """`page_origin`: the one origin whose pages may ask."""

    key: Key
    page_origin: str


def add_portal(app: Flask, portal: Portal) -> None:
    @app.get("/token")
    def token() -> Response:
        role, person = request.args.get("role", ""), request.args.get("person")
        if role not in ROLES or len(person or "") > PERSON_LENGTH_MAX:
            answer = jsonify({"code": "unknown_role"})
            answer.status_code = HTTPStatus.BAD_REQUEST
        else:
            answer = jsonify({"token": portal.key.token(role, f"demo-{role}", datetime.now(UTC), TOKEN_LIFE, person)})
        answer.headers["Access-Control-Allow-Origin"] = portal.page_origin
        return answer
