"""The documents name what there is: links, files, functions, settings, rows, rules, status words."""

import ast
import base64
import hashlib
import hmac
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

from local.run import ROOT, stack_parameters
from recado import about, sandboxes, tables
from recado.carriers import signed_webhook
from recado.carriers.speech import IncomingReceipt
from recado.rules import event_types, plain_words, test_numbers, texts
from recado.rules.delivery_states import Letter
from recado.rules.reply_parts import Part
from recado.rules.short_codes import codes_needed
from recado.settings import Settings
from recado.tables.base import Row
from tests.conftest import TEMPLATE, all_rows

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
LAYER = Path("layers/common/python/recado")
LINK = re.compile(r"\]\(([^)\s]+)\)")
QUOTED = re.compile(r"`([^`\n]+)`")
RULE = re.compile(r"^### ([LC]\d+) · (kept|kept in part|not yet) · .+$", re.MULTILINE)
RULE_IDS = [f"L{number}" for number in range(1, 15)] + [f"C{number}" for number in range(1, 10)]


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def sections(text: str, level: str) -> dict[str, str]:
    """The parts under each heading of this level, by heading, down to the next of it."""
    _, *parts = re.split(rf"^{level} ", text, flags=re.MULTILINE)
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


def table_rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of Markdown's tables."""
    for line in text.splitlines():
        if line.startswith("|") and not set(line) <= set("|-: "):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def first_names(text: str) -> list[str]:
    """What each table row's first cell quotes, when that is all it says."""
    return [found[1] for cells in table_rows(text) if (found := re.fullmatch(r"`([^`]+)`", cells[0]))]


def find_file(name: str) -> Path | None:
    """A file or folder as documents name it: from the root, or inside recado."""
    places = (ROOT / name, ROOT / LAYER / name, ROOT / LAYER.parent / name)
    return next((place for place in places if place.exists()), None)


# --- links and names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    broken = []
    for link in LINK.findall(without_code(document.read_text())):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


