"""Audiences of more than 10,000 people: recado counts them in the background, as a draft that is sent afterwards."""

from typing import Any

from flask import Blueprint, abort, redirect, request

from examples.portal.app import ask, show

large_audiences = Blueprint("large_audiences", __name__)


@large_audiences.post("/drafts/<draft>/estimate")
def estimate(draft: str, problem: dict[str, Any] | None = None) -> str:
    """How far the counting is (`is_ready`), or what it came to: asked again until then."""
    status, found = ask("POST", f"{_path(draft)}/estimate", {})
    return show(estimate=found, problem=problem) if status in (200, 202) else show(problem=problem or found)


@large_audiences.post("/drafts/<draft>/send")
def send(draft: str) -> Any:
    """Exactly what was shown, or nothing, as `send` of app.py."""
    digest = request.form["digest"]
    key = f"{request.form['form_id']}-{digest[:16]}"
    status, found = ask("POST", f"{_path(draft)}/send", {"digest": digest}, key=key)
    if status in (200, 201, 202):
        return redirect(f"/messages/{found['id']}", 303)
    return show(problem=found, again=True) if status == 0 else estimate(draft, problem=found)


def _path(draft: str) -> str:
    return f"/messages/{draft if draft.isalnum() else abort(404)}"
