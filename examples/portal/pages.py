"""Recado's own pages inside the portal, or beside it: each in a frame, with the token of whoever is logged in here.

static/embed.js is the other half. docs/pages/embedding.md says what the two have to see to.
"""

import os

from flask import Blueprint, Response, abort, jsonify, render_template

from examples.portal.app import RULES, token

PAGES = os.environ["RECADO_PAGES"]  # where recado's pages are, e.g. https://recado.escuela.cl
ORIGIN = "/".join(PAGES.split("/")[:3])
VIEWS = {
    "write": "Escribir",
    "messages": "Mensajes",
    "replies": "Respuestas",
    "people": "Personas",
    "credits": "Créditos",
}
pages = Blueprint("pages", __name__)


@pages.get("/pages/<view>")
def embed(view: str) -> str:
    """One of recado's own pages, inside one of ours; static/embed.js talks with it."""
    return render_template("embedded.html", view=view, views=VIEWS, pages=PAGES) if view in VIEWS else abort(404)


@pages.get("/token")
def give_token() -> Response:
    """For recado's pages: by embed.js, or for one that a link opened (`PortalTokenUrl`). No others can read it."""
    answer = jsonify(token=token())
    answer.headers["Access-Control-Allow-Origin"], answer.headers["Cache-Control"] = ORIGIN, "no-store"
    answer.headers["Access-Control-Allow-Credentials"] = "true"
    return answer


@pages.after_request
def allow_frame(response: Response) -> Response:
    """In these pages, and in no other of the portal's: recado in a frame, and the script that talks with it."""
    more = f"script-src 'self'; connect-src 'self'; frame-src {ORIGIN}"
    response.headers["Content-Security-Policy"] = f"{RULES}; {more}"
    return response
