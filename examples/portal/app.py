"""A school's portal in one file: it signs tokens for its people, sends an alert and is told what became of it."""

import os
import time
import uuid
from pathlib import Path

import jwt
import requests
from flask import Flask, Response, abort, render_template, request
from standardwebhooks import Webhook, WebhookVerificationError

API = os.environ["RECADO_API"]  # e.g. http://127.0.0.1:4566/v1
SCHOOL, KEY_ID, KEY = os.environ["RECADO_SCHOOL"], os.environ["RECADO_KEY_ID"], os.environ["RECADO_KEY"]
SECRET_FILE = os.environ["RECADO_WEBHOOK_SECRET_FILE"]  # holds what PUT /portal-webhook showed, once
app = Flask(__name__)
told: dict[str, dict] = {}  # by webhook-id: the same event may come twice. A real portal keeps them in its database


def ask(method, path, body=None, key=None):
    """Asks recado as the portal's signed-in user, here a director. A token lasts minutes, so each request has its own."""
    now = int(time.time())
    claims = {"iss": SCHOOL, "sub": "directora", "role": "director", "iat": now, "exp": now + 300}
    headers = {"Authorization": "Bearer " + jwt.encode(claims, KEY, algorithm="HS256", headers={"kid": KEY_ID})}
    if key:  # the same key for the same request, however often it is sent: done once
        headers["Idempotency-Key"] = key
    answer = requests.request(method, API + path, json=body, headers=headers, timeout=35)
    return answer.status_code, answer.json()


def audience():
    return {"who": ["guardians"], "groups": [request.form["group"]]}


@app.get("/")
def write():
    _, groups = ask("GET", "/groups")
    return render_template("write.html", groups=groups["groups"])


@app.post("/estimate")
def estimate():
    body = {"text": request.form["text"], "category": request.form["category"], "audience": audience(), "limit": 100}
    status, found = ask("POST", "/messages/estimate", body)
    # The key is made with the form, so that a double click or a reload of the answer sends nothing twice.
    return render_template("confirm.html", status=status, found=found, form=request.form, key=str(uuid.uuid4()))


@app.post("/send")
def send():
    body = {"text": request.form["text"], "category": request.form["category"], "audience": audience()}
    body |= {"send": "now", "digest": request.form["digest"]}  # exactly what was shown, at that price, or a refusal
    try:
        status, message = ask("POST", "/messages", body, request.form["key"])
    except requests.RequestException:  # nobody knows whether it was done: the same form may be sent again
        return render_template("sent.html", status=0, message={}, form=request.form), 502
    return render_template("sent.html", status=status, message=message, form=request.form)


@app.post("/recado")
def take_webhook():
    secret = Path(SECRET_FILE).read_text().strip()
    try:
        event = Webhook(secret).verify(request.get_data(), dict(request.headers))
    except WebhookVerificationError:
        abort(401)
    told.setdefault(request.headers["webhook-id"], event)
    return Response(status=204)


@app.get("/told")
def show_told():
    return render_template("told.html", events=sorted(told.values(), key=lambda event: event["timestamp"]))


if __name__ == "__main__":
    app.run("127.0.0.1", int(os.environ.get("PORT", "5000")))
