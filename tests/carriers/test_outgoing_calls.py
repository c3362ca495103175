"""What HTTP carriers share: one POST that has an end, whatever the other side does."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from recado.carriers import outgoing_calls
from recado.carriers.outgoing_calls import ANSWER_BYTES_MAX, Heard, post, taken
from recado.carriers.speech import Accepted, Refused, RefusedBecause, Unknown
from tests.carriers.stub_server import Asked, Said, StubServer, say, stub_server

LIMIT_SECONDS = 0.3
DRIPS = 100  # at 50 ms each: far longer than the limit, and no pause is near it


@pytest.fixture
def server() -> Iterator[StubServer]:
    with stub_server() as told:
        yield told


def drip(request: BaseHTTPRequestHandler, piece: bytes, gate: threading.Event) -> None:
    for _ in range(DRIPS):
        if gate.wait(0.05):
            return
        try:
            request.wfile.write(piece)
        except OSError:  # they have gone
            return


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-Drip: 1\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["headers", "a body of some length", "a body until the end", "chunks"],
)
def test_an_answer_that_drips_is_cut_off_when_its_time_is_over(
    server: StubServer, monkeypatch: pytest.MonkeyPatch, head: bytes, piece: bytes
) -> None:
    monkeypatch.setattr(outgoing_calls, "READ_SECONDS_MAX", LIMIT_SECONDS)
    gate = threading.Event()

    def behave(request: BaseHTTPRequestHandler, _: Asked) -> None:
        request.wfile.write(head)
        drip(request, piece, gate)
        request.close_connection = True

    server.behave = behave
    before = threading.active_count()
    began = time.monotonic()

    answer = post(server.url, b"{}", {})
    took = time.monotonic() - began
    gate.set()

    assert isinstance(answer, Unknown) or (isinstance(answer, Heard) and answer.as_json() is None)
    assert took < DRIPS * 0.05 / 2
    assert threading.active_count() <= before + 1, "only the server's own thread is left"


def test_an_answer_may_be_as_large_as_said_and_not_one_byte_more(server: StubServer) -> None:
    for size in (ANSWER_BYTES_MAX, ANSWER_BYTES_MAX + 1):
        said = Said(200, b"x" * size)
        server.behave = lambda request, _, said=said: say(request, said)  # type: ignore[misc]

        heard = post(server.url, b"{}", {})

        assert isinstance(heard, Heard)
        is_whole = size == ANSWER_BYTES_MAX
        assert (len(heard.body), heard.trouble) == ((size, "") if is_whole else (0, "too_large"))


def test_of_an_answer_without_end_no_more_is_read_than_may_be(server: StubServer) -> None:
    pieces, piece = 64, b"x" * ANSWER_BYTES_MAX
    written: list[int] = []
    gone = threading.Event()

    def behave(request: BaseHTTPRequestHandler, _: Asked) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (pieces * len(piece)))
        try:
            while len(written) < pieces:
                request.wfile.write(piece)
                written.append(len(piece))
        except OSError:  # they have gone
            gone.set()
        request.close_connection = True

    server.behave = behave

    heard = post(server.url, b"{}", {})

    assert heard == Heard(200, b"", "too_large")
    assert gone.wait(10), "it read all of it"
    assert len(written) < pieces / 2  # what the system itself keeps between the two


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: StubServer, status: int) -> None:
    def behave(request: BaseHTTPRequestHandler, asked: Asked) -> None:
        request.send_response(status if asked.path == "/" else 200)
        request.send_header("Location", "/elsewhere")
        request.send_header("Content-Length", "0")
        request.end_headers()

    server.behave = behave

    heard = post(f"{server.url}/", b"{}", {})

    assert heard == Heard(status, b"")
    assert [asked.path for asked in server.seen] == ["/"]


def test_words_before_the_answer_are_none_and_the_next_call_never_hears_this_ones_answer(server: StubServer) -> None:
    gate = threading.Event()

    def behave(request: BaseHTTPRequestHandler, _: Asked) -> None:
        if len(server.seen) > 1:
            say(request, Said(200, b'"second"'))
            return
        request.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        gate.wait(5)
        try:
            request.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"first"')
        except OSError:  # they have gone
            request.close_connection = True

    server.behave = behave

    first = post(server.url, b"{}", {})
    later = threading.Timer(0.1, gate.set)  # while the second waits for its answer
    later.start()
    second = post(server.url, b"{}", {})
    later.join()

    assert first == Heard(103, b"")
    assert second == Heard(200, b'"second"')


class tls_that_fails:  # noqa: N801  # used as a context
    """An address that takes connections and never gets through TLS's first words: `does` is done to each."""

    def __init__(self, does: Callable[[socket.socket], object]) -> None:
        self._does = does

    def __enter__(self) -> str:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return f"https://127.0.0.1:{self._server.getsockname()[1]}/"

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        connection, _ = self._server.accept()
        with connection:
            try:
                self._does(connection)
                connection.recv(1)  # they go first
            except OSError:
                return  # they have gone


