"""Asks a carrier's endpoint what docs/carrier_format.md says; tells which sentence does not hold, and what to do.

Standard library and `standardwebhooks` only, so that a carrier can run it alone. It sends texts to the handset it is
given, a bounded number of times, and never waits longer than recado would. What the carrier then sends to recado is
looked at by `carrier_reports.py`.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass

from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from tools import carrier_checks as ask
from tools import carrier_reports as reports
from tools.carrier_checks import Problem
from tools.carrier_endpoint import Endpoint

# The sentences of docs/carrier_format.md that a check rests on.
ONE_BY_ONE = "`200` and one item per text, in any order"
ECHO = "You must echo it in the answer and in receipts"
ACCEPTED = "| `accepted` | | handed over; `id` is yours, another for each text | yes |"
FINAL = "| `refused` | `wrong_number` | there is no such subscriber: final | yes |"
WORDS = "The words of this table are the only ones"
EMPTY_FROM = "Empty when the school has no code of its own and its country's schools share none: take a number of yours"
AS_WRITTEN = "the text as written; you choose GSM-7 or UCS-2 by 3GPP TS 23.038 and cut it into parts"
TEN_PARTS = "recado never sends more than 10 parts"
VALIDITY = "how long it is worth delivering, at least 1"
IGNORED = "Members that are not named here are\nignored in both directions"
UP_TO_100 = "take up to 100, in a body of up to 512 KiB"
TEN_SECONDS = "waits 10 s for the answer"
AT_ONCE = "speaks from several workers at once"
KEPT_ALIVE = "keeps connections alive"
SIGNATURE = "A POST whose signature or timestamp does not hold must be answered `4xx`"
FIVE_MINUTES = "must refuse a timestamp more than 5 minutes away from its own clock in\neither direction"
WITHIN_FIVE = "and accept one that is less than that away"
ANY_SIGNATURE = "must accept the POST if *any* of the given signatures is right"
VERSIONS = "What begins otherwise than with `v1,` is passed over"
NO_5XX = "So answer `5xx` only when you do not know"
BY_REFERENCE = "A text is the same text when its `reference` is, and only then"
SAME_ANSWER = "a reference you have taken must get the\nsame answer again"
RECEIPTS = "`POST <API>/carriers/signed_webhook/receipts`, signed"
FORMAT = "All bodies are JSON in UTF-8"
AGAIN = "deliver the same body again, with growing pauses, for at least a day"
SAME_TIME = "Send the same `at` when you repeat a receipt"
MAY_DIFFER = "`from` and `validity_seconds` may be others when a text comes again"


@dataclass(frozen=True, slots=True)
class Check:
    """`asks` says what is wrong, or None. `advice` is what to do then."""

    name: str
    rule: str
    asks: Callable[[Endpoint], Problem]
    advice: str


VERIFY = "verify the three headers over the raw body before anything else, and answer 401 when they do not hold"
CHECKS = (
    Check(
        "a text is taken",
        ACCEPTED,
        ask.takes_a_text,
        "is that handset one you can reach, and is anything switched off?",
    ),
    Check(
        "a wave is answered one for one", ONE_BY_ONE, ask.answers_a_wave, "answer 200 and each reference exactly once"
    ),
    Check(
        "a reference of 256 characters comes back whole",
        ECHO,
        ask.answers_a_long_reference,
        "keep it as it is, unshortened, in its own letters",
    ),
    Check(
        "one number that is none spoils no wave",
        ONE_BY_ONE,
        ask.answers_within_a_wave_of_mixed_numbers,
        "refuse that text with wrong_number in its item, not the POST",
    ),
    Check(
        "a number that is none does not come again",
        FINAL,
        ask.decides_about_what_is_no_number,
        "answer wrong_number, or accept it and report wrong_number; try_later is for what may still be taken",
    ),
    Check(
        "an answer uses the words of the table",
        WORDS,
        ask.uses_the_words,
        "map your own words to the table's; put finer ones into code",
    ),
    Check(
        "a text without a sender is taken",
        EMPTY_FROM,
        ask.answers_a_text_without_a_sender,
        "choose a sender of yours when from is empty",
    ),
    Check(
        "other alphabets and emoji are taken",
        AS_WRITTEN,
        ask.takes_other_alphabets,
        "send what GSM-7 does not have as UCS-2, and read the body as UTF-8",
    ),
    Check("a text of ten parts is taken", TEN_PARTS, ask.takes_ten_parts, "cut long texts into parts yourself"),
    Check(
        "a text worth one second is taken",
        VALIDITY,
        ask.takes_what_is_worth_a_second,
        "take it, and report unreachable when it was too late",
    ),
    Check(
        "members nobody knows are ignored",
        IGNORED,
        ask.answers_with_members_it_does_not_know,
        "read the members you know and leave the others",
    ),
    Check("a wave of 100 is taken", UP_TO_100, ask.answers_a_large_wave, "raise your limits of texts and bytes a POST"),
    Check(
        "20 texts are answered in time",
        TEN_SECONDS,
        ask.answers_in_time,
        "answer when you have written the texts down, before you send them",
    ),
    Check(
        "several waves at once are answered in time",
        AT_ONCE,
        ask.answers_several_at_once,
        "serve requests side by side",
    ),
    Check(
        "a connection is used again",
        KEPT_ALIVE,
        ask.answers_again_over_one_connection,
        "say Connection: close when you close it",
    ),
    Check("another secret's signature is refused", SIGNATURE, ask.refuses_another_secrets_signature, VERIFY),
    Check("a changed body is refused", SIGNATURE, ask.refuses_a_changed_body, VERIFY),
    Check("what is not signed is refused", SIGNATURE, ask.refuses_what_is_not_signed, VERIFY),
    Check(
        "a part of a signature is refused",
        SIGNATURE,
        ask.refuses_part_of_a_signature,
        "compare all of it, in constant time",
    ),
    Check(
        "an old timestamp is refused",
        FIVE_MINUTES,
        ask.refuses_an_old_timestamp,
        "compare webhook-timestamp with your clock",
    ),
    Check(
        "a timestamp to come is refused",
        FIVE_MINUTES,
        ask.refuses_a_timestamp_to_come,
        "compare the difference in both directions",
    ),
    Check(
        "what is no timestamp is refused",
        SIGNATURE,
        ask.refuses_what_is_no_timestamp,
        "check that it is digits, and few, before you reckon with it",
    ),
    Check(
        "a timestamp of four minutes is taken",
        WITHIN_FIVE,
        ask.takes_what_is_not_too_old,
        "allow 5 minutes, and set your clock by NTP",
    ),
    Check(
        "one right signature among others is enough",
        ANY_SIGNATURE,
        ask.takes_one_right_signature_among_others,
        "split webhook-signature at blanks and try each",
    ),
    Check(
        "signatures of other versions are passed over",
        VERSIONS,
        ask.passes_other_versions_over,
        "leave out what does not begin with v1,",
    ),
    Check(
        "what is no JSON is refused, and not with 5xx",
        NO_5XX,
        ask.refuses_what_is_no_json,
        "answer 400: you know that you took nothing",
    ),
    Check(
        "what is no wave is refused, and not with 5xx",
        NO_5XX,
        ask.refuses_what_is_no_wave,
        "answer 400: you know that you took nothing",
    ),
    Check(
        "a text is told by its reference alone",
        BY_REFERENCE,
        ask.tells_texts_by_their_reference,
        "never compare words or numbers to find duplicates",
    ),
)
REMEMBER = "keep each reference with its answer, written before you answer"
DEDUPES = (
    Check("a reference asked twice has one answer", SAME_ANSWER, ask.answers_the_same_twice, REMEMBER),
    Check(
        "a reference has its answer in any wave",
        MAY_DIFFER,
        ask.answers_the_same_in_another_wave,
        "look for the reference alone, text by text: not for the wave, nor for the text's other members",
    ),
    Check(
        "a reference asked at once has one answer",
        SAME_ANSWER,
        ask.answers_the_same_at_once,
        "let the database decide who was first: a unique key on the reference",
    ),
)


@dataclass(frozen=True, slots=True)
class ReportCheck:
    """Of what came; `asks` is also told which references were accepted."""

    name: str
    rule: str
    asks: Callable[[reports.Seen, set[str]], Problem]
    advice: str


REPORTS = (
    ReportCheck(
        "receipts come",
        RECEIPTS,
        reports.receipts_came,
        "send one for each text when you know what became of it; give it longer with --listen-seconds",
    ),
    ReportCheck(
        "they come to their address",
        RECEIPTS,
        reports.came_to_their_address,
        "put /carriers/signed_webhook/receipts, or /replies, after the address",
    ),
    ReportCheck(
        "they are signed with your secret",
        FIVE_MINUTES,
        reports.all_were_signed,
        "sign with from_carrier, over the bytes you send, and set your clock by NTP",
    ),
    ReportCheck(
        "they are as the page says",
        FORMAT,
        reports.all_were_as_the_page_says,
        "look at the tables of receipts and replies",
    ),
    ReportCheck(
        "they name the references they were given", ECHO, reports.references_were_ours, "keep them as they are"
    ),
    ReportCheck(
        "what was not taken comes again as it was",
        AGAIN,
        reports.came_again_as_they_were,
        "keep what you send, with its webhook-id, until it is answered 200; the first was answered 503 on purpose",
    ),
    ReportCheck("a receipt keeps its time", SAME_TIME, reports.kept_their_time, "write `at` down when it happens"),
)

# What was seen, whatever was asked → what to do then.
WHATEVER_WAS_ASKED = {
    "answered 429": "answer 429 while you are busy, which is for moments: it came again as recado does",
    "no redirect": "give recado the address that it points to",
    "no answer within": "answer when you have written the texts down, before you send them",
    "is compressed": "compress only for those who accept it (Accept-Encoding)",
    "its body is": "answer JSON in UTF-8 as the page shows it",
}


@dataclass(frozen=True, slots=True)
class Result:
    check: Check | ReportCheck
    problem: Problem


def ask_all(endpoint: Endpoint, *, dedupes: bool) -> Iterator[Result]:
    """Every check in order, each with a few requests; as they come."""
    for check in (*CHECKS, *(DEDUPES if dedupes else ())):
        yield Result(check, check.asks(endpoint))


def look_at_reports(listener: reports.Listener, endpoint: Endpoint, seconds: float) -> Iterator[Result]:
    """What came meanwhile and comes within so many seconds."""
    listener.wait(endpoint.accepted, seconds)
    for check in REPORTS:
        yield Result(check, check.asks(listener.seen, endpoint.accepted))


def main(arguments: Sequence[str] | None = None) -> int:
    """0: all hold; 1: some do not; 2: there is no such endpoint, or its port is taken."""
    asked = _read_arguments(arguments)
    secret, from_secret = (
        sys.stdin.readline().strip() if one == "-" else one for one in (asked.secret, asked.from_secret)
    )
    endpoint = Endpoint(asked.url, secret, asked.to)
    try:
        Webhook(secret)
        if asked.listen:
            Webhook(from_secret)
        listens = reports.listening(asked.listen, from_secret) if asked.listen else nullcontext()
        is_there = endpoint.post(b"{}", {}).status != 0
    except (ValueError, RuntimeError, EmptyWebhookSecretError):
        print("That is no address, or no secret (whsec_ and base64).", file=sys.stderr)
        return 2
    if not is_there:
        print("Nobody answers there.", file=sys.stderr)
        return 2
    with ExitStack() as stack:
        try:
            listener = stack.enter_context(listens)
        except (OSError, OverflowError) as error:
            print(f"Nothing can listen on port {asked.listen}: {error}", file=sys.stderr)
            return 2
        results = [*_told(ask_all(endpoint, dedupes=asked.dedupe_hours > 0))]
        if not asked.dedupe_hours:
            for check in DEDUPES:
                print(f"  --   {check.name}: not asked, for --dedupe-hours is 0")
        if listener is None:
            print("  --   receipts and replies: not looked at, for there is no --listen")
        else:
            results += _told(look_at_reports(listener, endpoint, asked.listen_seconds))
            with_receipt = len(listener.seen.references & endpoint.accepted)
            print(f"  --   {with_receipt} of {len(endpoint.accepted)} accepted texts have a receipt by now")
            print(f"  --   {listener.seen.replies} replies came")
    failed = sum(result.problem is not None for result in results)
    print(f"{len(results) - failed} of {len(results)} hold; {endpoint.texts} texts to {asked.to}")
    return 1 if failed else 0


def _told(results: Iterator[Result]) -> Iterator[Result]:
    for result in results:
        print(_line(result), flush=True)
        yield result


def _read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="carrier_conformance", description=__doc__)
    parser.add_argument("--url", required=True, help="the endpoint that takes waves")
    parser.add_argument("--secret", required=True, help="to_carrier, whsec_…; - reads it from standard input")
    parser.add_argument("--to", required=True, help="the handset that gets the texts, E.164: a test handset")
    parser.add_argument("--dedupe-hours", type=int, default=0, help="how long references are remembered; 0: not at all")
    parser.add_argument("--listen", type=int, default=0, help="the port to take receipts and replies at; 0: none")
    parser.add_argument("--from-secret", default="", help="from_carrier, whsec_…; - reads it from standard input, next")
    parser.add_argument("--listen-seconds", type=float, default=60.0, help="how long to wait for receipts at the end")
    return parser.parse_args(arguments)


def _line(result: Result) -> str:
    check, said = result.check, " ".join(result.check.rule.split())
    if result.problem is None:
        return f"  pass {check.name}"
    advice = next((do for seen, do in WHATEVER_WAS_ASKED.items() if seen in result.problem), check.advice)
    return (
        f"  FAIL {check.name}: {result.problem}\n"
        f"         docs/carrier_format.md: “{said}”\n"
        f"         what to do: {advice}"
    )


if __name__ == "__main__":
    sys.exit(main())
