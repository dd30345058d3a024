"""Why a server cannot be reached, in words; an error's own text may quote what it was given."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

_CERTIFICATES = {
    10: "its certificate has expired; or this machine's clock is wrong",
    62: "its certificate is for another host name than the URL has",
    64: "its certificate is for another address than the URL has",
}
"""By number of OpenSSL."""

_UNKNOWN_AUTHORITY = (
    "its certificate is signed by an unknown authority: name the authority's file in the URL by "
    "sslrootcert (PostgreSQL) or ssl_ca (MySQL, MariaDB)"
)


def why_unreachable(error: BaseException) -> str:
    """Return why there is no connection, or the type of the error."""
    chain = list(_chain(error))
    for each in chain:
        if reason := _reason(each):
            return reason
    return type(chain[-1]).__name__


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATES.get(error.verify_code, _UNKNOWN_AUTHORITY)
    if isinstance(error, ssl.SSLError):
        if error.reason in ("WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE"):
            return "it offers no TLS, which the URL demands"
        return f"TLS failed ({error.reason})"
    if isinstance(error, socket.gaierror):
        return "the host name is unknown"
    if isinstance(error, ConnectionRefusedError) or _says(error, errno.ECONNREFUSED):
        return "nothing listens at that host and port"
    if isinstance(error, FileNotFoundError):
        return "its socket does not exist"
    if isinstance(error, PermissionError):
        return "this user may not use its socket"
    if isinstance(error, ConnectionError) and "SSL upgrade" in str(error):
        return "it offers no TLS, which the URL demands; or no PostgreSQL is there"
    if isinstance(error, ConnectionResetError):
        return "the connection was reset"
    return ""


def _says(error: BaseException, number: int) -> bool:
    """Tell whether this is asyncio's one error for several addresses that all failed so."""
    return isinstance(error, OSError) and f"[Errno {number}]" in str(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it was made from, outside first."""
    seen: set[int] = set()
    following: list[BaseException | None] = [error]
    while following:
        each = following.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        following += [each.__context__, each.__cause__, getattr(each, "orig", None)]
