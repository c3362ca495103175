"""`python -m tools.publish_console --stack recado`: brings the pages of console/ into the stack's bucket.

The files go as they are, and with them what is made here: `settings.json`, a page for each view (tools/view_pages.py),
and in each page its preloads and its content security policy. `make run` publishes to the emulator the same way.
"""

import argparse
import json
import mimetypes
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tools import view_pages

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "console"
PLACEHOLDER = "default-src 'none'"  # in each page until it is published: nothing works without a policy
SETTINGS_FILE = "settings.json"
KEPT = "no-cache"  # asked again each time, by ETag: a page and its modules are always of one version
TYPES = {".js": "text/javascript", ".svg": "image/svg+xml", ".html": "text/html; charset=utf-8", ".css": "text/css"}


@dataclass(frozen=True)
class ConsoleSettings:
    """`token_url`: where the portal answers {"token": …} to whoever is signed in; `parents`: who may embed a page;
    `live_url`: where the page of sessions opens its sockets; `uploads_url`: the bucket that rosters are uploaded to.
    """

    token_url: str = ""
    parents: tuple[str, ...] = ()
    demo: bool = False
    live_url: str = ""
    live_path: str = ""  # where sockets are under the pages' own name; empty: where the API says
    uploads_url: str = ""  # empty: the pages' own origin, as on the emulator


@dataclass(frozen=True)
class File:
    key: str
    content: bytes
    content_type: str


def main() -> int:
    parser = argparse.ArgumentParser(description="Publishes the pages of console/ to a stack's bucket.")
    parser.add_argument("--stack", default="recado")
    asked = parser.parse_args()
    try:
        outputs = _outputs(boto3.client("cloudformation"), asked.stack)
        settings = deployed_settings(outputs)
        count = publish(boto3.client("s3"), outputs["ConsoleBucket"], settings)
    except (BotoCoreError, ClientError, KeyError) as error:
        print(f"The pages were not published: {error}", file=sys.stderr)
        return 1
    print(f"{count} files")
    return 0


def deployed_settings(outputs: Mapping[str, str]) -> ConsoleSettings:
    """What the pages of a stack on AWS are told, from its outputs."""
    parents = tuple(outputs.get("PortalOrigins", "").split())
    return ConsoleSettings(
        outputs.get("PortalTokenUrl", ""), parents, live_path="/live", uploads_url=outputs.get("UploadsUrl", "")
    )


def publish(s3: Any, bucket: str, settings: ConsoleSettings) -> int:
    """Puts every file, pages last, so that no page asks for a module that is not there yet. Returns how many."""
    files = sorted(read_files(settings), key=lambda file: (file.key.endswith(".html"), file.key))
    for file in files:
        s3.put_object(Bucket=bucket, Key=file.key, Body=file.content, ContentType=file.content_type, CacheControl=KEPT)
    return len(files)


def read_files(settings: ConsoleSettings) -> Iterator[File]:
    """The pages' files as they are published."""
    for path in sorted(PAGES.rglob("*")):
        if not path.is_file() or path.suffix == ".html":
            continue
        content_type = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        yield File(path.relative_to(PAGES).as_posix(), path.read_bytes(), content_type)
    for name, page in view_pages.pages():
        yield File(name, page.replace(PLACEHOLDER, content_security_policy(settings)).encode(), TYPES[".html"])
    yield File(SETTINGS_FILE, json.dumps(asdict(settings)).encode(), "application/json")


def content_security_policy(settings: ConsoleSettings) -> str:
    """What a page may load and ask: its own origin; if there are any the portal's token address, sockets, uploads."""
    connect = ["'self'"]
    for asked in filter(None, (settings.token_url, settings.live_url, settings.uploads_url)):
        address = urlsplit(asked)
        connect.append(f"{address.scheme}://{address.netloc}")
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": " ".join(connect),
        "form-action": "'none'",
        "base-uri": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _outputs(cloudformation: Any, stack: str) -> dict[str, str]:
    found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


if __name__ == "__main__":
    sys.exit(main())
