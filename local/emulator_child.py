"""What runs in the emulator's process: MiniStack, until SIGTERM or until the process that started it is gone.

Run as a file, with `python -P`: nothing of this repo may be importable in the functions that it starts.
"""

import importlib.util
import runpy
import sys
from pathlib import Path


def stop_with_parent() -> None:
    spec = importlib.util.spec_from_file_location("parent", Path(__file__).with_name("parent.py"))
    if spec is None or spec.loader is None:
        sys.exit("parent.py is not beside this file")
    parent = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(parent)
    parent.stop_with_parent()


if __name__ == "__main__":
    stop_with_parent()
    runpy.run_module("ministack", run_name="__main__")
