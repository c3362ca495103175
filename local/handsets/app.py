"""The simulated carrier over HTTP: recado's side (`/send`), the page's side, the faults. Decides nothing.

Answers loopback names only, so that a page of another origin can neither read the texts nor write as somebody.
"""

import socket
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request, send_from_directory
from werkzeug.exceptions import HTTPException

from local.handsets.carrier import CODE, NUMBER, TEXT_LENGTH_MAX, Carrier, WaveError
from local.handsets.faults import FaultsError, read_faults
from local.handsets.portal import Portal, add_portal

STATIC = Path(__file__).parent / "static"
BODY_BYTES_MAX = 2_000_000
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def create_app(carrier: Carrier, portal: Portal | None = None) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX
    app.json.ensure_ascii = False  # type: ignore[attr-defined]  # the default provider has it
    _add_guards(app)
    _add_recado_side(app, carrier)
    _add_handsets(app, carrier)
    _add_faults(app, carrier)
    _add_page(app, carrier)
    if portal is not None:
        add_portal(app, portal)
    return app


def _add_recado_side(app: Flask, carrier: Carrier) -> None:
    @app.post("/send")
    def send() -> Response:
        if not carrier.is_signed(request.get_data(), dict(request.headers)):
            return _problem(HTTPStatus.UNAUTHORIZED, "bad_signature", "The signature does not hold.")
        fate, answers = carrier.take_wave(request.get_json())
        if fate == "busy":
            return _problem(HTTPStatus.TOO_MANY_REQUESTS, "told_to_be_busy", "Told to be busy; nothing was taken.")
        if fate == "barred":
            return _problem(HTTPStatus.FORBIDDEN, "told_to_bar", "Told to take nothing from you.")
        if fate == "failed":
            return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "told_to_fail", "Told to fail; nothing was taken.")
        if fate == "answer_lost":
            _close_connection()
        return jsonify({"messages": answers})

    @app.get("/health")
    def health() -> Response:
        by_sns = {} if carrier.sns is None else {"sns_receipts": carrier.sns.counts()}
        return jsonify({"status": "ok", "receipts": carrier.outbox.counts()} | by_sns)


def _add_handsets(app: Flask, carrier: Carrier) -> None:
    @app.get("/handsets")
    def list_handsets() -> Response:
        return jsonify(carrier.phones.list_handsets())

    @app.get("/handsets/<number>")
    def inbox(number: str) -> Response:
        if not NUMBER.fullmatch(number):
            return _problem(HTTPStatus.NOT_FOUND, "not_found", "That is not a number in E.164, e.g. +56912345678.")
        return jsonify(carrier.phones.inbox(number))

    @app.post("/handsets/<number>/replies")
    def reply(number: str) -> tuple[Response, int] | Response:
        body = _json_object()
        for problem in _reply_problems(number, body):
            return problem
        told = carrier.reply(number, body["to"], body["text"], body.get("in_reply_to"))
        return jsonify(told), HTTPStatus.OK if told["taken"] else HTTPStatus.BAD_GATEWAY

    @app.post("/handsets/<number>/read")
    def mark_read(number: str) -> tuple[str, int]:
        carrier.mark_read(number)
        return "", HTTPStatus.NO_CONTENT


def _add_faults(app: Flask, carrier: Carrier) -> None:
    @app.get("/faults")
    def get_faults() -> Response:
        return jsonify(carrier.faults.as_json())

    @app.put("/faults")
    def put_faults() -> Response:
        carrier.set_faults(read_faults(request.get_json()))
        return jsonify(carrier.faults.as_json())


def _add_page(app: Flask, carrier: Carrier) -> None:
    @app.get("/events")
    def events() -> Response:
        return Response(carrier.watchers.watch(), mimetype="text/event-stream")

    @app.get("/")
    def page() -> Response:
        return send_from_directory(STATIC, "index.html")

    @app.get("/<any('handsets.js', 'handsets.css', 'favicon.svg'):name>")
    def static_file(name: str) -> Response:
        return send_from_directory(STATIC, name)


def _add_guards(app: Flask) -> None:
    @app.before_request
    def only_loopback_names() -> Response | None:
        host = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
        if host in LOOPBACK:
            return None
        return _problem(HTTPStatus.FORBIDDEN, "not_loopback", "This server answers 127.0.0.1 and localhost only.")

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.errorhandler(WaveError)
    @app.errorhandler(FaultsError)
    def wrong_field(error: WaveError | FaultsError) -> Response:
        return _problem(HTTPStatus.BAD_REQUEST, "invalid_request", str(error), field=error.field, said=error.detail)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
        return _problem(status, status.name.lower(), error.description or status.phrase)


def _json_object() -> dict[str, Any]:
    body = request.get_json()
    return body if isinstance(body, dict) else {}


def _reply_problems(number: str, body: Mapping[str, Any]) -> list[Response]:
    code, text, in_reply_to = body.get("to"), body.get("text"), body.get("in_reply_to")
    wrong = []
    if not NUMBER.fullmatch(number):
        wrong.append(("number", "must be a number in E.164, e.g. +56912345678"))
    if not isinstance(code, str) or not CODE.fullmatch(code):
        wrong.append(("to", "must be a short code, e.g. 20600"))
    if not isinstance(text, str) or not 1 <= len(text) <= TEXT_LENGTH_MAX:
        wrong.append(("text", f"must be a text of 1 to {TEXT_LENGTH_MAX} characters"))
    if in_reply_to is not None and not isinstance(in_reply_to, str):
        wrong.append(("in_reply_to", "must be a reference"))
    return [
        _problem(HTTPStatus.BAD_REQUEST, "invalid_request", f"{field} {said}", field=field, said=said)
        for field, said in wrong[:1]
    ]


def _problem(status: HTTPStatus, code: str, detail: str, *, field: str = "", said: str = "") -> Response:
    """RFC 9457."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "code": code,
        "detail": detail,
    }
    if field:
        document["errors"] = [{"field": field, "detail": said}]
    response = jsonify(document)
    response.status_code = status.value
    response.mimetype = "application/problem+json"
    return response


def _close_connection() -> None:
    """As a network that loses an answer: the caller sees the connection end with nothing said."""
    connection = request.environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)
