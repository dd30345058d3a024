"""The session cookie: its attributes, how it is found in a request and written to a response."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from app.sessions import cookie_rules, token
from stores.contract import ConfigurationError

MAX_CANDIDATES = 16
"""Tokens of one name that are looked at; a browser sends one a matching path and domain."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110, section 9.2.1


@dataclass(frozen=True)
class Cookie:
    """Attributes of the session cookie (RFC 6265bis). Raises `ConfigurationError` when they clash.

    *secure*: `None` sends `Secure` on responses over TLS, `True` always, `False` never. A prefix
    `__Host-`, `__Secure-` or `__Http-`, and `samesite="None"`, require it and turn it on;
    *partitioned* requires `samesite="None"`.
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
        cookie_rules.check_types(vars(self))
        cookie_rules.check_name(self.name, token.LENGTH)
        if self.domain is not None:
            cookie_rules.check_domain(self.name, self.domain)
        cookie_rules.check_path(self.name, self.path)
        cookie_rules.check_prefix(
            self.name, domain=self.domain, path=self.path, httponly=self.httponly
        )
        if self.samesite not in cookie_rules.SAMESITE:
            raise ConfigurationError(
                f"cookie {self.name!r}: samesite is {self.samesite!r}, not one of "
                + ", ".join(cookie_rules.SAMESITE)
            )
        if self.partitioned and self.samesite != "None":
            raise ConfigurationError(
                f"cookie {self.name!r}: partitioned is for frames on other sites, where browsers "
                f"send no cookie with samesite={self.samesite!r}; write samesite='None'"
            )
        # Partitioned requires it, too, and comes with samesite="None" only.
        needs_secure = self.samesite == "None" or cookie_rules.promises_secure(self.name)
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

    def is_kept_back(self, method: str | None) -> bool:
        """Tell whether browsers leave it out of another site's request of this *method*."""
        if self.samesite == "Strict":
            return True
        return self.samesite == "Lax" and method not in _SAFE_METHODS

    def is_same(self, name: str, domain: str | None, path: str | None, request_path: str) -> bool:
        """Tell whether a cookie that a response sets takes the place of this one in a browser.

        *domain* and *path* are as for Tornado's `set_cookie`, in answer to *request_path*.
        """
        if name != self.name:
            return False
        if not path or not path.startswith("/"):
            path = cookie_rules.default_path(request_path)
        return path == self.path and _canonical(domain) == _canonical(self.domain)

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
        tokens = _different_tokens(values)
        return True, tokens if len(tokens) <= MAX_CANDIDATES else []

    def has_too_many(self, header: str) -> bool:
        """Tell whether a `Cookie` header has more tokens than are looked at."""
        return len(_different_tokens(self._found.findall(header))) > MAX_CANDIDATES

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


def _different_tokens(values: list[str]) -> list[str]:
    stripped = (value.rstrip(" \t") for value in values)
    return list(dict.fromkeys(value for value in stripped if _TOKEN(value)))


def _canonical(domain: str | None) -> str | None:
    """Return a domain as browsers compare it; `None` for the host alone."""
    if not domain or cookie_rules.is_host_only(domain):
        return None
    return domain.lower().removeprefix(".")


_TOKEN = re.compile(token.FORM).fullmatch
