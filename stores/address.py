"""The parts of a store's URL that every database with hosts has; errors quote no value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from stores.contract import ConfigurationError


class Address(NamedTuple):
    """A URL, split but not decoded."""

    scheme: str
    """In lower case."""
    credentials: str
    """User name and password."""
    hosts: str
    """Host and port, or several, comma-separated."""
    path: str
    """With its leading slash, if there is one."""
    query: str

    @property
    def name(self) -> str:
        """The URL without user name, password and options."""
        return f"{self.scheme}://{self.hosts}{self.path}"

    def __repr__(self) -> str:
        return f"<Address {self.name}>"


def split_url(url: str, *, at_sign_in_path: bool = False) -> Address:
    """Split *url*; raise `ConfigurationError` where a password is not percent-encoded."""
    scheme, _, rest = url.partition("://")
    end = re.search(r"[/?#]|$", rest)
    assert end is not None
    authority, tail = rest[: end.start()], rest[end.start() :]
    if "#" in tail or ("@" in tail and not at_sign_in_path):
        raise ConfigurationError("percent-encode user name and password in the store's URL")
    credentials, _, hosts = authority.rpartition("@")
    path, _, query = tail.partition("?")
    return Address(scheme.lower(), credentials, hosts, path, query)


def host_and_port(text: str) -> tuple[str, int | None]:
    """Split one host; raise `ConfigurationError` for a bad one."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError("invalid host or port in the store's URL") from None
    if not host:
        raise ConfigurationError("the store's URL names no host")
    return host, port


def is_local(host: str) -> bool:
    """Tell whether a host, without its port, is this machine: what goes there, nobody overhears."""
    return host in ("", "localhost", "::1") or host.startswith(("127.", "/"))


def check_options(given: Iterable[str], supported: Sequence[str]) -> None:
    """Raise `ConfigurationError` unless all options *given* are *supported*."""
    if not set(given).issubset(supported):
        raise ConfigurationError(
            f"unsupported option in the store's URL; supported options: {', '.join(supported)}"
        )
