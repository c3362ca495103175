"""`python -m tools.build_openapi`: writes the OpenAPI document of all functions into the layer, from their code.

What API Gateway does (who needs which token) comes from template.yaml; nothing is written here a second time.
"""

import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from aws_lambda_powertools.event_handler.openapi.merge import OpenAPIMerge
from aws_lambda_powertools.event_handler.openapi.models import Server

from local.deploy import load_template

ROOT = Path(__file__).parent.parent
LAYER = ROOT / "layers" / "common" / "python"
COPY = ROOT / "docs" / "openapi.json"  # to read, and to see in a review what changed for callers
TEMPLATE = load_template(ROOT / "template.yaml")
PROBLEM_JSON = "application/problem+json"
PROBLEM = {"$ref": "#/components/schemas/Problem"}
LEFT_OUT = {"HTTPValidationError", "ValidationError", "ResponseValidationError"}  # Powertools' own shapes, never sent
DESCRIPTION = (
    "Alerts from schools to families, and talks between the web and handsets, by SMS. Errors are problem+json "
    "(RFC 9457) with a stable code; a POST that creates takes an Idempotency-Key."
)
PORTAL_TOKEN, SESSION_TOKEN, CARRIER_SIGNATURE = "portalToken", "sessionToken", "carrierSignature"
SECURITY_SCHEMES = {
    PORTAL_TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A JWT (HS256) that the school's portal signs with its key: kid, iss, sub, role, iat, exp.",
    },
    SESSION_TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "description": "The token that POST /sessions answered with; it opens that session and no other.",
    },
    CARRIER_SIGNATURE: {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "Standard Webhooks: webhook-id, webhook-timestamp and webhook-signature over the raw body.",
    },
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Names this request, for a day: sent again with the same body it is answered the same and done "
    "once; with another body it is refused.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}

type Document = dict[str, Any]


@dataclass(frozen=True)
class ApiRoute:
    """An API event of the template: which function answers, and whether API Gateway asks for a token."""

    folder: str
    method: str
    path: str
    is_public: bool


def main() -> int:
    _fill_environment()
    from recado.about import DOCUMENT

    text = as_text(build())
    for path in (DOCUMENT, COPY):
        path.write_text(text, encoding="utf-8")
        print(f"{path.relative_to(ROOT)} written.")
    return 0


def as_text(document: Document) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def api_routes() -> Iterator[ApiRoute]:
    """The routes of the template, in its order."""
    for resource in TEMPLATE["Resources"].values():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        for event in resource["Properties"].get("Events", {}).values():
            if event["Type"] == "Api":
                route = event["Properties"]
                is_public = route.get("Auth", {}).get("Authorizer") == "NONE"
                folder = Path(resource["Properties"]["CodeUri"]).name
                yield ApiRoute(folder, route["Method"], route["Path"], is_public)


def load_apps() -> dict[str, ModuleType]:
    """A fresh module of every function with routes, by its folder."""
    _fill_environment()
    folders = dict.fromkeys(route.folder for route in api_routes())
    return {folder: _load(folder) for folder in folders if (ROOT / "functions" / folder / "app.py").exists()}


def build() -> Document:
    """The merged document. Raises OpenAPIMergeError for an operation that two functions have."""
    from recado.about import VERSION
    from recado.web import WRITES, asks_for_key, takes_csv

    apps = load_apps()
    merge = OpenAPIMerge(
        title="recado",
        version=VERSION,
        description=DESCRIPTION,
        servers=[Server(url="/v1")],
        security_schemes=SECURITY_SCHEMES,  # type: ignore[arg-type]  # plain JSON is what comes out
        on_conflict="error",
    )
    functions: dict[tuple[str, str], FunctionType] = {}
    for module in apps.values():
        # Not `add_file`: it leaves out a route's good answer as soon as another answer is described.
        merge.add_schema(_schema_of(module, functions))
    document: Document = json.loads(json.dumps(merge.get_openapi_schema()))

    public = {(route.path, route.method): route.is_public for route in api_routes()}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _finish(operation, path, is_public=public.get((path, method), False))
            if takes_csv(functions[path, method]):
                operation["requestBody"] = {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}
            is_write = method.upper() in WRITES and operation["security"] == [{PORTAL_TOKEN: []}]
            if asks_for_key(functions[path, method]) or is_write:
                name = "IdempotencyKey" if asks_for_key(functions[path, method]) else "OptionalIdempotencyKey"
                key = {"$ref": f"#/components/parameters/{name}"}
                operation["parameters"] = [*operation.get("parameters", []), key]
    return _ordered(document)


