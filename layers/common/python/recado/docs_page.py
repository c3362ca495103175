"""An OpenAPI document as one HTML page for people: no script, no request, readable with styles switched off.

Every text of the document is escaped; the page must never hold anything but what the document says.
"""

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

type Document = Mapping[str, Any]

CODE = re.compile("`([^`]+)`")
STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d5d9e0, #3a404b); --soft: light-dark(#f4f6f9, #1d2129);
  --ink: light-dark(#1b1f27, #e7e9ee); --pale: light-dark(#4b5463, #aab2bf); --link: light-dark(#0a5bb5, #7db8ff) }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; color: var(--ink);
  background: light-dark(#fff, #14171d); font: 1rem/1.5 system-ui, sans-serif }
a { color: var(--link) }
h1 { margin: 0 0 .25rem; font-size: 1.75rem }
h2 { margin: 2.5rem 0 .5rem; font-size: 1.25rem; text-transform: capitalize }
h3 { margin: 1rem 0 .25rem; font-size: .95rem; color: var(--pale) }
code { font: .9em/1.4 ui-monospace, monospace }
summary code { overflow-wrap: anywhere }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 1rem 0; padding: 0; list-style: none }
details { margin: .4rem 0; border: 1px solid var(--line); border-radius: .4rem }
summary { padding: .5rem .75rem; cursor: pointer }
details[open] > summary { border-bottom: 1px solid var(--line) }
.inside { padding: .25rem .75rem .75rem }
.method { display: inline-block; min-width: 4.2rem; font-weight: 700 }
.what { color: var(--pale) }
.wide { overflow-x: auto }
table { width: 100%; border-collapse: collapse; font-size: .92rem }
th, td { padding: .3rem .5rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
th { color: var(--pale); font-weight: 600 }
"""


def render(document: Document) -> str:
    """The whole page. Takes what tools/build_openapi.py writes: parameters and responses may be references."""
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    tags = [tag["name"] for tag in document.get("tags", [])]
    links = "".join(f'<li><a href="#tag-{escape(tag)}">{escape(tag)}</a></li>' for tag in [*tags, "models"])
    return "\n".join(
        (
            f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}: API</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">',
            f"<style>{STYLE}</style>\n</head>\n<body>\n<header><h1>{title}</h1>",
            f"<p>{_words(info.get('description', ''))}</p>",
            '<p>For programs: <a href="openapi.json">openapi.json</a></p></header>',
            f'<nav aria-label="Parts"><ul>{links}</ul></nav>\n<main>',
            _security(document),
            *(_part(document, tag) for tag in tags),
            '<section><h2 id="tag-models">models</h2>',
            *(_model(name, schema) for name, schema in document["components"]["schemas"].items()),
            "</section>\n</main>\n</body>\n</html>",
        )
    )


def _security(document: Document) -> str:
    schemes = document["components"].get("securitySchemes", {})
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{_words(scheme.get('description', ''))}</td></tr>"
        for name, scheme in schemes.items()
    )
    return f'<section><h2 id="tokens">tokens</h2>{_table(("Name", "What it is"), rows)}</section>'


def _part(document: Document, tag: str) -> str:
    operations = "\n".join(
        _operation(document, method, path, operation)
        for path, method, operation in _operations(document)
        if tag in operation.get("tags", [])
    )
    return f'<section><h2 id="tag-{escape(tag)}">{escape(tag)}</h2>\n{operations}</section>'


def _operations(document: Document) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _operation(document: Document, method: str, path: str, operation: Mapping[str, Any]) -> str:
    summary = (
        f'<summary><code><span class="method">{method.upper()}</span>{escape(path)}</code>'
        f' <span class="what">{_words(operation.get("summary", ""))}</span></summary>'
    )
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    inside = "".join(
        (
            f"<p>{_words(operation['description'])}</p>" if operation.get("description") else "",
            f"<p>Token: {_tokens(operation)}</p>",
            _parameters(document, operation),
            f"<h3>Body</h3><p>{_kind(body)}</p>" if body else "",
            _responses(document, operation),
        )
    )
    return f'<details>{summary}<div class="inside">{inside}</div></details>'


def _tokens(operation: Mapping[str, Any]) -> str:
    names = [name for one in operation.get("security", []) for name in one]
    return " or ".join(f'<a href="#tokens"><code>{escape(name)}</code></a>' for name in names) or "none"


def _parameters(document: Document, operation: Mapping[str, Any]) -> str:
    found = [_resolved(document, one) for one in operation.get("parameters", [])]
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code>{'' if one.get('required') else ' (optional)'}</td>"
        f"<td>{escape(one['in'])}</td><td>{_kind(one['schema'])}</td><td>{_words(one.get('description', ''))}</td></tr>"
        for one in found
    )
    return f"<h3>Parameters</h3>{_table(('Name', 'In', 'Kind', 'What it is'), rows)}" if rows else ""


def _responses(document: Document, operation: Mapping[str, Any]) -> str:
    rows = ""
    for status, response in operation.get("responses", {}).items():
        found = _resolved(document, response)
        kinds = [_kind(media["schema"]) for media in found.get("content", {}).values() if "schema" in media]
        rows += (
            f"<tr><td>{escape(status)}</td><td>{_words(found.get('description', ''))}</td>"
            f"<td>{' or '.join(kinds)}</td></tr>"
        )
    return f"<h3>Answers</h3>{_table(('Status', 'When', 'Kind'), rows)}"


def _model(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code>{'' if field in required else ' (optional)'}</td>"
        f"<td>{_kind(one)}</td><td>{_words(one.get('description', ''))}</td></tr>"
        for field, one in schema.get("properties", {}).items()
    )
    fields = _table(("Field", "Kind", "What it is"), rows) if rows else f"<p>{_kind(schema)}</p>"
    words = f"<p>{_words(schema['description'])}</p>" if schema.get("description") else ""
    summary = f"<summary><code>{escape(name)}</code></summary>"
    # The name is of what is inside: a link to it opens the details.
    return f'<details>{summary}<div class="inside" id="model-{escape(name)}">{words}{fields}</div></details>'


def _words(text: str) -> str:
    """Prose, with what stands in backticks as code."""
    return CODE.sub(r"<code>\1</code>", escape(text))


def _kind(schema: Mapping[str, Any]) -> str:
    """A schema in a few words, a model as a link to it."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#model-{name}"><code>{name}</code></a>'
    if "anyOf" in schema or "oneOf" in schema:
        return " or ".join(_kind(one) for one in schema.get("anyOf") or schema["oneOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    words = [str(schema.get("type", "anything"))]
    words += [f"({schema['format']})"] if "format" in schema else []
    words += [f"{limit} {schema[name]}" for name, limit in _LIMITS.items() if name in schema]
    return escape(" ".join(words))


_LIMITS = {
    "pattern": "like",
    "minimum": "from",
    "maximum": "to",
    "minLength": "length from",
    "maxLength": "length to",
    "default": "default",
}


def _resolved(document: Document, one: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in one:
        return one
    _, _, kind, name = one["$ref"].split("/")
    found: Mapping[str, Any] = document["components"][kind][name]
    return found


def _table(heads: tuple[str, ...], rows: str) -> str:
    head = "".join(f'<th scope="col">{one}</th>' for one in heads)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
