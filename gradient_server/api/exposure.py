"""Where a server may listen that executes what it is told. Pure."""

from __future__ import annotations

import ipaddress

from gradient_server.settings import checked_host


def checked_exposure(host: str, *, runner_is_real: bool, expose: bool) -> str:
    """Return the address to listen on.

    :param str host: the address
    :param bool runner_is_real: whether experiments execute commands on this machine
    :param bool expose: whether somebody has said in so many words that other machines may have them executed

    :raises ValueError: there cannot be such an address; or other machines could reach it, and nobody has said so

    >>> checked_exposure("127.0.0.1", runner_is_real=True, expose=False)
    '127.0.0.1'
    >>> checked_exposure("0.0.0.0", runner_is_real=True, expose=False)
    Traceback (most recent call last):
    ...
    ValueError: who reaches 0.0.0.0 and has the key can run any command here as you, and the key goes over the network \
in plain http; if that is wanted, say --expose, too
    """
    checked_host(host)
    if runner_is_real and not expose and not is_loopback(host):
        raise ValueError(
            f"who reaches {host} and has the key can run any command here as you, "
            "and the key goes over the network in plain http; if that is wanted, say --expose, too"
        )
    return host


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach an address. Of a name that is known of `localhost` alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
