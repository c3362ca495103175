"""What `carrier_conformance.py` asks a carrier's endpoint, a function a question: what is wrong, or None.

Standard library and `standardwebhooks` only. No question is without an end, nor sends more texts than it needs.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from standardwebhooks import Webhook

from tools.carrier_endpoint import ANSWER_SECONDS_MAX, Endpoint, Got, shown, wave

LARGE_WAVE = 100
WAVES_AT_ONCE = 4
TOO_OLD = timedelta(minutes=6)
OLD = timedelta(minutes=4)
OTHER_SECRET = "whsec_" + "b3RoZXItc2VjcmV0LW9mLW5vYm9keS0zMi1ieXRlcyE="  # nobody's, to sign wrongly with
REASONS = ("wrong_number", "blocked", "try_later")
CODE_LENGTH_MAX = 40
NO_NUMBER = "+999"
TEN_PARTS_TEXT = "El niño comió pingüinos ¿sí? " * 22  # 638 characters of UCS-2: ten parts
LARGEST_TEXT = "ñ" * 1530  # of GSM-7's characters: ten parts, and no text has more bytes of UTF-8
OTHER_ALPHABETS = "¿Mañana? 😀 «Šťastnou cestu»\n€ [sí] {no} ~ \\ | ^"  # a surrogate pair, the end of a line, escapes
TIMES_THAT_ARE_NONE = ("", "soon", "-1", "1e9", "9" * 12, "9" * 400)

type Problem = str | None


# --- waves ------------------------------------------------------------------------------------------------------------


def takes_a_text(endpoint: Endpoint) -> Problem:
    return _wave_problem(endpoint, [endpoint.message()], accepted=True)


def answers_a_wave(endpoint: Endpoint) -> Problem:
    return _wave_problem(endpoint, [endpoint.message() for _ in range(3)])


def answers_a_long_reference(endpoint: Endpoint) -> Problem:
    message = endpoint.message()
    return _wave_problem(endpoint, [message | {"reference": message["reference"].ljust(256, "X")}])


def answers_within_a_wave_of_mixed_numbers(endpoint: Endpoint) -> Problem:
    return _wave_problem(endpoint, [endpoint.message(), endpoint.message(to=NO_NUMBER), endpoint.message()])


def uses_the_words(endpoint: Endpoint) -> Problem:
    got = endpoint.send([endpoint.message(), endpoint.message(to=NO_NUMBER)])
    return next(filter(None, map(_word_problem, got.items)), None) if got.items else got.words()


def decides_about_what_is_no_number(endpoint: Endpoint) -> Problem:
    """Accepting it is as good, if a receipt tells later."""
    message = endpoint.message(to=NO_NUMBER)
    got = endpoint.send([message])
    item = got.by_reference().get(message["reference"])
    if item is None:
        return got.words()
    return "it is to come again, for ever" if item.get("reason") == "try_later" else None


def answers_a_text_without_a_sender(endpoint: Endpoint) -> Problem:
    return _wave_problem(endpoint, [endpoint.message(**{"from": ""})], accepted=True)


def takes_other_alphabets(endpoint: Endpoint) -> Problem:
    return _wave_problem(endpoint, [endpoint.message(text=OTHER_ALPHABETS)], accepted=True)


def takes_ten_parts(endpoint: Endpoint) -> Problem:
    return _wave_problem(endpoint, [endpoint.message(text=TEN_PARTS_TEXT)], accepted=True)


def takes_what_is_worth_a_second(endpoint: Endpoint) -> Problem:
    return _wave_problem(endpoint, [endpoint.message(validity_seconds=1)], accepted=True)


def answers_with_members_it_does_not_know(endpoint: Endpoint) -> Problem:
    return _wave_problem(endpoint, [endpoint.message(later={"a": 1})], later=True)


def answers_a_large_wave(endpoint: Endpoint) -> Problem:
    """To no handset: it is the size that is asked about."""
    return _wave_problem(endpoint, [endpoint.message(to=NO_NUMBER, text=LARGEST_TEXT) for _ in range(LARGE_WAVE)])


def answers_in_time(endpoint: Endpoint) -> Problem:
    got = endpoint.send([endpoint.message() for _ in range(20)])
    return got.words() if got.status == 0 or got.seconds > ANSWER_SECONDS_MAX else None


def answers_several_at_once(endpoint: Endpoint) -> Problem:
    """To no handset, and each within its time."""
    waves = [wave([endpoint.message(to=NO_NUMBER) for _ in range(20)]) for _ in range(WAVES_AT_ONCE)]
    found = _at_once(endpoint, waves)
    return next((f"one of {len(found)} {got.words()}" for got in found if got.status not in (200, 429)), None)


def answers_again_over_one_connection(endpoint: Endpoint) -> Problem:
    connection = endpoint.connection()
    try:
        for place in ("first", "second", "third"):
            body = wave([endpoint.message(to=NO_NUMBER)])
            got = endpoint.post_over(connection, body.encode(), endpoint.signed(body))
            if got.status not in (200, 429):
                return f"the {place} POST: {got.words()}"
    finally:
        connection.close()
    return None


# --- signatures -------------------------------------------------------------------------------------------------------


def refuses_another_secrets_signature(endpoint: Endpoint) -> Problem:
    body = wave([endpoint.message()])
    return _refused(endpoint.post(body.encode(), endpoint.signed(body, secret=OTHER_SECRET)))


def refuses_a_changed_body(endpoint: Endpoint) -> Problem:
    body = wave([endpoint.message()])
    return _refused(endpoint.post(body.replace("600", "601").encode(), endpoint.signed(body)))


def refuses_what_is_not_signed(endpoint: Endpoint) -> Problem:
    """No header of the three, and each of them missing alone."""
    body = wave([endpoint.message()])
    signed = endpoint.signed(body)
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    for missing in (names, *((name,) for name in names)):
        left = {name: value for name, value in signed.items() if name not in missing}
        if problem := _refused(endpoint.post(body.encode(), left)):
            return f"without {' and '.join(missing)} it {problem}"
    return None


def refuses_part_of_a_signature(endpoint: Endpoint) -> Problem:
    body = wave([endpoint.message()])
    signed = endpoint.signed(body)
    whole = signed["webhook-signature"]
    for part in ("v1,", "v1", whole[:7], whole[:-4], whole.removeprefix("v1,")):
        if problem := _refused(endpoint.post(body.encode(), signed | {"webhook-signature": part})):
            return f"to {len(part)} of its {len(whole)} characters it {problem}"
    return None


def refuses_an_old_timestamp(endpoint: Endpoint) -> Problem:
    return _refused(_post_signed(endpoint, ago=TOO_OLD))


def refuses_a_timestamp_to_come(endpoint: Endpoint) -> Problem:
    return _refused(_post_signed(endpoint, ago=-TOO_OLD))


def refuses_what_is_no_timestamp(endpoint: Endpoint) -> Problem:
    body = wave([endpoint.message()])
    for stamp in TIMES_THAT_ARE_NONE:
        if problem := _refused(endpoint.post(body.encode(), endpoint.signed(body) | {"webhook-timestamp": stamp})):
            return f"to {shown(stamp)} it {problem}"
    return None


def takes_what_is_not_too_old(endpoint: Endpoint) -> Problem:
    found = (_post_signed(endpoint, ago=ago) for ago in (OLD, -OLD))
    return next((got.words() for got in found if got.status not in (200, 429)), None)


def takes_one_right_signature_among_others(endpoint: Endpoint) -> Problem:
    """First and last: while a secret changes either may be the one you know."""
    return _among_others(endpoint, lambda body, signed: Webhook(OTHER_SECRET).sign(signed, datetime.now(UTC), body))


def passes_other_versions_over(endpoint: Endpoint) -> Problem:
    return _among_others(endpoint, lambda _, __: "v1a,MEUCIQDn/notyours== v2,x")


# --- what is none -----------------------------------------------------------------------------------------------------


def refuses_what_is_no_json(endpoint: Endpoint) -> Problem:
    body = '{"type": "messages.send", "mess'
    return _refused(endpoint.post(body.encode(), endpoint.signed(body)))


def refuses_what_is_no_wave(endpoint: Endpoint) -> Problem:
    for body in ("[7]", "null", '{"type": "messages.send"}', '{"type": "messages.send", "messages": 7}'):
        if problem := _refused(endpoint.post(body.encode(), endpoint.signed(body))):
            return f"to {body} it {problem}"
    return None


# --- references -------------------------------------------------------------------------------------------------------


def tells_texts_by_their_reference(endpoint: Endpoint) -> Problem:
    """Two texts of the same words to the same handset are two."""
    text = f"Prueba {endpoint.run}: dos veces lo mismo."
    messages = [endpoint.message(text=text) for _ in range(2)]
    got = endpoint.send(messages)
    ids = [item.get("id") for item in got.by_reference().values() if item.get("status") == "accepted"]
    if len(ids) != len(messages):
        return f"{len(ids)} of 2 equal texts with two references were accepted" if got.status == 200 else got.words()
    return "two texts have one id" if ids[0] == ids[1] else None


def answers_the_same_twice(endpoint: Endpoint) -> Problem:
    messages = [endpoint.message() for _ in range(3)]
    first = endpoint.send(messages).by_reference()
    return _same_answer(first, endpoint.send(messages))


def answers_the_same_in_another_wave(endpoint: Endpoint) -> Problem:
    messages = [endpoint.message() for _ in range(3)]
    first = endpoint.send(messages).by_reference()
    again = [message | {"from": "20601", "validity_seconds": 60} for message in reversed(messages)]
    return _same_answer(first, endpoint.send([*again[:1], endpoint.message(), *again[1:]]))


def answers_the_same_at_once(endpoint: Endpoint) -> Problem:
    body = wave([endpoint.message()])
    first, *others = _at_once(endpoint, [body] * WAVES_AT_ONCE)
    return next(filter(None, (_same_answer(first.by_reference(), other) for other in others)), None)


def _wave_problem(
    endpoint: Endpoint, messages: Sequence[dict[str, Any]], *, accepted: bool = False, **more: Any
) -> Problem:
    """One item per text, by its reference, and no others."""
    got = endpoint.send(messages, **more)
    if got.status != 200 or got.document is None:
        return got.words()
    if len(got.items) != len(got.document["messages"]):
        return "an item is no object"
    asked = [message["reference"] for message in messages]
    times = Counter(str(item.get("reference")) for item in got.items)
    if missing := sum(reference not in times for reference in asked):
        return f"{missing} of {len(asked)} texts are not in the answer"
    if foreign := times.keys() - set(asked):
        return f"{len(foreign)} references in the answer were not asked"
    if doubled := sum(number > 1 for number in times.values()):
        return f"{doubled} of {len(asked)} texts have more than one item"
    if accepted and (refused := [item for item in got.items if item.get("status") != "accepted"]):
        return f"it was not accepted, but {shown(refused[0].get('status'))} with {shown(refused[0].get('reason'))}"
    return None


def _word_problem(item: dict[str, Any]) -> Problem:
    if item.get("status") == "accepted":
        return None if isinstance(item.get("id"), str) and item["id"] else "an accepted text has no id, a text"
    if item.get("status") != "refused" or item.get("reason") not in REASONS:
        return f"{shown(item.get('status'))} with {shown(item.get('reason'))} is not in the table"
    code = item.get("code", "")
    return None if isinstance(code, str) and len(code) <= CODE_LENGTH_MAX else "a code is no text of 40 characters"


def _post_signed(endpoint: Endpoint, *, ago: timedelta) -> Got:
    body = wave([endpoint.message()])
    return endpoint.post(body.encode(), endpoint.signed(body, ago=ago))


def _among_others(endpoint: Endpoint, other: Callable[[str, str], str]) -> Problem:
    for place, order in (("last", "{other} {right}"), ("first", "{right} {other}")):
        body = wave([endpoint.message()])
        headers = endpoint.signed(body)
        right = headers["webhook-signature"]
        headers["webhook-signature"] = order.format(other=other(body, headers["webhook-id"]), right=right)
        got = endpoint.post(body.encode(), headers)
        if got.status not in (200, 429):
            return f"with the right one {place} it {got.words()}"
    return None


def _at_once(endpoint: Endpoint, bodies: Sequence[str]) -> list[Got]:
    with ThreadPoolExecutor(max_workers=len(bodies)) as threads:
        return list(threads.map(lambda body: endpoint.post(body.encode(), endpoint.signed(body)), bodies))


def _same_answer(first: dict[str, dict[str, Any]], again: Got) -> Problem:
    taken = {reference: item for reference, item in first.items() if item.get("status") == "accepted"}
    if not taken:
        return "nothing was accepted, so nothing could be asked again"
    if again.status != 200:
        return f"the second time it {again.words()}"
    second = again.by_reference()
    other = [reference for reference, item in taken.items() if _taken(second.get(reference, {})) != _taken(item)]
    return f"{len(other)} of {len(taken)} that were taken got another answer the second time" if other else None


def _taken(item: dict[str, Any]) -> tuple[Any, Any]:
    return item.get("status"), item.get("id")


def _refused(got: Got) -> Problem:
    """408 is ambiguous, and 429 has recado come again in five seconds: neither says no."""
    return None if 400 <= got.status < 500 and got.status not in (408, 429) else got.words().partition(",")[0]
