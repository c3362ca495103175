"""A school's portal on one screen, to be copied: it signs tokens, sends an alert, and is told what became of it.

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
from flask import Flask, Response, abort, redirect, render_template, request
from standardwebhooks import Webhook, WebhookVerificationError

API, SCHOOL, KEY_ID = os.environ["RECADO_API"], os.environ["RECADO_SCHOOL"], os.environ["RECADO_KEY_ID"]
USER, ROLE = os.environ.get("PORTAL_USER", "directora"), os.environ.get("PORTAL_ROLE", "director")  # yours log in
RULES = "default-src 'none'; style-src 'self'; frame-ancestors 'none'"  # for browsers, of what may be in our pages
app = Flask(__name__)
app.config.update(TRUSTED_HOSTS=["127.0.0.1"], MAX_CONTENT_LENGTH=64 * 1024)
db = sqlite3.connect(os.environ.get("PORTAL_DATABASE", "portal.sqlite"), autocommit=True, check_same_thread=False)
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
            status, found = 0, {}
        if 0 < status < 500 and found.get("code") != "still_running":
            return status, found
        time.sleep(pause)
    return 0, {"code": "no_answer"}


def content() -> dict[str, Any]:
    """What the form says, as `POST /messages` and `POST /messages/estimate` both want it."""
    audience = {"who": ["guardians"], "groups": [request.form["group"]]}
    return {"text": request.form["text"], "category": request.form["category"], "audience": audience}


def show(**what: Any) -> str:
    told = db.execute("SELECT at, type, data FROM told ORDER BY at DESC LIMIT 20").fetchall()
    return render_template("page.html", form=request.form, told=told, **what)  # which escapes all of it


@app.before_request
def refuse_other_sites() -> None:
    """A page of somebody else's must not press our buttons; recado's own calls come from no page."""
    if request.method == "POST" and request.headers.get("Origin", request.host_url[:-1]) != request.host_url[:-1]:
        abort(403)


@app.get("/")
def write() -> str:
    """The form. Its id is made here, once: pressed twice, sent again or reloaded, it is one and the same sending."""
    status, found = ask("GET", "/groups")
    return show(groups=found["groups"], form_id=secrets.token_urlsafe(16)) if status == 200 else show(problem=found)


@app.post("/estimate")
def estimate(problem: dict[str, Any] | None = None) -> str:
    """How many, how much, who is left out."""
    status, found = ask("POST", "/messages/estimate", content() | {"limit": 100})
    return show(estimate=found, problem=problem) if status in (200, 202) else show(problem=problem or found)


@app.post("/send")
def send() -> Any:
    """Exactly what was shown, or nothing: the digest sees to that."""
    body = content() | {"send": "now", "digest": request.form["digest"]}
    status, found = ask("POST", "/messages", body, key=f"{request.form['form_id']}-{body['digest'][:16]}")
    if status in (200, 201, 202):
        return redirect(f"/messages/{found['id']}", 303)
    return show(problem=found, again=True) if status == 0 else estimate(problem=found)


@app.get("/messages/<message_id>")
def follow(message_id: str) -> str:
    path = f"/messages/{message_id if message_id.isalnum() else abort(404)}"
    status, found = ask("GET", path)
    return show(message=found, lines=ask("GET", f"{path}/recipients")[1]) if status == 200 else show(problem=found)


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
    response.headers.setdefault("Content-Security-Policy", RULES)
    return response
