"""What a driver's error is for whoever reads the log: what is wrong and the mend, and no value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
)

from stores.contract import StoreUnavailable

UNAUTHORIZED = 13

_REFUSALS = {
    18: "check user name, password and authSource in the store's URL",
    UNAUTHORIZED: "the user lacks a right that stores/README.md lists",
    334: "check authMechanism in the store's URL",
}
"""The mend for what the server refuses, by its code."""

_PROBLEMS = (
    (
        r"not valid for|[Hh]ost ?name mismatch",
        "its certificate is for another host name: check the store's URL",
    ),
    (r"certificate has expired", "its certificate has expired"),
    (
        r"CERTIFICATE_VERIFY_FAILED",
        "a CA that is not known here has signed its certificate: name the CA's file by tlsCAFile",
    ),
    (
        r"certificate required|CERTIFICATE_REQUIRED|peer did not return a certificate",
        "it wants a certificate of ours: name its file by tlsCertificateKeyFile",
    ),
    (r"SSL|TLS", "the TLS handshake fails: it may not speak TLS"),
    (
        r"Name or service not known|name resolution|nodename|No address associated",
        "no name server knows this host: check the store's URL",
    ),
    (
        r"refused|Connect call failed",
        "nobody listens there: start MongoDB, or check host and port in the store's URL",
    ),
    (
        r"named '(?P<ours>[^']*)' but this node belongs to a set named '(?P<theirs>[^']*)'",
        "it is in the replica set {theirs}, not in {ours}: check replicaSet in the store's URL",
    ),
    (r"wire version", "its version of MongoDB is not one that the driver supports"),
    (r"Got response id|[Mm]essage length|opcode", "it is no MongoDB: check host and port"),
    (
        r"closed|reset",
        "it closes connections: it may want TLS (tls=true in the store's URL), a certificate of "
        "ours (tlsCertificateKeyFile), or be no MongoDB",
    ),
    (r"[Nn]ot ?(writable ?)?[Pp]rimary|node is recovering", "it is not the primary"),
    (r"timed out|time ?limit", "no answer in time"),
)
"""What the driver says of one server, and what that means."""


@contextmanager
def explained(client: Any) -> Iterator[None]:
    """Turn PyMongo's errors into `StoreUnavailable`; *client* knows what is wrong with servers."""
    try:
        yield
    except ExecutionTimeout:  # the server's word, or the driver's, which saw it coming
        raise StoreUnavailable("MongoDB does not answer: no answer in time") from None
    except OperationFailure as error:
        # The server's message may quote the document; its code's name does not.
        what = (error.details or {}).get("codeName") or f"code {error.code}"
        if error.code in _REFUSALS:
            what += f": {_REFUSALS[error.code]}"
        raise StoreUnavailable(f"MongoDB refused: {what}") from None
    except ConnectionFailure as error:
        raise StoreUnavailable(
            f"MongoDB does not answer: {trouble(client) or _meaning(str(error))}"
        ) from None
    except ConfigurationError as error:
        raise StoreUnavailable(f"MongoDB cannot be reached: {_setting(str(error))}") from None
    except PyMongoError as error:
        raise StoreUnavailable(f"MongoDB failed ({type(error).__name__})") from None


def trouble(client: Any) -> str | None:
    """Say what is wrong with each server, as far as the driver has found out."""
    topology = client.topology_description
    servers = topology.server_descriptions().values()
    if not servers and topology.replica_set_name is None:
        return "the store's URL names several hosts, of which none is in a replica set: name one"
    if not servers:
        return (
            f"no host of the store's URL is in a replica set {topology.replica_set_name}: "
            "check replicaSet"
        )
    found = sorted(
        _problem(server.address, str(server.error)) for server in servers if server.error
    )
    if found:
        return "; ".join(found)
    if topology.has_writable_server():
        return None
    if any(server.is_server_type_known for server in servers):
        return "the replica set has no primary"
    return "; ".join(_problem(server.address, "timed out") for server in servers)


def _problem(address: tuple[str, int | None], said: str) -> str:
    host, port = address
    return f"{host}:{port}: {_meaning(said)}"


def _meaning(said: str) -> str:
    for pattern, meaning in _PROBLEMS:
        if match := re.search(pattern, said):
            return meaning.format(**match.groupdict())
    return "the connection failed"


def _setting(said: str) -> str:
    """Say what a setting that the driver finds wrong when it connects is."""
    if "_mongodb._tcp" in said or "DNS" in said or "SRV" in said:
        return (
            "no name server has a SRV record of the host in the store's URL: check its name, "
            "or write mongodb:// with the hosts"
        )
    return _meaning(said)
