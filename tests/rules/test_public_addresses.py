"""Which addresses of others are called: the public internet's, in no disguise."""

import pytest

from recado.rules.public_addresses import LENGTH_MAX, BadAddress, WebAddress, is_public, read_web_address


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104  # an address like the others here
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "169.254.170.2",
        "169.254.169.253",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.24",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "fd00:ec2::254",
        "fc00::1",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1111%eth0",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "3fff::1",
        "2001::1",
        "2001:0:53aa:64c:0:fefe:5601:5601",
        "2002:a9fe:a9fe::",
        "2002:0808:0808::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "::ffff:0:8.8.8.8",
        "64:ff9b::169.254.169.254",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::8.8.8.8",
        "100::1",
        "5f00::1",
        "",
        "localhost",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "2130706433",
        "8.8.8.8.",
        " 8.8.8.8",
        "008.8.8.8",
    ],
)
def test_what_is_not_the_public_internet_is_not_called(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "169.253.255.255",
        "200.1.123.4",
        "223.255.255.254",
        "2606:4700::1111",
        "2800:3f0::200e",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ],
)
def test_what_is_the_public_internet_is_called(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://portal.escuela.cl/recado", WebAddress("https", "portal.escuela.cl", 443, "/recado")),
        ("https://portal.escuela.cl", WebAddress("https", "portal.escuela.cl", 443, "/")),
        ("HTTPS://Portal.Escuela.CL:443/A?b=c%20d", WebAddress("https", "portal.escuela.cl", 443, "/A?b=c%20d")),
        ("https://xn--colegio-8za.cl:8443/x", WebAddress("https", "xn--colegio-8za.cl", 8443, "/x")),
        ("https://a-b_c.d1.cl/?x", WebAddress("https", "a-b_c.d1.cl", 443, "/?x")),
    ],
)
def test_an_address_of_a_portal_is_read(url: str, found: WebAddress) -> None:
    assert read_web_address(url) == found


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "length"),
        ("https://portal.cl/" + "x" * LENGTH_MAX, "length"),
        ("http://portal.escuela.cl/", "not_https"),
        ("ftp://portal.escuela.cl/", "not_https"),
        ("portal.escuela.cl/recado", "not_https"),
        ("//portal.escuela.cl/recado", "not_https"),
        ("file:///etc/passwd", "not_https"),
        ("http://127.0.0.1/", "not_https"),
        ("https://user:word@portal.escuela.cl/", "userinfo"),
        ("https://portal.escuela.cl@127.0.0.1/", "userinfo"),
        ("https://@portal.escuela.cl/", "userinfo"),
        ("https://portal.escuela.cl\\@127.0.0.1/", "malformed"),
        ("https://portal.escuela.cl/#there", "fragment"),
        ("https://127.0.0.1#@portal.escuela.cl/", "fragment"),
        ("https://portal.escuela.cl/a b", "malformed"),
        ("https://portal.escuela.cl/a\r\nX-Y: z", "malformed"),
        ("https://portal\t.escuela.cl/", "malformed"),
        ("https://colegioñuñoa.cl/", "malformed"),
        ("https://1。1。1。1/", "malformed"),
        ("https://127.0.0.1/", "ip_address"),
        ("https://169.254.169.254/latest/meta-data/", "ip_address"),
        ("https://8.8.8.8/", "ip_address"),
        ("https://127.1/", "ip_address"),
        ("https://0x7f000001/", "ip_address"),
        ("https://0x7f.0x0.0x0.0x1/", "ip_address"),
        ("https://0177.0.0.01/", "ip_address"),
        ("https://2130706433/", "ip_address"),
        ("https://[::1]/", "ip_address"),
        ("https://[::ffff:127.0.0.1]/", "ip_address"),
        ("https://[fe80::1%25eth0]/", "ip_address"),
        ("https://localhost/", "not_public"),
        ("https://portal/", "not_public"),
        ("https://metadata.google.internal/", "not_public"),
        ("https://portal.local/", "not_public"),
        ("https://a.localhost/", "not_public"),
        ("https://portal.escuela.cl./", "malformed"),
        ("https://.escuela.cl/", "malformed"),
        ("https://-a.cl/", "malformed"),
        ("https://a..cl/", "malformed"),
        ("https://[v1.a]/", "malformed"),
        ("https://a%2ecl/", "malformed"),
        ("https:///recado", "malformed"),
        ("https://portal.escuela.cl:/", "malformed"),
        ("https://portal.escuela.cl:99999/", "malformed"),
        ("https://portal.escuela.cl:x/", "malformed"),
        ("https://portal.escuela.cl:22/", "port"),
        ("https://portal.escuela.cl:0/", "port"),
        ("https://[::1/", "malformed"),
    ],
)
def test_what_cannot_be_called_is_refused_with_a_word(url: str, code: str) -> None:
    with pytest.raises(BadAddress) as refused:
        read_web_address(url)

    assert refused.value.code == code


def test_only_the_emulators_setting_takes_this_machine_by_http() -> None:
    url = "http://127.0.0.1:4590/recado"

    assert read_web_address(url, loopback=True) == WebAddress("http", "127.0.0.1", 4590, "/recado")
    for other in ("http://10.0.0.1/", "http://portal.escuela.cl/", "http://127.0.0.1.nip.io/", "http://0.0.0.0/"):
        with pytest.raises(BadAddress):
            read_web_address(other, loopback=True)
