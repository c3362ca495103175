"""Every state has words in both languages, and what they say about charging is what the rules charge."""

from collections.abc import Iterator
from itertools import product

import pytest

from recado.rules import plain_words
from recado.rules.audience import SkipReason
from recado.rules.delivery_states import (
    CAPTURED,
    FINAL,
    HANDED_OVER,
    Letter,
    Receipt,
    RecipientState,
    receipt_member,
    state_of,
)
from recado.rules.message_states import FINAL as FINAL_MESSAGES
from recado.rules.message_states import Category, MessageState
from recado.rules.plain_words import Charged, Language, Meaning, Words

MEANINGS = [
    *plain_words.RECIPIENT_STATES.items(),
    *plain_words.SKIP_REASONS.items(),
    *plain_words.MESSAGE_STATES.items(),
]


def all_words() -> Iterator[Words]:
    for _, meaning in MEANINGS:
        yield from (meaning.words, meaning.advice)
    yield from plain_words.LEDGER_CAUSES.values()
    for category in plain_words.CATEGORIES.values():
        yield from (category.name, category.advice)


def test_every_state_reason_and_category_has_its_words() -> None:
    assert set(plain_words.RECIPIENT_STATES) == set(RecipientState)
    assert set(plain_words.SKIP_REASONS) == {reason.value for reason in SkipReason} | {"duplicate_of", "in_inbox"}
    assert set(plain_words.MESSAGE_STATES) == set(MessageState)
    assert set(plain_words.CATEGORIES) == set(Category)


@pytest.mark.parametrize("words", list(all_words()))
def test_both_languages_are_there_and_differ(words: Words) -> None:
    spanish, english = words.say(Language.ES), words.say(Language.EN)

    assert spanish.strip()
    assert english.strip()
    assert spanish != english


@pytest.mark.parametrize(("name", "meaning"), MEANINGS)
def test_a_sentence_is_one_and_short_enough_for_a_cell(name: str, meaning: Meaning) -> None:
    for words in (meaning.words, meaning.advice):
        for sentence in (words.es, words.en):
            assert sentence[0].isupper()
            assert sentence.endswith(".")
            assert len(sentence) <= 110


def test_no_two_states_are_told_alike() -> None:
    for group in (plain_words.RECIPIENT_STATES, plain_words.SKIP_REASONS, plain_words.MESSAGE_STATES):
        assert len({meaning.words.es for meaning in group.values()}) == len(group)


def test_what_is_said_to_be_charged_is_what_the_letters_capture_L12() -> None:
    captured: dict[RecipientState, set[bool]] = {}
    for letter, receipt in product(FINAL, (None, *Receipt)):
        if receipt is Receipt.DELIVERED and letter not in HANDED_OVER:
            continue  # the carrier contradicts itself
        receipts = {receipt.value: {receipt_member(0, 0)}} if receipt else {}
        captured.setdefault(state_of(letter.value, 0, 1, receipts), set()).add(Letter(letter) in CAPTURED)

    said = {state: plain_words.RECIPIENT_STATES[state].charged for state in captured}

    expected = {frozenset({True}): Charged.YES, frozenset({False}): Charged.NO}
    assert said == {state: expected.get(frozenset(found), Charged.MAYBE) for state, found in captured.items()}
    assert set(RecipientState) - set(captured) == {RecipientState.QUEUED, RecipientState.SENDING}


def test_a_message_is_said_to_be_final_where_nothing_follows() -> None:
    final = {state for state, meaning in plain_words.MESSAGE_STATES.items() if meaning.is_final}

    assert final == FINAL_MESSAGES


def test_nobody_who_is_skipped_is_charged_L11() -> None:
    assert {meaning.charged for meaning in plain_words.SKIP_REASONS.values()} == {Charged.NO}


def test_a_notice_is_sent_to_the_message_centre_and_an_alert_is_not_L1() -> None:
    assert "centro de mensajes" in plain_words.CATEGORIES[Category.NOTICE].advice.es
    assert "message centre" in plain_words.CATEGORIES[Category.NOTICE].advice.en
    assert "centro de mensajes" not in plain_words.CATEGORIES[Category.EMERGENCY].advice.es


@pytest.mark.parametrize("cause", ["purchase#ab12", "hold#m1#p1", "close#m1#p1"])
def test_every_cause_of_the_statement_has_words(cause: str) -> None:
    assert plain_words.explain_cause(cause) is not None
    assert plain_words.explain_cause("another#1") is None


def test_everybody_of_an_estimate_who_is_not_skipped_is_told_of_in_both_languages() -> None:
    words = plain_words.PLANNED_STATES

    assert set(words) == {"sendable", "inbox_only"}
    assert all(one.es and one.en and one.es != one.en for one in words.values())
