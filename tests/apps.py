"""Functions as Lambda runs them: loaded by their path (they are all called app.py), fed with events/*.json."""

import copy
import importlib.util
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.permissions import as_function

type Handler = Callable[[dict[str, Any], Any], Any]

ROOT = Path(__file__).parent.parent


class Context:
    """What Lambda tells a function about its own run."""

    function_name = "recado"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:recado"
    aws_request_id = "52fdfc07-2182-454f-963f-5f0f9a621d72"

    def get_remaining_time_in_millis(self) -> int:
        return 28_000


@cache
def load_app(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"functions_{name}_app", ROOT / "functions" / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    setattr(module, "handler", _within_its_policies(name, module.handler))  # noqa: B010  # mypy knows no such name
    return module


def _within_its_policies(name: str, handler: Handler) -> Handler:
    def checked(event: dict[str, Any], context: Any) -> Any:
        with as_function(name):
            return handler(event, context)

    return checked


def load_event(name: str) -> dict[str, Any]:
    """A copy of events/<name>.json, to be changed at will."""
    return copy.deepcopy(_event(name))


def call(function: str, event: dict[str, Any]) -> tuple[int, Any]:
    """One request to a function: the status, and the body as JSON, as text when it is none, or None."""
    answered = load_app(function).handler(event, Context())
    media_type = (answered["multiValueHeaders"].get("Content-Type") or [""])[0]
    body = answered.get("body")
    return answered["statusCode"], json.loads(body) if body and "json" in media_type else body


@cache
def _event(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return found