@pytest.mark.parametrize(
    "does",
    [
        lambda connection: connection.recv(4096) and connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        lambda connection: connection.recv(4096) and connection.shutdown(socket.SHUT_RDWR),
        lambda connection: connection.recv(4096),
    ],
    ids=["speaks no TLS", "hangs up", "says nothing"],
)
def test_who_fails_in_tlss_first_words_was_told_no_text(
    monkeypatch: pytest.MonkeyPatch, does: Callable[[socket.socket], object]
) -> None:
    monkeypatch.setattr(outgoing_calls, "CONNECT_SECONDS_MAX", LIMIT_SECONDS)

    with tls_that_fails(does) as url:
        assert post(url, b"{}", {}) == Refused(RefusedBecause.FOR_NOW, "not_connected")


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('{"a": "ñ"}'.encode("latin-1"), None),
        (b'{"a": 1, "a": 2}', None),
        (b'[{"b": {"a": 1, "a": 1}}]', None),
        (b"[" * 100_000, None),
        (b"1" * 5000, None),
    ],
    ids=["byte order mark", "another charset", "a name twice", "a name twice within", "nested without end", "digits"],
)
def test_what_is_no_json_or_means_two_things_is_none(body: bytes, document: object) -> None:
    assert Heard(200, body).as_json() == document


@pytest.mark.parametrize("carrier_id", [None, 7, "", [], "x" * 129, "ñ", "\ud800"])
def test_what_cannot_be_a_rows_key_is_no_id(carrier_id: object) -> None:
    assert taken("x" * 128, "no_id") == Accepted("x" * 128)
    assert taken(carrier_id, "no_id") == Unknown("no_id")


@pytest.mark.parametrize("scheme", ["HTTP", "Http"])
def test_an_addresss_scheme_is_one_however_it_is_written(server: StubServer, scheme: str) -> None:
    server.behave = lambda request, _: say(request, Said(200, b"{}"))

    assert post(server.url.replace("http", scheme), b"{}", {}) == Heard(200, b"{}")


@pytest.mark.parametrize("url", ["", "carrier", "ftp://127.0.0.1/", "http://", "http://[::1/"])
def test_what_is_no_address_is_ours_to_mend(url: str) -> None:
    answer = post(url, b"{}", {})

    assert isinstance(answer, Refused)
    assert answer.because is RefusedBecause.ROUTE


def test_a_name_that_is_not_found_was_not_reached() -> None:
    assert post("http://carrier.invalid/", b"{}", {}) == Refused(RefusedBecause.FOR_NOW, "not_connected")


def test_after_a_cut_the_next_call_has_a_connection_of_its_own(
    server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing_calls, "READ_SECONDS_MAX", LIMIT_SECONDS)
    gate = threading.Event()

    def behave(request: BaseHTTPRequestHandler, _: Asked) -> None:
        if len(server.seen) == 1:
            gate.wait(5)
        say(request, Said(200, b"{}"))

    server.behave = behave

    first = post(server.url, b"{}", {})
    second = post(server.url, b"{}", {})
    gate.set()

    assert isinstance(first, Unknown)
    assert second == Heard(200, b"{}")