def _schema_of(module: ModuleType, functions: dict[tuple[str, str], FunctionType]) -> Document:
    routes = [*module.app._static_routes, *module.app._dynamic_routes]  # noqa: SLF001  # it offers no other list
    described = {}
    for route in routes:
        key = (route.openapi_path, route.method.lower())
        functions[key] = route.func
        # Powertools adds the good answer, with its model and status, only where no other answer is described.
        described[key], route.responses = route.responses or {}, None
    document: Document = json.loads(module.app.get_openapi_json_schema(), parse_float=_whole)
    for (path, method), responses in described.items():
        found = document["paths"][path][method]["responses"]
        for status in ("422", "500"):  # of shapes that are never sent
            found.pop(status, None)
        for status, response in responses.items():
            found[str(status)] = found.get(str(status), {}) | response
    return document


def _whole(text: str) -> int | float:
    return int(float(text)) if float(text).is_integer() else float(text)  # pydantic's limits are floats: 100.0


def _finish(operation: Document, path: str, *, is_public: bool) -> None:
    token = _token_of(path, is_public=is_public)
    operation["security"] = [{token: []}] if token else []
    responses = operation["responses"]
    if token:
        responses.setdefault("401", {"description": "no token, or one that does not hold"})
    if token == PORTAL_TOKEN:
        responses.setdefault("403", {"description": "this role may not do that"})
        responses.setdefault("429", {"description": "`too_many_requests`: the school's minute is used up"})
    if operation.get("requestBody") or operation.get("parameters"):
        responses.setdefault("422", {"description": "`invalid_request`: fields that cannot be accepted, all at once"})
    responses["default"] = {"description": "anything else that is wrong"}
    for status, response in responses.items():
        if status == "default" or int(status) >= HTTPStatus.BAD_REQUEST:
            response["content"] = {PROBLEM_JSON: {"schema": PROBLEM}}
        elif int(status) == HTTPStatus.NO_CONTENT:
            response.pop("content", None)
    operation["responses"] = dict(sorted(responses.items()))


def _token_of(path: str, *, is_public: bool) -> str | None:
    if path.startswith("/carriers/"):
        return CARRIER_SIGNATURE  # asked by the function, over the raw body
    if is_public:
        return None
    return SESSION_TOKEN if path.startswith("/sessions/") else PORTAL_TOKEN


def _ordered(document: Document) -> Document:
    place = {path: number for number, path in enumerate(dict.fromkeys(route.path for route in api_routes()))}
    document["paths"] = dict(sorted(document["paths"].items(), key=lambda item: place.get(item[0], len(place))))
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    tags = dict.fromkeys(tag for one in operations for tag in one.get("tags", []))
    document["tags"] = [{"name": name} for name in tags]
    components = document["components"]
    schemas = {name: one for name, one in components["schemas"].items() if name not in LEFT_OUT}
    components["schemas"] = dict(sorted((schemas | {"Problem": _problem()}).items()))
    optional = IDEMPOTENCY_KEY | {"required": False}
    components["parameters"] = {"IdempotencyKey": IDEMPOTENCY_KEY, "OptionalIdempotencyKey": optional}
    return document


def _problem() -> Document:
    from recado.errors import RecadoError

    def codes(kind: type[RecadoError]) -> Iterator[str]:
        for child in kind.__subclasses__():
            yield from (child.code, *codes(child)) if child.__module__ == "recado.errors" else ()

    return {
        "title": "Problem",
        "description": "What is wrong (RFC 9457). Some codes have more members, which docs/errors.md names.",
        "type": "object",
        "required": ["type", "title", "status", "code"],
        "properties": {
            "type": {"type": "string", "const": "about:blank"},
            "title": {"type": "string", "description": "what the code means"},
            "status": {"type": "integer"},
            "code": {"enum": sorted({*codes(RecadoError), "internal_error", "bad_request"}), "description": "stable"},
            "detail": {"type": "string", "description": "this case, in words"},
            "instance": {"type": "string", "description": "this request: `urn:request:` and its `X-Request-Id`"},
            "errors": {
                "type": "array",
                "description": "each wrong field",
                "items": {
                    "type": "object",
                    "required": ["field", "code", "detail"],
                    "properties": {name: {"type": "string"} for name in ("field", "code", "detail")},
                },
            },
        },
    }


def _load(folder: str) -> ModuleType:
    path = ROOT / "functions" / folder / "app.py"
    spec = importlib.util.spec_from_file_location(f"openapi_of_{folder}", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # pydantic looks models' own names up there
    spec.loader.exec_module(module)
    return module


def _fill_environment() -> None:
    """Values for every variable of the template: the code is only looked at, so any value will do."""
    if str(LAYER) not in sys.path:
        sys.path.insert(0, str(LAYER))
    defaults = {name: str(one.get("Default", "")) for name, one in TEMPLATE["Parameters"].items()}
    for name, node in TEMPLATE["Globals"]["Function"]["Environment"]["Variables"].items():
        value = defaults.get(node.get("Ref", ""), "openapi") if isinstance(node, dict) else str(node)
        os.environ.setdefault(name, value)


if __name__ == "__main__":
    raise SystemExit(main())
