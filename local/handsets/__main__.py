"""`python -m local.handsets`: the simulated carrier as a process of its own, until SIGTERM or Ctrl-C."""

import os
import signal
import sys
import threading
from pathlib import Path

from local.api import Key
from local.handsets.portal import Portal
from local.handsets.server import Setup, handsets
from local.parent import stop_with_parent

DEFAULT_PORT = 4580


def main() -> int:
    missing = [
        name
        for name in ("RECADO_API_URL", "RECADO_TO_CARRIER_SECRET", "RECADO_FROM_CARRIER_SECRET")
        if not os.environ.get(name)
    ]
    if missing:
        print(f"Not in the environment: {', '.join(missing)}. `make run` sets them.", file=sys.stderr)
        return 2
    if "--with-parent" in sys.argv[1:]:
        stop_with_parent()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        with handsets(_setup()) as running:
            print(f"Handsets: {running.url}", flush=True)
            stop.wait()
    except OSError as error:
        print(f"The handsets cannot start: {error.strerror or error}.", file=sys.stderr)
        return 1
    return 0


def _setup() -> Setup:
    environment = os.environ
    state_dir = environment.get("RECADO_HANDSETS_STATE")
    names_file = environment.get("RECADO_HANDSETS_NAMES")
    portal_key = environment.get("RECADO_PORTAL_KEY")  # school:key:secret
    page_origin = environment.get("RECADO_PAGE_ORIGIN")
    return Setup(
        api_url=environment["RECADO_API_URL"],
        to_carrier_secret=environment["RECADO_TO_CARRIER_SECRET"],
        from_carrier_secret=environment["RECADO_FROM_CARRIER_SECRET"],
        port=int(environment.get("RECADO_HANDSETS_PORT", DEFAULT_PORT)),
        state_file=Path(state_dir) / "handsets.json" if state_dir else None,
        names_file=Path(names_file) if names_file else None,
        aws_endpoint_url=environment.get("RECADO_AWS_ENDPOINT_URL", ""),
        stack=environment.get("RECADO_STACK", "recado"),
        portal=Portal(Key(*portal_key.split(":", 2)), page_origin) if portal_key and page_origin else None,
    )


if __name__ == "__main__":
    sys.exit(main())
