"""Every field of every route, as the OpenAPI document has it, with what it must refuse: named, and nothing written.

A new route is tested by its row in `tests/route_table.py`: what is wrong follows from its schema.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from recado import clock
from tests.gateway import Answer, ask
from tests.route_table import NOBODY, TABLE, World, build_world, everything, token_of, without_key_uses
from tests.worlds import TestClock
from tools import build_openapi

LONG = 6000  # longer than any text may be
NAMED_OTHERWISE = {"too_large"}  # a code that says by itself what is wrong

type Schema = dict[str, Any]


@dataclass(frozen=True)
class Wrong:
    """A body or query with one thing wrong, which the answer must name."""

    what: str
    field: str
    value: Any


@pytest.fixture
def moment(aws: None, monkeypatch: pytest.MonkeyPatch) -> TestClock:
    found = TestClock()
    monkeypatch.setattr(clock, "now", found)
    return found


@pytest.fixture
def world(moment: TestClock) -> World:
    return build_world(moment)


@cache
def document() -> Schema:
    return build_openapi.build()


def operations() -> Iterator[tuple[str, Schema]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def body_schema(operation: Schema) -> Schema | None:
    content = operation.get("requestBody", {}).get("content", {})
    return resolved(content["application/json"]["schema"]) if "application/json" in content else None


def query_of(operation: Schema) -> list[Schema]:
    return [one for one in operation.get("parameters", []) if one.get("in") == "query"]


# --- what is wrong, from the schema ---------------------------------------------------------------------------------


def resolved(schema: Schema) -> Schema:
    while "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def choices(schema: Schema) -> list[Schema]:
    """The schemas of a union, or the one there is."""
    schema = resolved(schema)
    found = schema.get("anyOf") or schema.get("oneOf")
    return [one for choice in found for one in choices(choice)] if found else [schema]


def types_of(schema: Schema) -> set[str]:
    return {one.get("type", "string" if {"enum", "const"} & one.keys() else "any") for one in choices(schema)}


def wrong_values(schema: Schema) -> Iterator[tuple[str, Any]]:
    """Values that no reading of this schema takes."""
    kinds = types_of(schema)
    if "any" in kinds:
        return
    if "null" not in kinds:
        yield "null", None
    for kind, value in (("array", ["x", {}]), ("object", {"x": []}), ("string", "¿?"), ("integer", 1.5)):
        is_taken = kind in kinds or (kind == "integer" and "number" in kinds) or _is_moment(schema)
        if not is_taken or (kind == "string" and any(_is_bounded(one) for one in choices(schema))):
            yield f"a {kind}", value
    yield from _out_of_bounds(schema)


def _out_of_bounds(schema: Schema) -> Iterator[tuple[str, Any]]:
    for one in choices(schema):
        match one.get("type"):
            case "string" if not _is_bounded(one):
                yield "too long", "x" * (one.get("maxLength", LONG) + 1)
                yield "with NUL", "a\x00b"
                yield "with half a pair", "a\ud800b"
            case "array":
                yield "too many", ["x"] * (one.get("maxItems", 200_000) + 1)
            case "integer" | "number":
                yield "too small", int(one.get("minimum", -(10**17))) - 1
                yield "too large", int(one.get("maximum", 10**17)) + 1


def _is_bounded(schema: Schema) -> bool:
    """A text that only some words are: an enumeration, a pattern, a moment."""
    return bool({"enum", "const", "pattern", "format"} & schema.keys())


def _is_moment(schema: Schema) -> bool:
    return any(one.get("format") == "date-time" for one in choices(schema))  # also read from a number of seconds


def wrong_bodies(schema: Schema, body: dict[str, Any], place: str = "") -> Iterator[Wrong]:
    """The body with one field wrong, missing or unknown, at every depth that the body itself has."""
    yield Wrong("unknown", f"{place}/unknown_field", body | {"unknown_field": 1})
    for name in schema.get("required", []):
        yield Wrong("missing", f"{place}/{name}", {key: value for key, value in body.items() if key != name})
    for name, part in schema.get("properties", {}).items():
        here = f"{place}/{name}"
        for what, value in wrong_values(part):
            yield Wrong(what, here, body | {name: value})
        inner = next((one for one in choices(part) if one.get("type") == "object"), None)
        if inner is not None and isinstance(body.get(name), dict):
            for wrong in wrong_bodies(inner, body[name], here):
                yield Wrong(wrong.what, wrong.field, body | {name: wrong.value})
        items = next((one for one in choices(part) if one.get("type") == "array"), {}).get("items")
        for what, value in wrong_values(items) if items else ():
            yield Wrong(f"an item: {what}", here, body | {name: [value]})


def wrong_queries(parameters: list[Schema], query: dict[str, str]) -> Iterator[Wrong]:
    yield Wrong("unknown", "/query/unknown", query | {"unknown": "1"})
    for parameter in parameters:
        name, schema = parameter["name"], parameter["schema"]
        here = f"/query/{name}"
        if parameter.get("required"):
            yield Wrong("missing", here, {key: value for key, value in query.items() if key != name})
        if types_of(schema) & {"integer", "number", "boolean"} or any(_is_bounded(one) for one in choices(schema)):
            yield Wrong("no such word", here, query | {name: "¿nonsense?"})
            yield Wrong("empty", here, query | {name: ""})
        for what, value in _out_of_bounds(schema):
            if what in ("too long", "too small", "too large"):
                yield Wrong(what, here, query | {name: str(value)})


WITH_A_BODY = {route: schema for route, operation in operations() if (schema := body_schema(operation)) is not None}
MAY_HAVE_NONE = {
    route for route, operation in operations() if not operation.get("requestBody", {}).get("required", False)
}
WITH_A_QUERY = {route: found for route, operation in operations() if (found := query_of(operation))}


# --- each of them asked ---------------------------------------------------------------------------------------------


def problem_with(answer: Answer, wrong: Wrong) -> str | None:
    """What is not as it must be with this answer; None: it is refused as it must be."""
    if not 400 <= answer.status < 500 or answer.status in (401, 403, 404):
        return f"{wrong.what} {wrong.field}: {answer.status}"
    if answer.headers["Content-Type"] != ["application/problem+json"]:
        return f"{wrong.what} {wrong.field}: no problem document"
    if answer.code in NAMED_OTHERWISE or any(f"{one}/".startswith(f"{wrong.field}/") for one in answer.wrong_fields):
        return None
    return f"{wrong.what} {wrong.field}: {answer.code} names {answer.wrong_fields[:3]}"


def asker(route: str) -> str:
    roles = TABLE[route].roles
    return NOBODY if NOBODY in roles else min(roles)


@pytest.mark.parametrize("route", WITH_A_BODY)
def test_every_wrong_field_is_refused_by_its_name_and_nothing_is_written(
    route: str, world: World, moment: TestClock
) -> None:
    token, body = token_of(asker(route), moment), TABLE[route].body
    assert body is not None, f"{route} needs a body in tests/route_table.py"
    before = without_key_uses(everything())

    found = [
        problem_with(ask(world.request(route, body=wrong.value), token), wrong)
        for wrong in wrong_bodies(WITH_A_BODY[route], body)
    ]

    assert [one for one in found if one is not None] == []
    assert without_key_uses(everything()) == before
    assert ask(world.request(route), token).code != "invalid_request"  # or all of this would be wrong by accident


@pytest.mark.parametrize("route", WITH_A_QUERY)
def test_every_wrong_parameter_is_refused_by_its_name(route: str, world: World, moment: TestClock) -> None:
    token, query = token_of(asker(route), moment), dict(TABLE[route].query)

    found = [
        problem_with(ask(world.request(route, query=wrong.value), token), wrong)
        for wrong in wrong_queries(WITH_A_QUERY[route], query)
    ]

    assert [one for one in found if one is not None] == []
    assert ask(world.request(route), token).code != "invalid_request"


BODIES = [
    "[]",
    "null",
    "7",
    '"text"',
    "{",
    "",
    "[" * 5000,
    '{"a": 1, "a": 2}',
    '{"x": NaN}',
    '{"x": 1e999}',
    "\ufeff{}",
]


@pytest.mark.parametrize("route", WITH_A_BODY)
def test_a_body_that_is_no_plain_object_is_refused_and_nothing_is_written(
    route: str, world: World, moment: TestClock
) -> None:
    token = token_of(asker(route), moment)
    before = without_key_uses(everything())

    no_body = {"null", ""} if route in MAY_HAVE_NONE else set()
    answers = {body: ask(world.request(route, body=body), token) for body in BODIES if body not in no_body}
    large = {"text": "a" * 1_000_000}, {"people": [f"p{number}" for number in range(200_000)]}
    too_large = [ask(world.request(route, body=json.dumps(one)), token).code for one in large]

    assert {body: answer.code for body, answer in answers.items() if answer.code != "invalid_request"} == {}
    assert too_large == ["too_large", "too_large"]
    assert without_key_uses(everything()) == before
