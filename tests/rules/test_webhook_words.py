"""Why a portal did not take an event, in plain words: every reason that is ever noted has some."""

import ast
from pathlib import Path

import pytest

from recado import portal_events
from recado.carriers import portal_calls
from recado.rules import webhook_retries
from recado.rules.plain_words import Language
from recado.rules.webhook_words import ADDRESS, NOT_TAKEN, REASONS, TAKEN, say_reason


def reasons_noted() -> set[str]:
    """Words of the code that become a reason: given to `_NotReached`, `Heard` or `Attempt`, or a function's answer."""
    found: set[str] = set()
    for module in (portal_calls, portal_events, webhook_retries):
        assert module.__file__ is not None
        for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("_NotReached", "Heard", "Attempt"):
                found |= words_in(node)
            if isinstance(node, ast.FunctionDef) and node.name in ("_reason", "reason_of"):
                found |= {word for part in node.body for one in returns_of(part) for word in words_in(one)}
    return found - {""}


def returns_of(part: ast.AST) -> list[ast.Return]:
    return [node for node in ast.walk(part) if isinstance(node, ast.Return)]


def words_in(node: ast.AST) -> set[str]:
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def test_every_reason_that_is_noted_has_words_and_no_other() -> None:
    assert reasons_noted() - {"address_"} == REASONS.keys()


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("reason", REASONS)
def test_words_are_a_sentence_and_name_the_status_where_there_was_one(reason: str, language: Language) -> None:
    said = say_reason(reason, 503, language)

    assert said.endswith(".")
    assert "{" not in said
    assert ("503" in said) == (reason in ("status", "redirect"))


def test_what_has_no_words_of_its_own_is_not_told_as_more_than_it_is() -> None:
    assert say_reason("", 204, Language.EN) == TAKEN.en
    assert say_reason("address_not_public", None, Language.EN) == ADDRESS.en
    assert say_reason("something_older", None, Language.ES) == NOT_TAKEN.es
