"""One call to an address that somebody else chose: no way inside, and an end whatever the other side does."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook

from recado.carriers import portal_calls
from recado.carriers.portal_calls import ANSWER_BYTES_MAX, Call, Heard, post
from recado.rules import signatures
from tests.carriers.stub_server import Asked, Said, StubServer, hang_up, say, stub_server

LIMIT_SECONDS = 0.5
SECRETS = tuple(signatures.portal_webhook_secret(b"m" * 32, "liceo-1", number) for number in (2, 1))
BODY = '{"type":"message.sent","data":{"message":"m1"}}'


@pytest.fixture
def server() -> Iterator[StubServer]:
    with stub_server() as told:
        yield told


def call(url: str, *, loopback: bool = True) -> Call:
    return Call(url, "w1", BODY, SECRETS, dt.datetime.now(dt.UTC), loopback)


def heard(url: str, *, loopback: bool = True) -> Heard:
    return post(call(url, loopback=loopback))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal_calls, "CALL_SECONDS_MAX", LIMIT_SECONDS)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hangs lets go when the test is over."""
    found = threading.Event()
    yield found
    found.set()


def test_a_call_is_signed_with_every_secret_and_says_nothing_else(server: StubServer) -> None:
    server.behave = lambda request, _: say(request, Said(200, b"thanks"))

    found = heard(f"{server.url}/recado?x=1")

    assert (found.status, found.reason, found.size, found.is_success) == (200, "", 6, True)
    (asked,) = server.seen
    assert (asked.path, asked.body) == ("/recado?x=1", BODY.encode())
    for secret in SECRETS:
        assert Webhook(secret).verify(asked.body, asked.headers)
    assert {name.lower() for name in asked.headers} == {
        "host",
        "accept-encoding",
        "content-length",
        "content-type",
        "user-agent",
        "connection",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    }


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: StubServer, status: int) -> None:
    def behave(request: BaseHTTPRequestHandler, _: Asked) -> None:
        request.send_response(status)
        request.send_header("Location", f"{server.url}/latest/meta-data/")
        request.send_header("Content-Length", "0")
        request.end_headers()

    server.behave = behave

    found = heard(server.url)

    assert (found.status, found.reason, found.is_success) == (status, "redirect", False)
    assert len(server.seen) == 1


def test_proxies_of_the_environment_are_not_asked(server: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.behave = lambda request, _: say(request, Said(204))

    assert heard(server.url).status == 204


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://portal.escuela.cl/", "address_not_https"),
        ("https://169.254.169.254/", "address_ip_address"),
        ("https://localhost/", "address_not_public"),
        ("https://a@portal.escuela.cl/", "address_userinfo"),
    ],
)
def test_an_address_is_read_again_at_each_call(url: str, reason: str) -> None:
    assert heard(url, loopback=False) == Heard(None, reason)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["10.0.0.8"],
        ["::1"],
        ["fd00:ec2::254"],
        ["::ffff:169.254.169.254"],
        ["93.184.216.34", "10.0.0.8"],
        ["10.0.0.8", "93.184.216.34"],
    ],
)
def test_a_public_name_with_any_address_inside_is_not_connected_to(
    addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portal_calls, "resolve", lambda *_: addresses)
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("connected"))

    assert heard("https://portal.escuela.cl/", loopback=False).reason == "address_refused"


