"""Every error a caller may cause, each with a stable code and an HTTP status (`web.py` makes problem+json of it).

RecadoError
├── InvalidRequest        422 invalid_request             fields that are wrong, all at once
├── NotAuthenticated      401 not_authenticated           no token, or one that does not hold
├── NotAllowed            403 not_allowed                 this role may not do that
│   ├── NotAllowedToSend  403 not_allowed_to_send         L2
│   ├── NobodysInbox      403 token_names_nobody          L4: an inbox is a person's, and the token has no `person`
│   ├── CaptchaRequired   403 captcha_required            a session is opened with a CAPTCHA's solution
│   └── CaptchaFailed     403 captcha_failed              its provider says that this one is none
├── CaptchaUnavailable    503 captcha_unavailable         its provider does not say; nobody is let in
├── NotFound              404 not_found                   also what belongs to another school
├── WrongState            409 wrong_state                 too late, or too early, for this
│   └── ChangedMeanwhile  409 changed_meanwhile           somebody else's change would be overwritten unseen
├── ImportRunning         409 import_running              another roster of the school is being applied
├── ManyWouldGo           409 many_would_go               a roster that looks like the wrong one
├── OptedOutThemselves    409 opted_out_by_person         L10: only they switch it on again
├── AlreadyExists         409 already_exists              an id that is taken
├── RefundRefused         409 bags_are_not_refundable     L6
├── ContractSuspended     409 contract_suspended          L5: credits are frozen, not lost
├── NotEnoughCredits      402 not_enough_credits          says how many are missing, per zone
├── PlanChanged           409 plan_changed                not what the estimate showed; says what has changed
├── QuietHoursNow         409 quiet_hours                 says the next allowed time
├── AudienceTooLarge      413 audience_too_large
├── NobodyToReach         422 nobody_to_reach             the audience has no sendable recipient
├── NoticeNeedsConfirming 422 notice_by_sms_not_confirmed L1: points to the message centre
├── TooManyRequests       429 too_many_requests           the school's requests of this minute are used up
├── SessionEnded          410 session_ended               C7
├── SessionBusy           503 session_busy                others keep writing to it; ask again in a moment
├── StillSending          409 still_sending               C5: one message at a time
├── SessionLimitReached   429 session_limit_reached       a cap of anonymous sessions; says which, and when to try again
├── NoHandsetReachable    422 no_handset_reachable        nobody of a new session could be given a code
├── TooLarge              413 too_large                   the request's body
├── UnsupportedMediaType  415 unsupported_media_type      a body that is not JSON, or not CSV where a file is taken
├── IdempotencyKeyMissing 400 idempotency_key_missing
├── IdempotencyKeyReused  422 idempotency_key_reused      same key, other body
└── StillRunning          409 still_running               same key, the first request has not answered yet

BadSignature              401 bad_signature               a carrier's webhook that changes nothing
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong field: where it is (a JSON pointer or a header's name), a stable code, and words for people."""

    field: str
    code: str
    detail: str


