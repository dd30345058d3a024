"""What browsers require of a cookie's name and attributes; all else they drop without a word.

RFC 6265bis and its successor, "Cookies: HTTP State Management Mechanism" (layered cookies).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import NoneType

from stores.contract import ConfigurationError

_KINDS: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "domain": (str, NoneType),
    "path": (str,),
    "secure": (bool, NoneType),
    "httponly": (bool,),
    "partitioned": (bool,),
    "persistent": (bool,),
}

MAX_PAIR = 4096
"""Bytes of a cookie's name and value together."""

MAX_ATTRIBUTE = 1024
"""Bytes of an attribute's value."""

SAMESITE = ("Lax", "Strict", "None")

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 token
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"\.?{_LABEL}(?:\.{_LABEL})*")
_PATH = re.compile(
    r"/(?:[!$&'()*+,\-./0-9:=@A-Z\[\]^_a-z|~]|%[0-9A-Fa-f]{2})*"  # URLs have the rest encoded
)
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)")  # URL Standard: IPv4, then
_SECOND_LEVEL = frozenset({"ac", "co", "com", "edu", "gov", "net", "org"})
_GIVES_NAMES_BELOW = re.compile("ar|au|br|cn|hk|id|il|in|jp|kr|mx|my|nz|sg|th|tr|tw|uk|za")


def check_types(attributes: Mapping[str, object]) -> None:
    """Refuse values of another type: `"no"`, for one, would be taken for true."""
    for attribute, kinds in _KINDS.items():
        value = attributes[attribute]
        if type(value) not in kinds:
            wanted = " or ".join("None" if kind is NoneType else kind.__name__ for kind in kinds)
            name = attributes["name"]
            of = "" if attribute == "name" else f"cookie {name!r}: "
            raise ConfigurationError(f"{of}{attribute} is {value!r:.60}; it takes {wanted}")


def check_name(name: str, value_length: int) -> None:
    """Refuse a name that no cookie can have. Raises `ConfigurationError`, as all of these do."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"cookie name {name!r} has characters a name cannot have")
    if len(name) > MAX_PAIR - value_length:
        raise ConfigurationError(
            f"cookie name {name[:40]!r}... has {len(name)} characters; browsers drop a cookie "
            f"whose name and value pass {MAX_PAIR} bytes"
        )


def check_prefix(name: str, *, domain: str | None, path: str, httponly: bool) -> None:
    """Refuse a name whose prefix promises what the attributes do not keep."""
    prefix = name.lower()  # browsers compare it in any case
    if prefix.startswith("__host-"):
        if domain is not None:
            raise ConfigurationError(f"cookie {name!r}: a __Host- name allows no Domain")
        if path != "/":
            raise ConfigurationError(f"cookie {name!r}: a __Host- name requires path='/'")
    if prefix.startswith(("__http-", "__host-http-")) and not httponly:
        raise ConfigurationError(
            f"cookie {name!r}: its prefix requires HttpOnly; leave httponly=True"
        )


def promises_secure(name: str) -> bool:
    """Tell whether browsers take a cookie of this name with `Secure` only."""
    return name.lower().startswith(("__host-", "__secure-", "__http-"))


def check_domain(name: str, domain: str) -> None:
    """Refuse what is no domain, or none that browsers take a cookie for."""
    about = f"cookie {name!r}: domain {domain!r}"
    if not _DOMAIN.fullmatch(domain) or len(domain) > 254:
        raise ConfigurationError(
            f"{about} is not a domain; write one like 'example.org', in ASCII (xn--...)"
        )
    if is_host_only(domain):
        raise ConfigurationError(
            f"{about} is one host, or a whole top-level domain, for which browsers take no cookie; "
            "leave domain=None, or write one like 'example.org'"
        )
    labels = domain.lower().lstrip(".").split(".")
    if len(labels) == 2 and labels[0] in _SECOND_LEVEL and _GIVES_NAMES_BELOW.fullmatch(labels[1]):
        raise ConfigurationError(
            f"{about} belongs to many, and browsers take no cookie for a public suffix; "
            f"write one like 'example.{domain}'"
        )


def is_host_only(domain: str) -> bool:
    """Tell whether browsers that take this domain at all take it for that one host alone.

    That is an IPv4 address, as browsers read one, or a name of one label.
    """
    return "." not in domain.lstrip(".") or _ENDS_IN_A_NUMBER.fullmatch(domain) is not None


def check_path(name: str, path: str) -> None:
    """Refuse a path that no request has."""
    about = f"cookie {name!r}: path {path[:80]!r}"
    if not _PATH.fullmatch(path):
        raise ConfigurationError(
            f"{about} must begin with / and be as browsers send it; percent-encode other characters"
        )
    if {".", ".."} & set(path.lower().replace("%2e", ".").split("/")):
        raise ConfigurationError(
            f"{about} has a segment . or .., which browsers resolve before they send a request"
        )
    if len(path) > MAX_ATTRIBUTE:
        raise ConfigurationError(
            f"{about}... has {len(path)} characters; browsers drop an attribute of more than "
            f"{MAX_ATTRIBUTE} bytes"
        )


def default_path(request_path: str) -> str:
    """Return the path of a cookie that was set without one (RFC 6265bis, section 5.1.4)."""
    return request_path.rpartition("/")[0] or "/"
