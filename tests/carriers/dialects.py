"""How a stub of each carrier's server hears and answers: what the shared table of cases is played with.

A carrier in the registry without an entry here fails `test_every_carrier.py`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qs

from recado.carriers.speech import Account
from tests.carriers.stub_server import Asked, Said

TO_CARRIER = "whsec_dG8tY2Fycmllci1zZWNyZXQtMzItYnl0ZXMtbG9uZyE="
FROM_CARRIER = "whsec_ZnJvbS1jYXJyaWVyLXNlY3JldC0zMi1ieXRlcy1sIQ=="


class Fate(StrEnum):
    """What becomes of one text at the carrier."""

    ACCEPTED = "accepted"
    WRONG_NUMBER = "wrong_number"
    BLOCKED = "blocked"
    FOR_NOW = "for_now"


@dataclass(frozen=True)
class Dialect:
    """`numbers` reads which handsets a request names; `answer` says what became of them, in that order.

    The id it gives an accepted text is `c-<number>`. `route_refused` and `throttled` are for a whole request.
    """

    texts_per_request: int
    numbers: Callable[[Asked], list[str]]
    answer: Callable[[Asked, Sequence[Fate]], Said]
    route_refused: Callable[[], Said]
    throttled: Callable[[], Said]
    environment: Mapping[str, str]  # `{url}` is the stub's
    account: Callable[[str], Account]


ONE_BY_ONE = 1
AS_A_WAVE = 1000


# --- signed_webhook ---------------------------------------------------------------------------------------------------


def _wave_answer(asked: Asked, fates: Sequence[Fate]) -> Said:
    reasons = {Fate.WRONG_NUMBER: "wrong_number", Fate.BLOCKED: "blocked", Fate.FOR_NOW: "try_later"}
    items = [
        {"reference": message["reference"], "status": "accepted", "id": f"c-{message['to']}"}
        if fate is Fate.ACCEPTED
        else {"reference": message["reference"], "status": "refused", "reason": reasons[fate]}
        for message, fate in zip(json.loads(asked.body)["messages"], fates, strict=True)
    ]
    return Said(200, json.dumps({"messages": items}).encode())


SIGNED_WEBHOOK = Dialect(
    texts_per_request=AS_A_WAVE,
    numbers=lambda asked: [message["to"] for message in json.loads(asked.body)["messages"]],
    answer=_wave_answer,
    route_refused=lambda: Said(401),
    throttled=lambda: Said(429),
    environment={},
    account=lambda url: Account(url, (TO_CARRIER,), (FROM_CARRIER,)),
)


# --- sns (query protocol, XML) ----------------------------------------------------------------------------------------


def _xml_error(status: int, code: str, message: str = "x") -> Said:
    text = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    return Said(status, text.encode(), "text/xml")


def _sns_answer(asked: Asked, fates: Sequence[Fate]) -> Said:
    (fate,) = fates
    if fate is not Fate.ACCEPTED:
        code = {Fate.WRONG_NUMBER: "InvalidParameter", Fate.BLOCKED: "OptedOut", Fate.FOR_NOW: "Throttling"}[fate]
        number = _sns_numbers(asked)[0]
        return _xml_error(400, code, f"Invalid parameter: PhoneNumber Reason: {number} is not valid to publish to")
    message_id = f"c-{_sns_numbers(asked)[0]}"
    return Said(200, f"<R><PublishResult><MessageId>{message_id}</MessageId></PublishResult></R>".encode(), "text/xml")


def _sns_numbers(asked: Asked) -> list[str]:
    return parse_qs(asked.body.decode())["PhoneNumber"]


SNS = Dialect(
    texts_per_request=ONE_BY_ONE,
    numbers=_sns_numbers,
    answer=_sns_answer,
    route_refused=lambda: _xml_error(403, "AuthorizationError"),
    throttled=lambda: _xml_error(429, "Throttled"),
    environment={"AWS_ENDPOINT_URL_SNS": "{url}"},
    account=lambda _: Account(),
)


# --- end_user_messaging (JSON protocol) -------------------------------------------------------------------------------


def _json_error(status: int, name: str, **members: object) -> Said:
    return Said(status, json.dumps({"__type": name, "Message": "x", **members}).encode(), "application/x-amz-json-1.0")


def _eum_answer(asked: Asked, fates: Sequence[Fate]) -> Said:
    (fate,) = fates
    number = json.loads(asked.body)["DestinationPhoneNumber"]
    fields = [{"Name": "DestinationPhoneNumber", "Message": f"{number} is no number"}]
    return {
        Fate.ACCEPTED: Said(200, json.dumps({"MessageId": f"c-{number}"}).encode(), "application/x-amz-json-1.0"),
        Fate.WRONG_NUMBER: _json_error(400, "ValidationException", Reason="INVALID_PARAMETER", Fields=fields),
        Fate.BLOCKED: _json_error(400, "ConflictException", Reason="DESTINATION_PHONE_NUMBER_OPTED_OUT"),
        Fate.FOR_NOW: _json_error(400, "ThrottlingException"),
    }[fate]


END_USER_MESSAGING = Dialect(
    texts_per_request=ONE_BY_ONE,
    numbers=lambda asked: [json.loads(asked.body)["DestinationPhoneNumber"]],
    answer=_eum_answer,
    route_refused=lambda: _json_error(400, "AccessDeniedException", Reason="ACCOUNT_DISABLED"),
    throttled=lambda: _json_error(429, "ThrottlingException"),
    environment={"AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2": "{url}"},
    account=lambda _: Account(),
)


# --- twilio -----------------------------------------------------------------------------------------------------------


def _twilio_error(status: int, code: int) -> Said:
    return Said(status, json.dumps({"code": code, "message": "x", "status": status}).encode())


def _twilio_answer(asked: Asked, fates: Sequence[Fate]) -> Said:
    (fate,) = fates
    number = parse_qs(asked.body.decode())["To"][0]
    return {
        Fate.ACCEPTED: Said(201, json.dumps({"sid": f"c-{number}", "status": "queued", "error_code": None}).encode()),
        Fate.WRONG_NUMBER: _twilio_error(400, 21211),
        Fate.BLOCKED: _twilio_error(400, 21610),
        Fate.FOR_NOW: _twilio_error(429, 20429),
    }[fate]


TWILIO = Dialect(
    texts_per_request=ONE_BY_ONE,
    numbers=lambda asked: parse_qs(asked.body.decode())["To"],
    answer=_twilio_answer,
    route_refused=lambda: _twilio_error(401, 20003),
    throttled=lambda: Said(429),
    environment={},
    account=lambda url: Account(url, user="AC1", password="token", public_url="https://api.recado.example/v1"),
)


# --- vonage -----------------------------------------------------------------------------------------------------------


def _vonage_number(asked: Asked) -> str:
    return f"+{json.loads(asked.body)['to']}"


def _vonage_error(status: int, code: str) -> Said:
    error = {"type": f"https://developer.vonage.com/api-errors/messages#{code}", "title": "x", "instance": "i"}
    return Said(status, json.dumps(error).encode(), "application/problem+json")


def _vonage_answer(asked: Asked, fates: Sequence[Fate]) -> Said:
    (fate,) = fates
    return {
        Fate.ACCEPTED: Said(202, json.dumps({"message_uuid": f"c-{_vonage_number(asked)}"}).encode()),
        Fate.WRONG_NUMBER: _vonage_error(422, "1170"),
        Fate.BLOCKED: _vonage_error(422, "1240"),
        Fate.FOR_NOW: _vonage_error(429, "1000"),
    }[fate]


VONAGE = Dialect(
    texts_per_request=ONE_BY_ONE,
    numbers=lambda asked: [_vonage_number(asked)],
    answer=_vonage_answer,
    route_refused=lambda: Said(401, b'{"type": "https://developer.vonage.com/api-errors#unauthorized"}'),
    throttled=lambda: Said(429),
    environment={},
    account=lambda url: Account(url, user="key", password="secret", secrets_from_carrier=("signature-secret" * 2,)),
)


DIALECTS = {
    "end_user_messaging": END_USER_MESSAGING,
    "signed_webhook": SIGNED_WEBHOOK,
    "sns": SNS,
    "twilio": TWILIO,
    "vonage": VONAGE,
}