class RecadoError(Exception):
    """What a caller may get wrong. `members` are extra members of the problem document."""

    code = "error"
    status = 500
    title = "Something went wrong"

    def __init__(
        self,
        detail: str = "",
        *,
        fields: Sequence[FieldProblem] = (),
        members: Mapping[str, Any] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.fields = tuple(fields)
        self.members = dict(members or {})
        self.retry_after_seconds = retry_after_seconds


class InvalidRequest(RecadoError):
    code, status, title = "invalid_request", 422, "The request has fields that cannot be accepted"


class NotAuthenticated(RecadoError):
    code, status, title = "not_authenticated", 401, "A valid token is needed"


class BadSignature(RecadoError):
    code, status, title = "bad_signature", 401, "The webhook's signature does not hold"


class NotAllowed(RecadoError):
    code, status, title = "not_allowed", 403, "This role may not do that"


class NotAllowedToSend(NotAllowed):
    code, title = "not_allowed_to_send", "Only directors and administrative staff may create and send SMS"


class NobodysInbox(NotAllowed):
    code, title = "token_names_nobody", "An inbox is one person's; this token has no person"


class CaptchaRequired(NotAllowed):
    code, title = "captcha_required", "Opening a session needs the solution of a CAPTCHA"


class CaptchaFailed(NotAllowed):
    code, title = "captcha_failed", "The CAPTCHA's solution does not hold; each can be used once"


class CaptchaUnavailable(RecadoError):
    code, status, title = "captcha_unavailable", 503, "The CAPTCHA cannot be checked at this moment"


class NotFound(RecadoError):
    code, status, title = "not_found", 404, "There is no such thing here"


class WrongState(RecadoError):
    code, status, title = "wrong_state", 409, "Its state does not allow that"


class ChangedMeanwhile(WrongState):
    code, title = "changed_meanwhile", "It was changed meanwhile; read it again before changing it"


class ImportRunning(RecadoError):
    code, status, title = "import_running", 409, "Another roster of the school is being applied"


class ManyWouldGo(RecadoError):
    code, status, title = "many_would_go", 409, "More than half of the people would leave; confirm it if that is meant"


class OptedOutThemselves(RecadoError):
    code, status, title = "opted_out_by_person", 409, "The person switched their SMS off: only they can switch it on"


class AlreadyExists(RecadoError):
    code, status, title = "already_exists", 409, "It exists already"


class RefundRefused(RecadoError):
    code, status, title = "bags_are_not_refundable", 409, "A bag of credits is not refundable; its credits never expire"


class ContractSuspended(RecadoError):
    code, status, title = "contract_suspended", 409, "The school's contract is suspended; its credits are kept"


class NotEnoughCredits(RecadoError):
    code, status, title = "not_enough_credits", 402, "The school's credits do not reach"


class AudienceTooLarge(RecadoError):
    code, status, title = "audience_too_large", 413, "The audience is larger than one message may have"


class PlanChanged(RecadoError):
    code, status, title = "plan_changed", 409, "The audience or its price is no longer what the estimate showed"


class QuietHoursNow(RecadoError):
    code, status, title = "quiet_hours", 409, "The school does not send everyday texts at this time"


class NobodyToReach(RecadoError):
    code, status, title = "nobody_to_reach", 422, "Nobody of the audience can be reached"


class NoticeNeedsConfirming(RecadoError):
    code, status = "notice_by_sms_not_confirmed", 422
    title = "SMS is for alerts; an everyday notice is free in the message centre"


class TooManyRequests(RecadoError):
    code, status, title = "too_many_requests", 429, "The school has used up its requests of this minute"


class SessionEnded(RecadoError):
    code, status, title = "session_ended", 410, "The session has ended and its messages are gone"


class SessionBusy(RecadoError):
    code, status, title = "session_busy", 503, "The session is busy; ask again in a moment"


class StillSending(RecadoError):
    code, status, title = "still_sending", 409, "One message at a time: the one before is still going out"


class SessionLimitReached(RecadoError):
    code, status, title = "session_limit_reached", 429, "As much has been sent as may be sent for now"


class NoHandsetReachable(RecadoError):
    code, status, title = "no_handset_reachable", 422, "None of the numbers can be written to now"


class TooLarge(RecadoError):
    code, status, title = "too_large", 413, "The request is too large"


class UnsupportedMediaType(RecadoError):
    code, status, title = "unsupported_media_type", 415, "The body must be of the media type that the route takes"


class IdempotencyKeyMissing(RecadoError):
    code, status, title = "idempotency_key_missing", 400, "This request needs an Idempotency-Key header"


class IdempotencyKeyReused(RecadoError):
    code, status, title = "idempotency_key_reused", 422, "This Idempotency-Key was used for another request"


class StillRunning(RecadoError):
    code, status, title = "still_running", 409, "The first request with this Idempotency-Key has not finished yet"
