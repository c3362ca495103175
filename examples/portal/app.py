"""A school's portal in one file, to be copied: it signs tokens, sends an alert, and is told what became of it.

examples/portal/README.md says how to run it. It must never log a secret, a text or a number, nor send twice.
"""

import json
import os
import secrets
import sqlite3
import time
from typing import Any

import jwt  # PyJWT
import requests
from flask import Flask, Response, abort, jsonify, redirect, render_template, request
from standardwebhooks import Webhook, WebhookVerificationError

API, SCHOOL, KEY_ID = os.environ["RECADO_API"], os.environ["RECADO_SCHOOL"], os.environ["RECADO_KEY_ID"]
USER, ROLE = os.environ.get("PORTAL_USER", "directora"), os.environ.get("PORTAL_ROLE", "director")  # yours log in
PAGES = os.environ["RECADO_PAGES"]  # where recado's own pages are, e.g. https://recado.escuela.cl
PAGES_ORIGIN = "/".join(PAGES.split("/")[:3])
VIEWS = {
    "write": "Escribir",
    "messages": "Mensajes",
    "replies": "Respuestas",
    "people": "Personas",
    "credits": "Créditos",
}
app = Flask(__name__)
app.config.update(TRUSTED_HOSTS=["127.0.0.1"], MAX_CONTENT_LENGTH=64 * 1024)
db = sqlite3.connect(os.environ.get("PORTAL_DATABASE", "portal.sqlite"), autocommit=True, check_same_thread=False)
db.row_factory = sqlite3.Row
db.execute("CREATE TABLE IF NOT EXISTS told (id TEXT PRIMARY KEY, at TEXT, type TEXT, data TEXT)")


def token() -> str:
    """For whoever is logged in; made anew for each request, so five minutes are plenty."""
    now = int(time.time())
    claims = {"iss": SCHOOL, "sub": USER, "role": ROLE, "iat": now, "exp": now + 300}
    return jwt.encode(claims, os.environ["RECADO_KEY_SECRET"], algorithm="HS256", headers={"kid": KEY_ID})


def ask(method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, dict[str, Any]]:
    """Status and body; status 0: no answer. Then it may have been done: the same again, with the same key, is safe."""
    for pause in (1, 2, 0):
        headers = {"Authorization": f"Bearer {token()}", **({"Idempotency-Key": key} if key else {})}
        try:
            answer = requests.request(method, API + path, json=body, headers=headers, timeout=(3, 30))
            status, found = answer.status_code, answer.json()
        except requests.RequestException:
            status, found = 0, {"code": "no_answer"}
        if 0 < status < 500 and found.get("code") != "still_running":
            break
        time.sleep(pause)
    return status, found


def of_message(message_id: str, act: str = "") -> str:
    return f"/messages/{message_id}{act}" if message_id.isalnum() else abort(404)


def content() -> dict[str, Any]:
    """What the form says, as `POST /messages` and `POST /messages/estimate` both want it."""
    audience = {"who": ["guardians"], "groups": [request.form["group"]]}
    return {"text": request.form["text"], "category": request.form["category"], "audience": audience}


def notes(message_id: str | None = None) -> list[sqlite3.Row]:
    """What recado has told, the newest first; with an id, of that message only."""
    of_it = "SELECT * FROM told WHERE :id IS NULL OR json_extract(data, '$.message') = :id ORDER BY at DESC LIMIT 20"
    return db.execute(of_it, {"id": message_id}).fetchall()


@app.before_request
def refuse_other_sites() -> None:
    """A page of somebody else's must not press our buttons; recado's own calls come from no page."""
    if request.method == "POST" and request.headers.get("Origin", request.host_url[:-1]) != request.host_url[:-1]:
        abort(403)


@app.get("/")
def write() -> str:
    """The form. Its id is made here, once: pressed twice, sent again or reloaded, it is one and the same sending."""
    status, found = ask("GET", "/groups")
    if status != 200:
        return show(problem=found)
    return show(groups=found["groups"], form_id=secrets.token_urlsafe(16), notes=notes())


@app.post("/estimate")
def estimate(problem: dict[str, Any] | None = None) -> str:
    """How many, how much, who is left out. A large audience is counted in the background, as a draft: ask again."""
    draft = request.form.get("draft")
    path, body = (of_message(draft, "/estimate"), {}) if draft else ("/messages/estimate", content() | {"limit": 100})
    status, found = ask("POST", path, body)
    return show(estimate=found, problem=problem) if status in (200, 202) else show(problem=problem or found)


@app.post("/send")
def send() -> Any:
    """Exactly what was shown, or nothing: the digest sees to that."""
    draft, shown = request.form.get("draft"), {"digest": request.form["digest"]}
    path, body = (of_message(draft, "/send"), shown) if draft else ("/messages", content() | {"send": "now"} | shown)
    status, found = ask("POST", path, body, key=f"{request.form['form_id']}-{shown['digest'][:16]}")
    if status in (200, 201, 202):
        return redirect(of_message(found["id"]), 303)
    return show(problem=found, again=True) if status == 0 else estimate(problem=found)


@app.get("/messages/<message_id>")
def follow(message_id: str) -> str:
    status, found = ask("GET", of_message(message_id))
    if status != 200:
        return show(problem=found)
    _, lines = ask("GET", of_message(message_id, "/recipients?limit=100"))
    return show(message=found, lines=lines, notes=notes(message_id))


def show(**what: Any) -> str:
    return render_template("page.html", form=request.form, **what)  # which escapes all of it


@app.get("/pages/<view>")
def embed(view: str) -> str:
    """One of recado's own pages, inside one of ours; static/embed.js talks with it."""
    return render_template("embedded.html", view=view, views=VIEWS, pages=PAGES) if view in VIEWS else abort(404)


@app.get("/token")
def give_token() -> Response:
    """For recado's pages: by embed.js, or for one that a link opened (`PortalTokenUrl`). No others can read it."""
    answer = jsonify(token=token())
    answer.headers["Access-Control-Allow-Origin"], answer.headers["Cache-Control"] = PAGES_ORIGIN, "no-store"
    answer.headers["Access-Control-Allow-Credentials"] = "true"
    return answer


@app.post("/recado")
def take_webhook() -> tuple[str, int]:
    """What recado tells: believed by its signature over the body as it came, noted once however often it comes."""
    try:
        event = Webhook(os.environ["RECADO_WEBHOOK_SECRET"]).verify(request.get_data(), dict(request.headers))
    except WebhookVerificationError:
        return "", 401
    row = (request.headers["webhook-id"], event["timestamp"], event["type"], json.dumps(event["data"]))
    db.execute("INSERT INTO told VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", row)  # id and deed in one write
    return "", 204


@app.after_request
def lock(response: Response) -> Response:
    ours = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-ancestors 'none'"
    response.headers["Content-Security-Policy"] = f"{ours}; frame-src {PAGES_ORIGIN}"
    return response


if __name__ == "__main__":
    app.run("127.0.0.1", int(os.environ.get("PORTAL_PORT", "4590")))
