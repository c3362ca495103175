"""Which address a request came from: what API Gateway saw, or what our own CDN says of its viewer.

Must never believe a header of anybody's: only of whoever knows the secret that the CDN adds to its requests.
"""

import hmac
from collections.abc import Mapping
from ipaddress import ip_address

EDGE_HEADER = "x-recado-edge"
VIEWER_HEADER = "x-recado-viewer"


def caller_address(seen: str, headers: Mapping[str, str], edge_secret: str) -> str:
    """An IP address, or `seen` as it is. `headers` by their names in lower case; an empty secret proves nothing."""
    proof = headers.get(EDGE_HEADER, "")
    if not edge_secret or not hmac.compare_digest(proof.encode(), edge_secret.encode()):
        return seen
    try:
        return str(ip_address(headers.get(VIEWER_HEADER, "")))
    except ValueError:
        return seen