def anchors(document: Path) -> set[str]:
    """A heading's anchor as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", without_code(document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    named = [one for one in QUOTED.findall(without_code(document.read_text())) if is_file_name(one)]

    assert [one for one in named if find_file(one) is None] == []


def is_file_name(quoted: str) -> bool:
    is_path = re.fullmatch(r"[\w./-]+", quoted) is not None and not quoted.startswith(
        (".local", ".aws-sam", ".venv", "/")
    )
    return is_path and (
        quoted.endswith((".py", ".yaml", ".md", ".toml")) or (quoted.endswith("/") and "/" in quoted[:-1])
    )


def test_every_function_on_the_way_of_a_message_is_in_a_file_of_its_step() -> None:
    steps = sections(text_of("docs/how_a_message_travels.md"), "##")

    missing = {}
    for step, text in steps.items():
        quoted = QUOTED.findall(text)
        defined = {name for one in quoted if one.endswith(".py") for name in functions_of(find_file(one))}
        missing[step] = [one for one in quoted if one.endswith("()") and one[:-2] not in defined]

    assert len(steps) == 6
    assert {step: names for step, names in missing.items() if names} == {}


def functions_of(path: Path | None) -> set[str]:
    tree = ast.parse(path.read_text()) if path else ast.Module([], [])
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_place_of_the_map_exists() -> None:
    readme = sections(text_of("README.md"), "##")

    names = first_names(readme["Map"])

    assert {"template.yaml", "functions/", "tests/", "docs/"} <= set(names)
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_every_constant_that_where_to_change_names_is_in_its_file() -> None:
    wrong = []
    for _, place in table_rows(sections(text_of("README.md"), "##")["Where do I change…"]):
        found = re.match(r"`([A-Z_]+)` in `([^`]+)`", place)
        if found and found[1] not in (ROOT / found[2]).read_text():
            wrong.append(found[0])

    assert wrong == []


def test_every_place_where_the_emulator_was_worked_around_exists() -> None:
    section = sections(text_of("docs/local_emulator.md"), "##")["What had to be worked around, and where"]

    wrong = []
    for *_, where in list(table_rows(section))[1:]:
        quoted = QUOTED.findall(where)
        files = [found for one in quoted if is_file_name(one) and (found := find_file(one)) and found.is_file()]
        text = "".join(file.read_text() for file in files)
        wrong += [one for one in quoted if not files or (not is_file_name(one) and one not in text)]

    assert wrong == []


def test_the_changelogs_latest_version_is_the_packages_and_the_services() -> None:
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", text_of("CHANGELOG.md"), re.MULTILINE)

    assert released[0] == about.VERSION
    assert f'\nversion = "{released[0]}"\n' in text_of("pyproject.toml")


# --- settings ---------------------------------------------------------------------------------------------------------


def test_the_settings_page_names_every_variable_of_the_functions() -> None:
    declared = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]

    named = first_names(sections(text_of("docs/settings.md"), "##")["Variables of the functions"])

    assert sorted(named) == sorted(declared)
    assert {field.name.upper() for field in fields(Settings)} <= set(named)


def test_the_settings_page_names_every_parameter_with_its_default() -> None:
    rows = list(table_rows(sections(text_of("docs/settings.md"), "##")["Parameters of the stack"]))[1:]

    said = {name.strip("`"): "" if default == "*(empty)*" else default.strip("`") for name, default, *_ in rows}

    assert said == {name: str(parameter["Default"]) for name, parameter in TEMPLATE["Parameters"].items()}


def test_the_settings_page_says_in_what_the_emulator_differs() -> None:
    rows = list(table_rows(sections(text_of("docs/settings.md"), "##")["Parameters of the stack"]))[1:]
    passed = stack_parameters(FakeEmulator(), "http://handsets")  # type: ignore[arg-type]  # it asks for the address only

    said = {name.strip("`"): here for name, _, _, here in rows if here}

    assert said.keys() == passed.keys()
    assert {name: value.strip("`") for name, value in said.items() if value.startswith("`")}.items() <= passed.items()


class FakeEmulator:
    endpoint_url = "http://emulator"


def test_the_settings_page_names_every_variable_of_make_run() -> None:
    read = {
        name for path in (ROOT / "local").glob("*.py") for name in re.findall(r'"(RECADO_[A-Z_]+)"', path.read_text())
    }
    passed_on = {
        name
        for name in read
        for reader in ("local/handsets/__main__.py", "examples/portal/app.py", "examples/portal/pages.py")
        if name in (ROOT / reader).read_text()
    }

    named = first_names(sections(text_of("docs/settings.md"), "##")["Variables of `make run`"])

    assert read - passed_on - {"RECADO_STARTED"} <= set(named)


# --- rules ------------------------------------------------------------------------------------------------------------


@cache
def sources_of_tests() -> dict[str, str]:
    """Every test's source, with its module's docstring, by name."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        source = path.read_text()
        tree = ast.parse(source)
        about = ast.get_docstring(tree) or ""
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[node.name] = f"{about}\n{ast.get_source_segment(source, node)}{comment_of(source, node)}"
    return found


def comment_of(source: str, node: ast.FunctionDef) -> str:
    """What stands behind the colon of the `def` line."""
    line = source.splitlines()[node.body[0].lineno - 2]
    return line.partition("#")[2]


def test_every_rule_has_its_state() -> None:
    assert [rule for rule, _ in RULE.findall(text_of("docs/rules.md"))] == RULE_IDS


def test_every_rule_that_is_kept_names_tests_that_exist_and_name_it() -> None:
    wrong = []
    for heading, text in sections(text_of("docs/rules.md"), "###").items():
        rule, state, _ = heading.split(" · ")
        named = [one for one in QUOTED.findall(text) if one.startswith("test_")]
        unknown = [one for one in named if one not in sources_of_tests()]
        says_so = any(re.search(rf"(?<![A-Z0-9]){rule}(?![0-9])", source) for source in sources_of_tests().values())
        if unknown or (state != "not yet" and not named) or (state == "kept" and not says_so):
            wrong.append((rule, state, unknown))

    assert wrong == []


# --- the guide for portals --------------------------------------------------------------------------------------------