def test_the_address_that_was_looked_at_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers otherwise the second time (DNS rebinding) is not asked a second time."""
    answers = [["93.184.216.34"], ["127.0.0.1"], ["127.0.0.1"]]
    looked: list[str] = []
    connected: list[tuple[str, int]] = []

    def resolve(host: str, _: int) -> list[str]:
        looked.append(host)
        return answers.pop(0)

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        connected.append(address)
        raise OSError

    monkeypatch.setattr(portal_calls, "resolve", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)

    assert heard("https://portal.escuela.cl/", loopback=False).reason == "not_connected"
    assert looked == ["portal.escuela.cl"]
    assert connected == [("93.184.216.34", 443)]


def test_another_address_is_tried_while_nobody_has_heard_a_byte(
    server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portal_calls, "resolve", lambda *_: ["127.0.0.2", "127.0.0.1"])
    server.behave = lambda request, _: say(request, Said(204))
    port = int(server.url.rpartition(":")[2])

    assert heard(f"http://localhost:{port}/").status == 204


def test_a_resolver_that_does_not_answer_is_left(monkeypatch: pytest.MonkeyPatch, gate: threading.Event) -> None:
    monkeypatch.setattr(portal_calls, "LOOKUP_SECONDS_MAX", 0.1)

    def resolve(*_: object) -> list[str]:
        gate.wait(30)
        return ["93.184.216.34"]

    monkeypatch.setattr(portal_calls, "resolve", resolve)

    assert heard("https://portal.escuela.cl/", loopback=False).reason == "lookup_timeout"


def test_a_name_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object) -> list[str]:
        raise socket.gaierror

    monkeypatch.setattr(portal_calls, "resolve", resolve)

    assert heard("https://portal.escuela.cl/", loopback=False).reason == "not_resolved"


def test_nobody_listens() -> None:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]

    assert heard(f"http://127.0.0.1:{port}/").reason == "not_connected"


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("head", "piece", "status"),
    [
        (b"", b"", None),
        (b"HTTP/1.1 200 OK\r\n", b"X-Drip: 1\r\n", None),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x", 200),
        (b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 500),
    ],
    ids=["nothing", "headers", "one word after another", "a body of some length", "chunks"],
)
def test_what_drips_is_cut_off_when_its_time_is_over(
    server: StubServer, gate: threading.Event, head: bytes, piece: bytes, status: int | None
) -> None:
    def behave(request: BaseHTTPRequestHandler, _: Asked) -> None:
        request.wfile.write(head)
        while not gate.wait(0.05):
            try:
                request.wfile.write(piece)
            except OSError:  # they have gone
                return
        request.close_connection = True

    server.behave = behave
    began = time.monotonic()

    found = heard(server.url)

    assert found.status == status
    assert found.reason == {None: "timeout", 200: "", 500: "status"}[status]
    assert time.monotonic() - began < LIMIT_SECONDS * 10


def test_of_an_answer_without_end_no_more_is_read_than_may_be(server: StubServer) -> None:
    def behave(request: BaseHTTPRequestHandler, _: Asked) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        try:
            while True:
                request.wfile.write(b"x" * 65536)
        except OSError:  # they have gone
            request.close_connection = True

    server.behave = behave

    found = heard(server.url)

    assert (found.status, found.size) == (200, ANSWER_BYTES_MAX)


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok", 200, ""),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nnever", 200, ""),
        (b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        (b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", 500, "status"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 101, "status"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nok", None, "not_http"),
    ],
    ids=["broken chunks", "no gzip", "early hints", "processing", "switching", "two lengths"],
)
def test_the_status_counts_whatever_is_said_before_and_after_it(
    server: StubServer, answer: bytes, status: int | None, reason: str
) -> None:
    def behave(request: BaseHTTPRequestHandler, _: Asked) -> None:
        request.wfile.write(answer)
        request.close_connection = True

    server.behave = behave

    found = heard(server.url)

    assert (found.status, found.reason) == (status, reason)


def test_an_answer_may_ask_for_a_pause(server: StubServer) -> None:
    def behave(request: BaseHTTPRequestHandler, _: Asked) -> None:
        request.send_response(429)
        request.send_header("Retry-After", "90")
        request.send_header("Content-Length", "0")
        request.end_headers()

    server.behave = behave

    assert heard(server.url).retry_after == dt.timedelta(seconds=90)


def test_what_is_no_http_is_a_failure(server: StubServer) -> None:
    def behave(request: BaseHTTPRequestHandler, _: Asked) -> None:
        request.wfile.write(b"SSH-2.0-x\r\n")
        hang_up(request)

    server.behave = behave

    assert heard(server.url).reason == "not_http"


def test_a_portal_that_hangs_up_is_a_failure(server: StubServer) -> None:
    server.behave = lambda request, _: hang_up(request)

    assert heard(server.url).reason == "hung_up"


# --- TLS ----------------------------------------------------------------------------------------------------


def make_certificate(folder: Path, *, name: str, until: dt.timedelta = dt.timedelta(days=1)) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if name[0].isdigit():
        names = [x509.IPAddress(ipaddress.ip_address(name))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=2))
        .not_valid_after(now + until)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / "c.pem", folder / "k.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, secret


@contextmanager
def tls_server(certificate: Path, key: Path) -> Iterator[tuple[str, list[str | None]]]:
    """Answers 204 to whoever gets through TLS; the names that were asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve() -> None:
            while True:
                try:
                    one, _ = listening.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(one, server_side=True) as wrapped:
                        asked = b""
                        while BODY.encode() not in asked:
                            asked += wrapped.recv(65536)
                        wrapped.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                except OSError:
                    continue

        threading.Thread(target=serve, daemon=True).start()
        yield f"https://localhost:{listening.getsockname()[1]}/", names
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def trusting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system trusts whatever is in c.pem."""
    monkeypatch.setattr(portal_calls, "resolve", lambda *_: ["127.0.0.1"])
    monkeypatch.setattr(portal_calls, "_tls", lambda: ssl.create_default_context(cafile=str(tmp_path / "c.pem")))


@pytest.mark.usefixtures("trusting")
def test_the_certificate_is_asked_for_the_name_though_the_connection_goes_to_an_address(tmp_path: Path) -> None:
    with tls_server(*make_certificate(tmp_path, name="localhost")) as (url, names):
        assert heard(url).status == 204

    assert names == ["localhost"]


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(
    ("name", "until"), [("other.escuela.cl", 1), ("127.0.0.1", 1), ("localhost", -1)], ids=["name", "address", "old"]
)
def test_a_certificate_that_does_not_hold_ends_the_call(tmp_path: Path, name: str, until: int) -> None:
    certificate = make_certificate(tmp_path, name=name, until=dt.timedelta(days=until))

    with tls_server(*certificate) as (url, _):
        found = heard(url)

    assert (found.status, found.reason) == (None, "certificate")


def test_a_certificate_that_nobody_trusts_ends_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal_calls, "resolve", lambda *_: ["127.0.0.1"])

    with tls_server(*make_certificate(tmp_path, name="localhost")) as (url, _):
        assert heard(url).reason == "certificate"


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("piece", [b"", b"\x16"], ids=["says nothing", "drips"])
def test_who_hangs_before_tls_is_left(gate: threading.Event, piece: bytes) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve() -> None:
            one, _ = listening.accept()
            # A record of TLS that is said to be long, and comes byte by byte.
            one.sendall(b"\x16\x03\x03\x40\x00" if piece else b"")
            while not gate.wait(0.05):
                try:
                    one.sendall(piece)
                except OSError:
                    return
            one.close()

        threading.Thread(target=serve, daemon=True).start()
        began = time.monotonic()

        found = heard(f"https://127.0.0.1:{listening.getsockname()[1]}/")

    assert (found.status, found.reason) == (None, "timeout")
    assert time.monotonic() - began < LIMIT_SECONDS * 10


def test_the_address_of_plain_http_on_the_tls_port_is_no_way_around(server: StubServer) -> None:
    server.behave = lambda request, _: say(request, Said(200))

    assert heard(server.url.replace("http://", "https://")).reason in ("tls", "hung_up")
    assert server.seen == []


def test_the_example_of_the_guide_believes_a_call_and_no_other(server: StubServer) -> None:
    guide = (Path(__file__).parent.parent.parent / "docs/webhooks.md").read_text()
    example: dict[str, Any] = {}
    exec(guide.partition("```python\n")[2].partition("```")[0], example)  # noqa: S102  # our own page
    server.behave = lambda request, asked: say(
        request, Said(example["take"](asked.body, asked.headers, SECRETS[0], seen))
    )
    seen: set[str] = set()

    assert heard(server.url).status == 204
    assert seen == {"w1"}
    other = signatures.portal_webhook_secret(b"n" * 32, "liceo-1", 1)
    assert post(Call(server.url, "w2", BODY, (other,), dt.datetime.now(dt.UTC), loopback=True)).status == 401
    old = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=6)
    assert post(Call(server.url, "w3", BODY, SECRETS, old, loopback=True)).status == 401
