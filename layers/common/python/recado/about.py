"""What anybody may know of this service: its version, its OpenAPI document and a page that shows it.

It must never look at a row: it answers while everything else is down.
"""

import base64
import hashlib
import json
from functools import cache
from pathlib import Path

from recado import docs_page

VERSION = "0.1.0"
DOCUMENT = Path(__file__).parent / "openapi.json"  # written by tools/build_openapi.py


@cache
def read_openapi() -> str:
    """The OpenAPI document of all functions, as JSON."""
    return DOCUMENT.read_text(encoding="utf-8")


@cache
def read_docs() -> str:
    """The document as a page: one file, no script, nothing fetched from anywhere."""
    return docs_page.render(json.loads(read_openapi()))


def docs_policy() -> str:
    """The page's Content-Security-Policy: its own style by its hash, and nothing else at all."""
    digest = base64.b64encode(hashlib.sha256(docs_page.STYLE.encode()).digest()).decode()
    nothing = "; ".join(f"{name} 'none'" for name in ("default-src", "base-uri", "form-action", "frame-ancestors"))
    return f"{nothing}; img-src data:; style-src 'sha256-{digest}'"  # the empty icon, or a browser asks for one
