"""Which `Host` and `Origin` mean a server that listens here or there: a table of them."""

import pytest

from gradient_server.api.own_names import OwnNames, checked_name, same_origin

LOOPBACK = OwnNames(host="127.0.0.1", address="127.0.0.1")
LOOPBACK_6 = OwnNames(host="::1", address="::1")
NAMED = OwnNames(host="Box.Example.COM", address="192.0.2.7")
EVERYWHERE = OwnNames(host="0.0.0.0", address="0.0.0.0")
EVERYWHERE_6 = OwnNames(host="::", address="::")
PROXIED = OwnNames(host="127.0.0.1", address="127.0.0.1", also=("gradient.example.com", "2001:db8::1"))


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (LOOPBACK, "127.0.0.1"),
        (LOOPBACK, "127.0.0.1:8090"),
        (LOOPBACK, "127.0.0.1:"),
        (LOOPBACK, "localhost:1"),
        (LOOPBACK, "LocalHost."),
        (LOOPBACK, "[::1]:8090"),
        (LOOPBACK, "[::ffff:127.0.0.1]"),
        (LOOPBACK_6, "[::1]:8090"),
        (LOOPBACK_6, "[0:0:0:0:0:0:0:1]"),
        (LOOPBACK_6, "localhost"),
        (NAMED, "box.example.com:8090"),
        (NAMED, "192.0.2.7"),
        (EVERYWHERE, "192.0.2.7:8090"),
        (EVERYWHERE, "0.0.0.0:8090"),
        (EVERYWHERE, "localhost:8090"),
        (EVERYWHERE_6, "[2001:db8::1]:8090"),
        (PROXIED, "gradient.example.com"),
        (PROXIED, "GRADIENT.example.com.:443"),
        (PROXIED, "[2001:db8::1]"),
        (PROXIED, "127.0.0.1:8090"),
    ],
)
def test_hosts_that_mean_it(names, place):
    """Its address however it is written, with any port, and what it was told that it is called."""
    assert names.have(place)


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (LOOPBACK, ""),
        (LOOPBACK, ":8090"),
        (LOOPBACK, "evil.example"),
        (LOOPBACK, "localhost.evil.example"),
        (LOOPBACK, "127.0.0.1.evil.example:8090"),
        (LOOPBACK, "evil.example@127.0.0.1"),
        (LOOPBACK, "127.0.0.1@evil.example"),
        (LOOPBACK, "127.0.0.1:8090:evil.example"),
        (LOOPBACK, "127.0.0.1, evil.example"),
        (LOOPBACK, "127.0.0.1:port"),
        (LOOPBACK, "127.0.0.1:123456"),
        (LOOPBACK, "::1"),
        (LOOPBACK, "[::1"),
        (LOOPBACK, "[::1]evil"),
        (LOOPBACK, "127.1"),
        (LOOPBACK, "2130706433"),
        (LOOPBACK, "192.0.2.7"),
        (LOOPBACK, "0.0.0.0:8090"),
        (LOOPBACK, "localhost..:8090"),
        (LOOPBACK, "gradient.example.com"),
        (NAMED, "example.com"),
        (NAMED, "localhost"),
        (NAMED, "127.0.0.1"),
        (EVERYWHERE, "evil.example"),
        (EVERYWHERE_6, "evil.example:8090"),
        (PROXIED, "example.com"),
        (PROXIED, "192.0.2.7"),
    ],
)
def test_hosts_that_do_not(names, place):
    """Names that somebody else can have resolve to this machine, addresses of others, and what is no host at all."""
    assert not names.have(place)


@pytest.mark.parametrize(
    ("origin", "place"),
    [
        ("http://127.0.0.1:8090", "127.0.0.1:8090"),
        ("http://localhost", "localhost"),
        ("http://localhost", "localhost:80"),
        ("https://gradient.example.com", "gradient.example.com"),
        ("https://gradient.example.com", "Gradient.Example.com:443"),
        ("http://[::1]:8090", "[::1]:8090"),
    ],
)
def test_our_own_pages(origin, place):
    """A page of the server itself may ask it; behind a proxy that speaks https, too."""
    assert same_origin(origin, place)


@pytest.mark.parametrize(
    ("origin", "place"),
    [
        ("null", "127.0.0.1:8090"),
        ("", "127.0.0.1:8090"),
        ("http://127.0.0.1:3000", "127.0.0.1:8090"),
        ("http://127.0.0.1", "127.0.0.1:8090"),
        ("http://localhost:8090", "127.0.0.1:8090"),
        ("https://127.0.0.1", "127.0.0.1:80"),
        ("http://evil.example", "127.0.0.1:8090"),
        ("http://127.0.0.1:8090.evil.example", "127.0.0.1:8090"),
        ("http://127.0.0.1:8090/", "127.0.0.1:8090"),
        ("file://127.0.0.1:8090", "127.0.0.1:8090"),
        ("chrome-extension://127.0.0.1:8090", "127.0.0.1:8090"),
        ("http://127.0.0.1:8090", None),
    ],
)
def test_pages_of_others(origin, place):
    """Another port of this machine is another origin, and so is what has none."""
    assert not same_origin(origin, place)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("box", "box"),
        ("Gradient.Example.COM.", "gradient.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("192.0.2.7", "192.0.2.7"),
        ("[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_names_that_can_be_allowed(text, name):
    """They are written as requests write them."""
    assert checked_name(text) == name


@pytest.mark.parametrize(
    "text", ["", "*", "*.example.com", "box:8090", "http://box", "a b", "-box", "box..com", "a" * 64]
)
def test_names_that_cannot(text):
    """Neither a port nor a pattern is a name; the error says what would be right."""
    with pytest.raises(ValueError, match=r"give one such as box\.example\.com, without a port"):
        checked_name(text)
