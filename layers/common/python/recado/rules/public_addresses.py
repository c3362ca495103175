"""Which addresses of others recado calls: names on the public internet, by https (a request must not reach our own).

It must never judge by what a name looks like alone: whoever connects asks `is_public` of the address it connects to.
Sources: IANA's registries of special-purpose addresses for IPv4 (RFC 6890) and IPv6; RFC 6052 for NAT64.
"""

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

LENGTH_MAX = 2000
PRINTABLE = re.compile(r"[\x21-\x7e]+")
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")  # of a last label: the whole is read as an IPv4 address by somebody
HTTPS_PORT = 443
PORT_MIN = 1024  # besides 443: below are the ports of mail, shells and the like
OWN_NAMES = ("localhost", "local", "internal", "intranet", "lan", "home", "arpa", "onion", "invalid", "test", "example")
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})

NOT_PUBLIC_4 = tuple(
    IPv4Network(one)
    for one in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' own (CGNAT)
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local: metadata at 169.254.169.254, containers' credentials at 169.254.170.2
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
UNICAST_6 = IPv6Network("2000::/3")  # all that is given out; fd00:ec2::254, fe80::, ::1 and ff02:: are not of it
NOT_PUBLIC_6 = tuple(
    IPv6Network(one)
    for one in (
        "2001::/23",  # protocol assignments, Teredo among them: it holds an IPv4 address of anybody's choice
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: the same
        "3fff::/20",  # documentation
    )
)
NAT64 = IPv6Network("64:ff9b::/96")  # its last four bytes are where the packet goes; 64:ff9b:1::/48 is a network's own


@dataclass(frozen=True, slots=True)
class WebAddress:
    """`target`: path and query, as they are asked for."""

    scheme: str
    host: str
    port: int
    target: str


class BadAddress(ValueError):
    """`code` and words for whoever wrote it."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def is_public(address: str) -> bool:
    """Whether this address is one of the public internet, whatever form it hides in. False for what is no address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        if found.scope_id is not None:
            return False
        if found in NAT64:
            return is_public(str(IPv4Address(int(found) & 0xFFFFFFFF)))
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        return found in UNICAST_6 and not any(found in one for one in NOT_PUBLIC_6)
    return not any(found in one for one in NOT_PUBLIC_4)


def is_loopback(address: str) -> bool:
    """Whether this is the machine itself, written plainly."""
    return address == "::1" or (is_ipv4(address) and IPv4Address(address) in IPv4Network("127.0.0.0/8"))


def is_ipv4(address: str) -> bool:
    try:
        IPv4Address(address)
    except ValueError:
        return False
    return True


def read_web_address(text: str, *, loopback: bool = False) -> WebAddress:
    """The parts of a portal's address. Raises BadAddress. `loopback`: http to this machine is taken too (emulator)."""
    if not 0 < len(text) <= LENGTH_MAX:
        raise BadAddress("length", f"1 to {LENGTH_MAX} characters")
    if not PRINTABLE.fullmatch(text) or "\\" in text:
        raise BadAddress("malformed", "ASCII without spaces; a name with other letters in its form with xn--")
    if "#" in text:
        raise BadAddress("fragment", "No fragment: it never reaches a server")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise BadAddress("malformed", "Not an address of the web") from error
    host = parts.hostname or ""
    if "@" in parts.netloc:
        raise BadAddress("userinfo", "No user and password: the signature says who calls")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if loopback and host in LOOPBACK_HOSTS and parts.scheme in ("http", "https"):
        return WebAddress(parts.scheme, host, port or (HTTPS_PORT if parts.scheme == "https" else 80), target)
    if parts.scheme != "https":
        raise BadAddress("not_https", "It must begin with https://")
    _check_host(host)
    if port is not None and port != HTTPS_PORT and port < PORT_MIN:
        raise BadAddress("port", f"{HTTPS_PORT}, or {PORT_MIN} to 65535")
    if parts.netloc.endswith(":") or "[" in parts.netloc:
        raise BadAddress("malformed", "A colon and no port, or brackets around a name")
    return WebAddress("https", host, port or HTTPS_PORT, target)


def _check_host(host: str) -> None:
    labels = host.split(".")
    # `0x7f.1`, `2130706433`, `0177.0.0.1`: resolvers read them as addresses, and so do they stand for one.
    if ":" in host or NUMERIC_LABEL.fullmatch(labels[-1]):
        raise BadAddress("ip_address", "A name, not an address: certificates are for names")
    if len(host) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        raise BadAddress("malformed", "The host is not a name")
    if len(labels) < 2 or labels[-1] in OWN_NAMES:
        raise BadAddress("not_public", "Not a name of the public internet")
