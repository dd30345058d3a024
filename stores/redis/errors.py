"""From an error of redis-py to its reason and the mend."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator

from redis import exceptions
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import RedisClusterException, ResponseError

from stores.redis.exchange import ConnectionBroken

_GRANT = "grant the rights that stores/README.md lists"

_EXPLAINED = {
    "WRONGTYPE": "a key with the store's prefix is of another type; set another prefix",
    "MOVED": "the server belongs to a cluster; write redis+cluster://",
    "OOM": "its memory is full; raise maxmemory",
    "READONLY": "it is a replica; name the primary",
    "MISCONF": "it cannot save to its disk",
    "LOADING": "it is loading its data",
    "MASTERDOWN": "it is a replica without a primary",
    "CLUSTERDOWN": "nodes of the cluster are missing",
    "NOAUTH": "it asks for a password; name it in the URL",
    "WRONGPASS": "the user name or the password is wrong, or the user is disabled",
    "DENIED": "it is in protected mode; give it a password, or bind it to its own address alone",
    "LATE": "the write reached it after its deadline",
}

_HINTS = {
    "This instance has cluster support disabled": "it is no cluster; write redis://",
    "max number of clients reached": "it has too many clients; raise maxclients",
    "Error compiling script": "it must be Redis 7 or later, or Valkey",
    "without any password configured": "it has no password; write the URL without one",
    "DB index is out of range": "it has no database of this number; raise its setting databases",
    "protected mode": _EXPLAINED["DENIED"],
    "No such master": "it knows no such service; name the one of its sentinel monitor",
    "unknown command 'SENTINEL'": "it is no Sentinel; name Sentinel's port, or write redis://",
}

_OTHER_HOST = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED


class Explained(exceptions.ConnectionError):
    """An error whose text is a sentence of ours."""


def concerns_one_key(error: Exception) -> bool:
    """Tell whether the server refused a command because of what is in its key."""
    return _code_of(error) == "WRONGTYPE"


def reason_of(error: BaseException, *, tls: bool = False) -> str:
    """Return the reason by code and type: the server's text may quote values.

    *tls* says whether the connection was to use TLS.
    """
    if isinstance(error, RedisClusterException) and (error.__cause__ or error.__context__):
        return reason_of(error.__cause__ or error.__context__ or error, tls=tls)
    if isinstance(error, Explained):
        return str(error)
    code = _code_of(error)
    if code is None:
        hint = _of_connection(error, tls)
        return f"Redis does not answer ({hint or type(error).__name__})"
    text = str(error)
    hint = (
        _EXPLAINED.get(code)
        or _of_rights(code, text)
        or next((h for t, h in _HINTS.items() if t in text), "")
    )
    return f"Redis refused: {code}" + (f" ({hint})" if hint else "")


def _code_of(error: BaseException) -> str | None:
    """Return the code of an error that the server answered; `None` of any other."""
    code: str | None = getattr(error, "status_code", None)
    if code is None and isinstance(error, ResponseError):
        word = str(error).partition(" ")[0]
        code = word if word.isascii() and word.isupper() else "ERR"
    return code


def _of_rights(code: str, text: str) -> str:
    """Return what the server's user may not do, in a script (ERR) or without one."""
    in_script = "ACL failure in script" in text or "executing the script can't run" in text
    if code != "NOPERM" and not in_script:
        return ""
    command = re.search(r"the '([\w|]+)' command", text)
    if command is None and "key" in text:
        return "its user may not use keys with the store's prefix; grant ~session:*"
    what = command[1].upper() if command else "a command that the store needs"
    return f"its user may not run {what}; {_GRANT}"


def _of_connection(error: BaseException, tls: bool) -> str:
    """Return why there is no connection, as far as it shows."""
    for cause in _causes(error):
        match cause:
            case ConnectionBroken():
                return ""
            case ssl.SSLCertVerificationError():
                return _of_certificate(cause)
            case ssl.SSLError():
                return _of_handshake(cause)
            case socket.gaierror():
                return "its host name is not known; correct it, or the DNS"
            case exceptions.MaxConnectionsError():
                return "every connection of its client is in use; raise max_connections"
            case MasterNotFoundError():
                return "Sentinel names no primary"
            case ConnectionResetError() | BrokenPipeError():
                return _of_end(tls)
            case exceptions.ConnectionError() if "closed by server" in str(cause):
                return _of_end(tls)
            case ConnectionRefusedError():
                return "nobody listens at its address; start it, or correct host and port"
            case FileNotFoundError():
                return "there is no socket at its path; start it, or correct the path"
            case PermissionError():
                return "this user may not open its socket; see its setting unixsocketperm"
            case exceptions.TimeoutError() if "connecting" not in str(cause):
                return ""
            case exceptions.TimeoutError() if tls:
                return "no TLS handshake; if the server speaks no TLS, write redis://"
            case exceptions.TimeoutError():
                return "no connection in time; see network and firewall"
    return ""


def _of_end(tls: bool) -> str:
    """Return why a server ends a connection: what it does with what it does not understand."""
    if tls:
        return (
            "it ended the connection; if it asks for a client's certificate, name one by "
            "ssl_certfile and ssl_keyfile"
        )
    return (
        "it ended the connection; if it speaks TLS, write rediss://; if not, give it a password, "
        "for protected mode refuses others without one, and see its maxclients"
    )


def _of_certificate(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _OTHER_HOST:
        return "its certificate is for another host; write the name that it is for"
    if error.verify_code == _EXPIRED:
        return "its certificate has expired; renew it"
    return "its certificate is of an unknown CA; name the CA's file by ssl_ca_certs"


def _of_handshake(error: ssl.SSLError) -> str:
    reason = error.reason or type(error).__name__
    if "WRONG_VERSION" in reason or "RECORD" in reason:
        return "it speaks no TLS; write redis://"
    return f"no TLS handshake: {reason}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
