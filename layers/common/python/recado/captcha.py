"""Whether it is a person who asks: a CAPTCHA's solution, put to its provider. Off where no address is set.

The common `siteverify` form (Turnstile, hCaptcha, reCAPTCHA): a form of secret, response and remoteip → {"success": …}.
It fails closed, asks once, and must never log a solution, an address or what the provider said.
"""

import json
import time
from functools import cache
from typing import Any

import urllib3
from urllib3.util import Url, parse_url

from recado import log
from recado.aws import client
from recado.errors import CaptchaFailed, CaptchaRequired, CaptchaUnavailable
from recado.settings import SETTINGS

CONNECT_SECONDS_MAX = 2
READ_SECONDS_MAX = 3
ANSWER_SECONDS_MAX = 5  # of the whole answer, however slowly it comes
ANSWER_BYTES_MAX = 16 * 1024
RETRY_AFTER_SECONDS = 5
SECRET_SECONDS = 300.0  # a new secret is heard of within this
LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
# `error-codes` that are not about the solution: ours to mend, or the provider's.
NOT_THE_SOLUTION = {"missing-input-secret", "invalid-input-secret", "bad-request", "internal-error"}


def require_person(solution: str | None, address: str | None) -> None:
    """Returns when no CAPTCHA is set, or the provider says that this solution is good; it is used up by that.

    Raises CaptchaRequired without one, CaptchaFailed, CaptchaUnavailable when the provider does not say.
    """
    if not SETTINGS.captcha_verify_url:
        return
    if not solution:
        raise CaptchaRequired
    fields = {"secret": _secret(), "response": solution} | ({"remoteip": address} if address else {})
    said = _ask(fields)
    if said.get("success") is True:
        return
    codes = said.get("error-codes")
    if said.get("success") is not False or (
        isinstance(codes, list) and not NOT_THE_SOLUTION.isdisjoint(map(str, codes))
    ):
        log.trouble("captcha_not_understood")
        raise CaptchaUnavailable(retry_after_seconds=RETRY_AFTER_SECONDS)
    raise CaptchaFailed


def forget() -> None:
    """Forgets the secret that the process has read."""
    _secrets.clear()


_secrets: dict[str, tuple[float, str]] = {}


def _ask(fields: dict[str, str]) -> dict[str, Any]:
    """The provider's answer. Raises CaptchaUnavailable for everything but a JSON object with status 200, in time."""
    deadline = time.monotonic() + ANSWER_SECONDS_MAX
    try:
        answer = _pool().request(
            "POST",
            _address().url,
            fields=fields,
            encode_multipart=False,
            redirect=False,
            preload_content=False,
        )
        try:
            body = _read(answer, deadline) if answer.status == 200 else None
        finally:
            answer.close()
        said = json.loads(body) if body is not None else None
    except (urllib3.exceptions.HTTPError, OSError, ValueError, RecursionError) as error:
        log.trouble("captcha_unavailable", error)
        raise CaptchaUnavailable(retry_after_seconds=RETRY_AFTER_SECONDS) from None  # its words name what was sent
    if not isinstance(said, dict):
        log.trouble("captcha_unavailable", status=answer.status)
        raise CaptchaUnavailable(retry_after_seconds=RETRY_AFTER_SECONDS)
    return said


def _read(answer: urllib3.BaseHTTPResponse, deadline: float) -> bytes | None:
    """The body; None when it is too long or takes too long."""
    body = b""
    while chunk := answer.read1(ANSWER_BYTES_MAX):
        body += chunk
        if len(body) > ANSWER_BYTES_MAX or time.monotonic() > deadline:
            return None
    return body


def _address() -> Url:
    """Where solutions are verified. RuntimeError for what is not https; plain http never leaves this machine."""
    address = parse_url(SETTINGS.captcha_verify_url)
    is_safe = address.scheme == "https" or (address.scheme == "http" and address.host in LOOPBACK)
    if not is_safe or not address.host or address.auth:
        raise RuntimeError("CAPTCHA_VERIFY_URL is not an address with https")
    return address


def _secret() -> str:
    """The site's secret, from SSM. RuntimeError when there is none: without it nobody is let in."""
    path = SETTINGS.captcha_secret_path
    read_at, secret = _secrets.get(path, (float("-inf"), ""))
    if not secret or time.monotonic() - read_at > SECRET_SECONDS:
        found = client("ssm").get_parameters(Names=[path], WithDecryption=True)["Parameters"]
        if not found:
            raise RuntimeError("no secret at CAPTCHA_SECRET_PATH")
        secret = str(found[0]["Value"])
        _secrets[path] = (time.monotonic(), secret)
    return secret


@cache
def _pool() -> urllib3.PoolManager:
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS_MAX, read=READ_SECONDS_MAX)
    return urllib3.PoolManager(maxsize=2, retries=False, timeout=timeout)
