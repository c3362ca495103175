"""A child that must not outlive who started it: its standard input is a pipe, which ends when the parent does."""

import os
import signal
import sys
import threading


def stop_with_parent() -> None:
    """From now on, the end of standard input stops this process as SIGTERM would: in order, with its state written."""
    threading.Thread(target=_wait_for_the_end, name="parent", daemon=True).start()


def _wait_for_the_end() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
