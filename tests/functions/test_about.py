"""/health, /openapi.json and /docs: public, self-contained, and true to the code and the template."""

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from pydantic import BaseModel

from recado import about, docs_page
from tests.apps import ROOT, Context, call, load_app, load_event
from tools import build_openapi


@pytest.fixture(scope="module")
def generated() -> dict[str, Any]:
    return build_openapi.build()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def texts_of(node: Any, name: str) -> Iterator[str]:
    """Every text under this name, at any depth."""
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == name and isinstance(value, str))
        for value in node.values():
            yield from texts_of(value, name)
    if isinstance(node, list):
        for value in node:
            yield from texts_of(value, name)


# --- what is answered ---


def test_health_is_answered_with_the_version_of_the_project() -> None:
    status, body = call("about", load_event("about_health"))

    assert (status, body) == (200, {"status": "ok", "version": about.VERSION})
    assert f'\nversion = "{about.VERSION}"\n' in (ROOT / "pyproject.toml").read_text()


def test_the_document_is_answered_as_it_was_built() -> None:
    status, body = call("about", load_event("about_openapi"))

    assert status == 200
    assert body == json.loads(about.read_openapi())


def docs() -> tuple[str, dict[str, list[str]]]:
    answered = load_app("about").handler(load_event("about_docs"), Context())
    assert answered["statusCode"] == 200
    return answered["body"], answered["multiValueHeaders"]


class Page(HTMLParser):
    """What a page asks a browser to fetch or run, its links, ids and open tags."""

    VOID = frozenset({"meta", "link", "br", "img", "input"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.ids: list[str] = []
        self.handlers: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "href":
                (self.links if tag == "a" else self.sources).append(value or "")
            if name in ("src", "action", "style", "srcset"):
                self.sources.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_fetches_and_runs_nothing() -> None:
    html, headers = docs()
    page = Page(html)

    assert headers["Content-Type"] == ["text/html; charset=utf-8"]
    assert page.sources == ["data:,"]
    assert page.handlers == []
    assert not {"script", "iframe", "img", "object", "form"} & set(page.tags)
    assert page.open == []


def test_the_pages_policy_allows_its_own_style_and_nothing_else() -> None:
    html, headers = docs()
    (policy,) = headers["Content-Security-Policy"]
    (style,) = re.findall("<style>(.*?)</style>", html, re.DOTALL)

    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_page_shows_every_operation_and_every_link_leads_somewhere() -> None:
    html, _ = docs()
    page = Page(html)

    for path, method, operation in operations(json.loads(about.read_openapi())):
        assert f'<span class="method">{method.upper()}</span>{path}</code>' in html
        assert operation["summary"].replace("`", "") in page.text
    assert {link for link in page.links if not link.startswith("#")} == {"openapi.json"}
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_whatever_a_document_says_the_page_shows_it_as_text() -> None:
    evil = '<script src="https://x.example/">'
    document = json.loads(about.read_openapi().replace("Whether the service answers", evil.replace('"', '\\"')))

    page = Page(docs_page.render(document))

    assert "script" not in page.tags


# --- the document ---


def test_the_document_in_the_layer_is_the_one_the_code_makes(generated: dict[str, Any]) -> None:
    assert about.read_openapi() == build_openapi.as_text(generated), (
        "run `make openapi`, which is `python -m tools.build_openapi`"
    )


def test_the_document_beside_the_other_documents_is_the_one_that_is_served() -> None:
    assert build_openapi.COPY.read_text() == about.read_openapi(), "run `make openapi`"


def test_every_route_of_the_template_is_an_operation_and_every_operation_a_route(generated: dict[str, Any]) -> None:
    routes = {(route.path, route.method) for route in build_openapi.api_routes()}

    assert {(path, method) for path, method, _ in operations(generated)} == routes


def test_every_operation_says_what_it_does_under_a_name_of_its_own(generated: dict[str, Any]) -> None:
    silent = [f"{method} {path}" for path, method, one in operations(generated) if not one.get("summary")]
    homeless = [f"{method} {path}" for path, method, one in operations(generated) if not one.get("tags")]

    assert (silent, homeless) == ([], [])
    names = [one["operationId"] for _, _, one in operations(generated)]
    assert len(names) == len(set(names))


def test_every_operation_has_a_good_answer_and_says_what_a_refusal_looks_like(generated: dict[str, Any]) -> None:
    for path, method, operation in operations(generated):
        good = [status for status in operation["responses"] if status.startswith("2")]
        assert good in (["200"], ["200", "201"], ["201"], ["202"], ["204"], ["200", "202"], ["201", "202"]), (
            f"{method} {path}"
        )
        for status, response in operation["responses"].items():
            if status not in good:
                assert list(response["content"]) == ["application/problem+json"], f"{method} {path} {status}"


def test_every_reference_of_the_document_leads_somewhere(generated: dict[str, Any]) -> None:
    references = set(texts_of(generated, "$ref"))

    assert references
    for reference in references:
        _, components, kind, name = reference.split("/")
        assert name in generated[components][kind], reference


def test_who_needs_which_token_is_what_the_template_says(generated: dict[str, Any]) -> None:
    needed = {
        f"{method} {path}": [name for one in operation["security"] for name in one]
        for path, method, operation in operations(generated)
    }

    assert needed["get /messages"] == needed["post /operator/schools"] == ["portalToken"]
    assert needed["get /sessions/{session_id}/messages"] == ["sessionToken"]
    assert needed["post /carriers/{carrier}/replies"] == ["carrierSignature"]
    assert needed["post /sessions"] == needed["get /health"] == []


def test_what_creates_documents_its_idempotency_key(generated: dict[str, Any]) -> None:
    key = {"$ref": "#/components/parameters/IdempotencyKey"}
    documented = {path for path, _, one in operations(generated) if key in one.get("parameters", [])}

    creating = {"/messages", "/sessions", "/operator/schools", "/operator/schools/{school_id}/bags"}
    assert (
        creating | {"/people", "/groups", "/operator/schools/{school_id}/keys", "/operator/short-codes"} <= documented
    )
    assert not {"/credits", "/health", "/me", "/people/{person_id}", "/credits/refunds"} & documented


def test_every_other_write_of_a_portal_documents_that_it_may_have_a_key(generated: dict[str, Any]) -> None:
    keys = {f"#/components/parameters/{name}": name for name in ("IdempotencyKey", "OptionalIdempotencyKey")}
    documented = {
        f"{method} {path}": [keys[one["$ref"]] for one in operation.get("parameters", []) if one.get("$ref") in keys]
        for path, method, operation in operations(generated)
        if operation["security"] == [{"portalToken": []}]
    }

    assert all((len(found) == 1) == (not route.startswith("get ")) for route, found in documented.items())
    assert documented["put /people/{person_id}/sms"] == ["OptionalIdempotencyKey"]
    assert documented["post /messages"] == ["IdempotencyKey"]


def test_no_two_functions_have_a_model_of_one_name() -> None:  # one would silently replace the other
    models = [
        model
        for module in build_openapi.load_apps().values()
        for model in vars(module).values()
        if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == module.__name__
    ]

    assert models
    assert [name for name, count in Counter(model.__name__ for model in models).items() if count > 1] == []
