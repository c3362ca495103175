"""Runs the simulated carrier: a server on loopback, the receipts' thread, the file that survives a restart."""

import contextlib
import json
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from local.handsets.app import create_app
from local.handsets.carrier import Carrier
from local.handsets.phones import Phones
from local.handsets.portal import Portal
from local.handsets.sns import Sns
from local.handsets.watchers import Watchers
from local.handsets.webhooks import Clock, Outbox, Recado

HOST = "127.0.0.1"
SAVE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Setup:
    """What it needs to know. The secrets are the two directions of the webhook, `whsec_…`."""

    api_url: str  # recado's, e.g. http://127.0.0.1:4566/v1
    to_carrier_secret: str  # recado signs its waves with it
    from_carrier_secret: str  # we sign receipts and replies with it
    port: int = 0  # 0 is any free one
    state_file: Path | None = None
    names_file: Path | None = None  # JSON: number -> what to show beside it
    aws_endpoint_url: str = ""  # the emulator's, whose SNS may publish texts, too; empty: nobody's
    stack: str = "recado"  # whose topic takes what is answered to those
    portal: Portal | None = None  # whoever's tokens pages may ask for


@dataclass(frozen=True, slots=True)
class Running:
    url: str
    carrier: Carrier


class _QuietHandler(WSGIRequestHandler):
    """Keeps no access log: paths hold phone numbers."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing."""


@contextlib.contextmanager
def handsets(setup: Setup, *, clock: Clock | None = None, dice: random.Random | None = None) -> Iterator[Running]:
    """The carrier for as long as the block lasts; what it holds is on disk when the block ends."""
    clock = clock or (lambda: datetime.now(UTC))
    phones = Phones(_names(setup.names_file))
    if setup.state_file is not None:
        phones.load(setup.state_file)
    recado = Recado(setup.api_url, setup.from_carrier_secret, clock)
    carrier = Carrier(
        phones=phones,
        recado=recado,
        outbox=Outbox(recado, clock),
        watchers=Watchers(),
        secret=setup.to_carrier_secret,
        clock=clock,
        dice=dice or random.Random(),  # noqa: S311  # dice, not secrets
        sns=Sns(setup.aws_endpoint_url, setup.stack, phones, clock) if setup.aws_endpoint_url else None,
    )
    server = make_server(
        HOST, setup.port, create_app(carrier, setup.portal), threaded=True, request_handler=_QuietHandler
    )
    stopping = threading.Event()
    saver = threading.Thread(target=_save_now_and_then, args=(phones, setup.state_file, stopping), name="saver")
    with _serving(server), _running(carrier):
        saver.start()
        try:
            yield Running(f"http://{HOST}:{server.server_port}", carrier)
        finally:
            stopping.set()
            saver.join()
    _save(phones, setup.state_file)


@contextlib.contextmanager
def _serving(server: BaseWSGIServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="handsets", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def _running(carrier: Carrier) -> Iterator[None]:
    carrier.outbox.start()
    if carrier.sns is not None:
        carrier.sns.start(carrier.show_published)
    try:
        yield
    finally:
        carrier.watchers.close()
        if carrier.sns is not None:
            carrier.sns.stop()
        carrier.outbox.stop()


def _save_now_and_then(phones: Phones, file: Path | None, stopping: threading.Event) -> None:
    while not stopping.wait(SAVE_SECONDS):
        _save(phones, file)


def _save(phones: Phones, file: Path | None) -> None:
    if file is not None and phones.is_changed():
        phones.save(file)


def _names(file: Path | None) -> dict[str, str]:
    if file is None or not file.exists():
        return {}
    names: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return names