FROM_A_FILE = re.compile(r"^```(?:python|js) (examples/\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_every_snippet_of_the_guide_for_portals_stands_in_the_file_it_is_from() -> None:
    guide = text_of("docs/portals.md")

    snippets = FROM_A_FILE.findall(guide)

    assert len(snippets) == len(re.findall(r"^```(?:python|js)", guide, re.MULTILINE)) >= 5
    assert [(file, code) for file, code in snippets if code not in text_of(file)] == []


def test_the_reference_portal_fits_on_a_screen() -> None:
    source = text_of("examples/portal/app.py")
    words = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node) is not None
        for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }

    code = [line for number, line in enumerate(source.splitlines(), 1) if line.strip() and number not in words]

    assert len(code) <= 76


def test_every_code_that_the_guide_for_portals_names_is_one_of_the_errors() -> None:
    named = first_names(sections(text_of("docs/portals.md"), "###")["What to do on each answer"])

    assert len(named) > 10
    assert set(named) - set(first_names(text_of("docs/errors.md"))) == set()


# --- rows -------------------------------------------------------------------------------------------------------------


@cache
def row_models() -> list[type[Row]]:
    for module in pkgutil.iter_modules(tables.__path__):
        importlib.import_module(f"recado.tables.{module.name}")
    return [model for model in all_rows(Row) if model.__module__.startswith("recado.tables.")]


@pytest.mark.parametrize("model", row_models(), ids=lambda model: model.__name__.strip("_"))
def test_every_attribute_of_every_kind_of_row_is_described_in_its_table(model: type[Row]) -> None:
    by_table = sections(text_of("docs/data.md"), "##")
    file = f"tables/{model.__module__.rpartition('.')[2]}.py"
    table = by_table[str(model.Meta.table_name).removesuffix("Table")]

    own = {heading: text for heading, text in sections(table, "###").items() if file in heading}
    described = set(QUOTED.findall("".join(own.values())))
    if model.__name__ == "_SessionPageRow":  # described where a message's page is
        described |= set(QUOTED.findall(by_table["Messages"]))

    assert own, f"{file} is not described under its table"
    assert {name for name in model.get_attributes() if name not in ("pk", "sk")} - described == set()


def test_every_index_of_the_template_is_described() -> None:
    text = text_of("docs/data.md")

    indexes = {
        index["IndexName"]
        for resource in TEMPLATE["Resources"].values()
        if resource["Type"] == "AWS::DynamoDB::Table"
        for index in resource["Properties"].get("GlobalSecondaryIndexes", [])
    }

    assert {index for index in indexes if f"`{index}`" not in text} == set()


def test_every_letter_of_a_page_is_in_its_table() -> None:
    section = sections(text_of("docs/protocols.md"), "##")["Pages and waves"]

    named = {found[1] for cells in table_rows(section) for cell in cells if (found := re.fullmatch(r"`(\w)`", cell))}

    assert named == {letter.value for letter in Letter}


# --- short codes ---


def test_the_table_of_how_many_codes_is_what_the_rule_counts() -> None:
    section = sections(text_of("docs/sessions.md"), "##")["How many codes"]
    (_, *wishes), *rows = list(table_rows(section))
    hour, session = timedelta(hours=1), timedelta(minutes=5)

    said = {quarantine: [int(cell) for cell in cells] for quarantine, *cells in rows}

    assert len(said) == 4
    assert said == {
        quarantine: [codes_needed(int(wish), hour, int(quarantine.split()[0]) * hour, session) for wish in wishes]
        for quarantine in said
    }


# --- test keys ---


def test_the_magic_numbers_of_the_guide_are_the_rules() -> None:
    rows = list(table_rows(sections(text_of("docs/api.md"), "##")["Test keys"]))[1:]

    said = {digits.strip("`"): behaviour.strip("`") for digits, behaviour, _ in rows}

    assert said == {digits: behaviour.value for digits, behaviour in test_numbers.MAGIC.items()}
    assert f"{sandboxes.CREDITS:,} test credits" in text_of("docs/api.md")
    assert f"`{sandboxes.COURSE}`" in text_of("docs/api.md")


# --- the carrier format -----------------------------------------------------------------------------------------------


