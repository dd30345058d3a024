"""A URL of MongoDB, checked; errors quote no value of it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import unquote_plus

from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from stores.address import is_local
from stores.contract import ConfigurationError

SRV = "mongodb+srv://"

_NOT_CHECKED = ("collection", "srvmaxhosts", "srvservicename")
"""Options that the driver does not know in a `mongodb://` URL."""

MAX_NAME = 200
"""Characters of a collection's name, of the 255 bytes that it has together with the database."""

_OURS = {
    "readpreference": "primary",
    "readpreferencetags": "",
    "maxstalenessseconds": "-1",
    "readconcernlevel": "local",
    "w": "majority",
    "journal": "true",
    "wtimeoutms": "0",
}
"""What the store does, whatever the option of this name says."""


class Parts(NamedTuple):
    """What a URL says."""

    url: str
    """For the driver."""
    database: str | None
    collection: str | None
    overridden: list[str]
    """Options that ask for something else than what the store does."""
    may_be_overheard: bool
    """Whether values may cross a network in plain text."""

    def __repr__(self) -> str:
        return "<Parts of a URL>"


def parts_of(url: str) -> Parts:
    """Return what *url* says; raise `ConfigurationError` for a bad one.

    The hosts of a `mongodb+srv://` URL are not checked: the name server has them, and is asked when
    the store is opened.
    """
    head, _, query = url.partition("?")
    pairs = [pair.partition("=") for pair in re.split("[&;]", query) if pair]
    ours = [value for name, _, value in pairs if name.lower() == "collection"]
    rest = "&".join("".join(pair) for pair in pairs if pair[0].lower() != "collection")
    plain = f"{head}?{rest}" if ours else url
    checked = plain
    if url.startswith(SRV):
        kept = "&".join("".join(pair) for pair in pairs if pair[0].lower() not in _NOT_CHECKED)
        checked = f"mongodb://{head.removeprefix(SRV)}?{kept}"
        host = head.removeprefix(SRV).rpartition("@")[2].partition("/")[0]
        if "," in host or ":" in host:
            raise ConfigurationError(
                "the store's URL: mongodb+srv:// takes one host name, without a port"
            )
    with driver_errors_explained(url), warnings.catch_warnings():
        warnings.simplefilter("error")  # PyMongo warns of an option that it ignores
        parsed = parse_uri(checked)
    if parsed["collection"]:
        raise ConfigurationError(
            "the store's URL names a collection after the database; write ?collection= for it"
        )
    overridden = [name for name, _, value in pairs if _OURS.get(name.lower(), value) != value]
    encrypts = parsed["options"].get("tls", url.startswith(SRV))
    local = all(host.endswith(".sock") or is_local(host) for host, _ in parsed["nodelist"])
    return Parts(
        plain,
        parsed["database"],
        unquote_plus(ours[-1]) if ours else None,
        overridden,
        not (encrypts or local),
    )


def check_collection_name(name: str) -> None:
    """Raise `ConfigurationError` for a name that MongoDB does not take."""
    if not re.fullmatch(r"(?!system\.)[^.$\0]+(\.[^.$\0]+)*", name) or len(name) > MAX_NAME:
        raise ConfigurationError(
            "collection: MongoDB takes no empty name, none with a dollar sign, an empty part or "
            f"more than {MAX_NAME} characters, and none that begins with system."
        )


def name_of(url: str, database: str) -> str:
    """Return *url* without user name, password and options."""
    scheme, _, rest = url.partition("://")
    hosts = rest.rpartition("@")[2].partition("/")[0].partition("?")[0]
    return f"{scheme}://{hosts}/{database}"


@contextmanager
def driver_errors_explained(url: str) -> Iterator[None]:
    """Turn what PyMongo raises for *url* into `ConfigurationError`."""
    try:
        yield
    except (PyMongoError, ValueError, TypeError, OSError, Warning) as error:  # OSError: of a file
        raise ConfigurationError(_mistake(url, str(error))) from None


def _mistake(url: str, message: str) -> str:
    """Name the option that *message* is about; nothing else of a URL is safe to quote."""
    options = re.findall(r"[?&;]([A-Za-z]+)=", url.rpartition("@")[2])
    named = [option for option in options if option.lower() in message.lower()]
    if "No such file" in message or "Permission denied" in message:
        return "the store's URL: a MongoDB option names a file that cannot be read"
    if match := re.search(r"compression with \w+ .* You must install the (\S+) module", message):
        return (
            "the store's URL: a compressor needs a Python package that is not here: install "
            f"{match[1]}, or take it out of compressors"
        )
    if "compressor" in message:
        return "the store's URL: MongoDB has no such compressor: write snappy, zlib or zstd"
    if "X509" in message or "SSL" in message or "PEM" in message:
        return (
            "the store's URL: a file that tlsCAFile, tlsCRLFile or tlsCertificateKeyFile names is "
            "not a certificate, or its key needs another tlsCertificateKeyFilePassword"
        )
    if named:
        return f"the store's URL: MongoDB does not accept the option {' or '.join(named)}"
    return (
        "the store's URL is not a MongoDB URL: write mongodb://user:password@host:port/database, "
        "with user name and password percent-encoded"
    )
