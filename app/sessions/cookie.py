"""The session cookie: its attributes, how it is found in a request and written to a response."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from app.sessions import token
from stores.contract import ConfigurationError

MAX_CANDIDATES = 4
"""Cookies of one name that are looked at; a browser sends one a matching path or domain."""

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 token
_DOMAIN = re.compile(r"\.?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_PATH = re.compile(r"/[ -:<-~]*")  # printable ASCII without ";"
_SAMESITE = ("Lax", "Strict", "None")


@dataclass(frozen=True)
class Cookie:
    """Attributes of the session cookie (RFC 6265bis). Raises `ConfigurationError` when they clash.

    *secure*: `None` sends `Secure` on responses over TLS, `True` always, `False` never. A
    `__Host-` or `__Secure-` name, `partitioned` and `samesite="None"` require it and turn it on.
    *persistent*: whether the cookie outlives the browser session (`Max-Age` is what is left of
    the session's lifetime) unless `session.persistent` says otherwise.
    """

    name: str = "session"
    domain: str | None = None
    path: str = "/"
    secure: bool | None = None
    httponly: bool = True
    samesite: str = "Lax"
    partitioned: bool = False
    persistent: bool = True
    _alone: Callable[[str], re.Match[str] | None] = field(init=False, repr=False, compare=False)
    _found: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _attributes: str = field(init=False, repr=False, compare=False)
    _needs_secure: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(f"cookie name {self.name!r} has characters a name cannot have")
        if self.domain is not None and not _DOMAIN.fullmatch(self.domain):
            raise ConfigurationError(f"cookie {self.name!r}: {self.domain!r} is not a domain")
        if not _PATH.fullmatch(self.path):
            raise ConfigurationError(f"cookie {self.name!r}: path {self.path!r} must begin with /")
        if self.samesite not in _SAMESITE:
            raise ConfigurationError(
                f"cookie {self.name!r}: samesite is {self.samesite!r}, not one of "
                + ", ".join(_SAMESITE)
            )
        host_only = self.name.lower().startswith("__host-")
        if host_only and self.domain is not None:
            raise ConfigurationError(f"cookie {self.name!r}: a __Host- name allows no Domain")
        if host_only and self.path != "/":
            raise ConfigurationError(f"cookie {self.name!r}: a __Host- name requires path='/'")
        needs_secure = (
            self.partitioned
            or self.samesite == "None"
            or self.name.lower().startswith(("__host-", "__secure-"))
        )
        if needs_secure and self.secure is False:
            raise ConfigurationError(
                f"cookie {self.name!r}: its name, samesite='None' or partitioned requires Secure; "
                "leave secure=None"
            )
        attributes = f"; Path={self.path}"
        if self.domain is not None:
            attributes += f"; Domain={self.domain}"
        attributes += f"; SameSite={self.samesite}"
        if self.httponly:
            attributes += "; HttpOnly"
        if self.partitioned:
            attributes += "; Partitioned"
        found = re.compile(rf"(?:^|;)[ \t]*{re.escape(self.name)}[ \t]*=[ \t]*([^;]*)")
        alone = re.compile(rf"{re.escape(self.name)}=({token.FORM})").fullmatch
        object.__setattr__(self, "_alone", alone)
        object.__setattr__(self, "_found", found)
        object.__setattr__(self, "_attributes", attributes)
        object.__setattr__(self, "_needs_secure", needs_secure)

    def find(self, header: str) -> tuple[bool, list[str]]:
        """Return whether a `Cookie` header has this cookie, and its values that are tokens.

        A value of another form, quoted ones too, is none of ours. Of more than
        `MAX_CANDIDATES` different tokens none is returned.
        """
        alone = self._alone(header)
        if alone is not None:  # the only cookie there is
            return True, [alone[1]]
        values = self._found.findall(header)
        if not values:
            return False, []
        if len(values) == 1:
            value = values[0].strip(" \t")
            return True, [value] if _TOKEN(value) else []
        values = [value.rstrip(" \t") for value in values]
        tokens = list(dict.fromkeys(value for value in values if _TOKEN(value)))
        return True, tokens if len(tokens) <= MAX_CANDIDATES else []

    def render(self, value: str, *, max_age: int | None, over_tls: bool) -> str:
        """Return a `Set-Cookie` header value; *max_age* in seconds, `None` for a browser session.

        Written here and not by `http.cookies`, which knows no `Partitioned` before Python 3.14.
        """
        secure = self._needs_secure or (over_tls if self.secure is None else self.secure)
        age = "" if max_age is None else f"; Max-Age={max_age}"
        return f"{self.name}={value}{age}{self._attributes}{'; Secure' if secure else ''}"

    def render_removal(self, *, over_tls: bool) -> str:
        """Return what removes the cookie: a `Set-Cookie` value of the same attributes."""
        removal = self.render("", max_age=0, over_tls=over_tls)
        return f"{removal}; Expires=Thu, 01 Jan 1970 00:00:00 GMT"


_TOKEN = re.compile(token.FORM).fullmatch