def test_the_carrier_formats_example_of_a_signature_is_right() -> None:
    text = text_of("docs/carrier_format.md")
    found = re.search(
        r"secret\s`whsec_([^`]+)`,\sid\s`([^`]+)`,\stimestamp\s`(\d+)`,\sbody\s`([^`]+)`.*?^v1,(\S+)$",
        text,
        re.M | re.S,
    )
    assert found is not None
    secret, webhook_id, stamp, body, signature = found.groups()

    signed = hmac.digest(base64.b64decode(secret), f"{webhook_id}.{stamp}.{body}".encode(), hashlib.sha256)

    assert base64.b64encode(signed).decode() == signature


def test_the_carrier_format_says_every_word_that_is_understood_and_no_other() -> None:
    parts = sections(text_of("docs/carrier_format.md"), "##")
    answers = sections(parts["recado → carrier: a wave of texts"], "###")["The answer"]
    refused = {cells[1].strip("`") for cells in table_rows(answers) if cells[0] == "`refused`"}
    receipt = next(cells for cells in table_rows(parts["carrier → recado: receipts"]) if cells[0] == "`status`")

    assert refused == set(signed_webhook.REASONS)
    assert set(QUOTED.findall(receipt[1])) == set(signed_webhook.RECEIPTS)


def test_the_examples_of_the_carrier_format_are_read_as_the_page_says() -> None:
    examples = re.findall(r"^```json\n(.*?)^```", text_of("docs/carrier_format.md"), re.MULTILINE | re.DOTALL)

    _, answer, receipts, replies, parts = examples

    assert len(json.loads(answer)["messages"]) == 2
    assert [type(one) for one in signed_webhook.read_receipts(receipts.encode())] == [IncomingReceipt]
    assert signed_webhook.read_replies(replies.encode())[0].in_reply_to is not None
    assert signed_webhook.read_replies(parts.encode())[0].part == Part(2, 2, "g-77")


# --- states in plain words --------------------------------------------------------------------------------------------


def test_the_page_of_states_says_what_the_api_says() -> None:
    written = [cells for cells in table_rows(text_of("docs/states.md")) if cells[0].startswith("`")]

    meanings = [
        *plain_words.RECIPIENT_STATES.items(),
        *plain_words.SKIP_REASONS.items(),
        *plain_words.MESSAGE_STATES.items(),
    ]
    expected = [
        [
            f"`{name}`",
            meaning.words.es,
            meaning.words.en,
            "yes" if meaning.is_final else "no",
            meaning.charged.value,
            f"{meaning.advice.es} / {meaning.advice.en}",
        ]
        for name, meaning in meanings
    ]
    expected += [[f"`{name}`", words.es, words.en] for name, words in plain_words.LEDGER_CAUSES.items()]
    expected += [
        [f"`{name}`", one.name.es, one.name.en, f"{one.advice.es} / {one.advice.en}"]
        for name, one in plain_words.CATEGORIES.items()
    ]
    assert written == expected


def test_the_page_of_the_api_says_what_raises_each_event_and_what_it_carries() -> None:
    rows = list(table_rows(sections(text_of("docs/api.md"), "##")["What happened"]))[1:]

    expected = [
        [f"`{name.value}`", told.when, ", ".join(f"`{field}`" for field in told.fields)]
        for name, told in event_types.EVENTS.items()
    ]
    assert set(event_types.EVENTS) == set(event_types.EventType)
    assert rows == expected


def test_the_page_of_the_api_names_every_field_of_a_text_and_its_neutral_word() -> None:
    section = sections(text_of("docs/api.md"), "##")["Texts and templates"]

    rows = [cells for cells in table_rows(section) if cells[0].startswith("`{")]

    said = {word: cells[2] for cells in rows for word in QUOTED.findall(" ".join(cells[:2]))}
    assert said == {f"{{{word}}}": texts.NEUTRAL[field] for word, field in texts.FIELD_OF_WORD.items()}


def test_the_page_of_the_api_names_every_way_a_text_is_refused() -> None:
    section = sections(text_of("docs/api.md"), "##")["Texts and templates"]
    source = (ROOT / LAYER / "rules/texts.py").read_text()

    assert set(first_names(section)) == set(re.findall(r'_refused\("(\w+)"', source)) | {
        "{course}",
        "{guardian}",
        "{student}",
    }
