"""What proxies say of a client: its address, and whether it came over TLS."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, ip_address, ip_network

from tornado.httputil import HTTPServerRequest

log = logging.getLogger(__name__)

LOCAL = "0.0.0.0"  # noqa: S104 - what Tornado calls the peer of a Unix socket

LOOKS = 10_000


class TrustedProxies:
    """Believes the proxies at certain addresses, and nobody else.

    Each proxy appends to `X-Forwarded-For` whom it was asked by. So the last address there that is
    no proxy's is the client's, and what stands at the same place in `X-Forwarded-Proto` is how it
    came. `X-Real-Ip` and `X-Scheme` count only where these are missing: a proxy that sets these may
    pass on what a client says in the others.
    """

    def __init__(self, proxies: Iterable[str]) -> None:
        """Raise `ValueError` for what is neither an address nor a network (10.0.0.0/8)."""
        self._networks = [ip_network(proxy.strip().strip("[]")) for proxy in proxies]
        self._trusts = functools.lru_cache(1024)(self._is_proxy)
        self._warn = warn_of_ignored("came from {peer}, which is none of --trusted-proxies")

    def __call__(self, request: HTTPServerRequest) -> None:
        """Correct the request's `remote_ip` and `protocol`."""
        if not self._trusts(request.remote_ip):
            self._warn(request)
            return
        headers = request.headers
        hops = _listed(headers.get("X-Forwarded-For", ""))[::-1]
        place = next((n for n, hop in enumerate(hops) if not self._trusts(hop)), len(hops) - 1)
        client = hops[place] if hops else headers.get("X-Real-Ip", "")
        if self._trusts(client) is not None:
            request.remote_ip = client
        protocols = _listed(headers.get("X-Forwarded-Proto") or headers.get("X-Scheme", ""))[::-1]
        if protocols:
            # One that the first proxy set and the others passed on holds for them all.
            protocol = protocols[min(max(place, 0), len(protocols) - 1)].lower()
            if protocol in ("http", "https"):
                request.protocol = protocol

    def _is_proxy(self, address: str) -> bool | None:
        """Tell whether *address* is trusted; `None` if it is none."""
        if address == LOCAL:
            return True
        try:
            ip = ip_address(address)
        except ValueError:
            return None
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self._networks)


def warn_of_ignored(
    why: str = "came, and --xheaders is off",
) -> Callable[[HTTPServerRequest], None]:
    """Return what warns once, of the first request that came over TLS and is not believed.

    It looks at no more than `LOOKS` requests: later ones would pay for what never happens.
    """
    left = LOOKS

    def look(request: HTTPServerRequest) -> None:
        nonlocal left
        if not left:
            return
        left -= 1
        said = request.headers.get("X-Forwarded-Proto", "").lower()
        if said == "https" and request.protocol != "https":
            left = 0
            log.warning(
                "X-Forwarded-Proto: https %s: it is ignored, and cookies are sent without "
                "Secure; name the proxy in --trusted-proxies",
                why.format(peer=request.remote_ip),
            )

    return look


def _listed(header: str) -> list[str]:
    return [word for entry in header.split(",") if (word := entry.strip())]
