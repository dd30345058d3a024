"""What the log says of a MongoDB that cannot be used: what is wrong, and the mend."""

from __future__ import annotations

import logging
import os
import socket
import socketserver
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymongo
import pytest
from pymongo import AsyncMongoClient

from app.sessions.errors import SessionUnavailable
from app.sessions.gateway import Gateway
from stores import ConfigurationError, MongoStore, open_store
from stores.contract import Create, Outcome
from tests.helpers.database_servers import Mongod
from tests.helpers.mongo_servers import AskingMongod, GuardedMongod, TLSMongod
from tests.helpers.records import make_record
from tests.helpers.servers import free_port, missing

TIMEOUT = 1.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mongo-mistakes")


def _run(kind: Callable[[Path], Mongod], folder: Path, *programs: str) -> Iterator[Any]:
    if reason := missing("mongod", *programs):
        pytest.skip(reason)
    server = kind(folder / kind.__name__)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def tls(folder: Path) -> Iterator[TLSMongod]:
    yield from _run(TLSMongod, folder, "openssl")


@pytest.fixture(scope="module")
def asking(folder: Path) -> Iterator[AskingMongod]:
    yield from _run(AskingMongod, folder, "openssl")


@pytest.fixture(scope="module")
def guarded(folder: Path) -> Iterator[GuardedMongod]:
    yield from _run(GuardedMongod, folder)


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def http_port() -> Iterator[int]:
    """The port of a server of HTTP."""
    with socketserver.TCPServer(("127.0.0.1", 0), _Http) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


class _Http(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(65_536)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


Url = Callable[[Callable[[str], Any]], str]
"""Makes a URL, given what returns a fixture."""


def _tls(get: Callable[[str], Any], host: str, options: str, server: str = "tls") -> str:
    mongod = get(server)
    ca = quote(str(mongod.authority.file), safe="")
    return f"mongodb://{host}:{mongod.port}/?{options.format(ca=ca)}"


MISTAKES: dict[str, tuple[Url, str]] = {
    "a CA that is not known": (
        lambda get: _tls(get, "localhost", "tls=true"),
        "a CA that is not known here has signed its certificate: name the CA's file by tlsCAFile",
    ),
    "a certificate for another host": (
        lambda get: _tls(get, "127.0.0.1", "tls=true&tlsCAFile={ca}"),
        "its certificate is for another host name",
    ),
    "TLS that is not asked for": (
        lambda get: _tls(get, "localhost", ""),
        r"it closes connections: it may want TLS \(tls=true",
    ),
    "TLS that is not spoken": (
        lambda get: f"mongodb://127.0.0.1:{get('mongod').port}/?tls=true",
        "the TLS handshake fails: it may not speak TLS",
    ),
    "no certificate of ours": (
        lambda get: _tls(get, "localhost", "tls=true&tlsCAFile={ca}", "asking"),
        r"or a certificate of ours \(tlsCertificateKeyFile\)",
    ),
    "another replica set": (
        lambda get: f"mongodb://127.0.0.1:{get('mongod').port}/?replicaSet=other",
        "no host of the store's URL is in a replica set other: check replicaSet",
    ),
    "another replica set, one node": (
        lambda get: (
            f"mongodb://127.0.0.1:{get('mongod').port}/?replicaSet=other&directConnection=true"
        ),
        "it is in the replica set rs, not in other: check replicaSet",
    ),
    "a replica set where there is none": (
        lambda get: _tls(get, "localhost", "tls=true&tlsCAFile={ca}&replicaSet=rs"),
        "no host of the store's URL is in a replica set rs: check replicaSet",
    ),
    "a host that nobody knows": (
        lambda get: "mongodb://sessions.invalid/",
        "sessions.invalid:27017: no name server knows this host: check the store's URL",
    ),
    "a port where nobody listens": (
        lambda get: f"mongodb://127.0.0.1:{free_port()}/",
        "nobody listens there: start MongoDB, or check host and port",
    ),
    "two hosts, each in its way": (
        lambda get: f"mongodb://127.0.0.1:{free_port()},sessions.invalid/?replicaSet=rs",
        "nobody listens there.*; sessions.invalid:27017: no name server knows",
    ),
    "a server that says nothing": (
        lambda get: f"mongodb://127.0.0.1:{get('silent')}/",
        "it gives no answer",
    ),
    "a server of HTTP": (
        lambda get: f"mongodb://127.0.0.1:{get('http_port')}/",
        "it is not MongoDB: check host and port",
    ),
    "a SRV name that nobody knows": (
        lambda get: "mongodb+srv://sessions.invalid/",
        "no name server has a SRV record of the host in the store's URL",
    ),
    "a wrong password": (
        lambda get: get("guarded").url_of("root", "hunter2", "admin"),
        "AuthenticationFailed: check user name, password and authSource",
    ),
    "another database than the user's": (
        lambda get: get("guarded").url_of("root", "hunter2", "app"),
        "AuthenticationFailed: check user name, password and authSource",
    ),
    "a mechanism that is off": (
        lambda get: get("guarded").url_of("root", "root", "admin", "&authMechanism=PLAIN"),
        "MechanismUnavailable: check authMechanism",
    ),
    "no password": (
        lambda get: f"mongodb://127.0.0.1:{get('guarded').port}/",
        "Unauthorized: the user lacks a right that stores/README.md lists",
    ),
}


@pytest.mark.gen_test(timeout=20)
@pytest.mark.parametrize("kind", ["motor", "pymongo"])
@pytest.mark.parametrize(("url", "reason"), MISTAKES.values(), ids=MISTAKES)
async def test_the_log_says_why_and_the_mend(
    request: pytest.FixtureRequest, kind: str, url: Url, reason: str
) -> None:
    """The gateway's own deadline does not hide what the driver found."""
    text = url(request.getfixturevalue)
    client: Any = AsyncMongoClient(text) if kind == "pymongo" else None
    gateway = Gateway(MongoStore(client or text, timeout=TIMEOUT))
    try:
        with pytest.raises(SessionUnavailable, match=reason) as caught:
            await gateway.open()
    finally:
        await gateway.close()
        if client is not None:
            await client.close()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


# What a URL cannot say


def test_a_compressor_without_its_package_is_told() -> None:
    for url in ("mongodb://localhost/?compressors=snappy", "mongodb+srv://h/?compressors=snappy"):
        with pytest.raises(ConfigurationError, match=r"install python-snappy, or take it out of"):
            open_store(url)
    with pytest.raises(ConfigurationError, match="no such compressor: write snappy"):
        open_store("mongodb://localhost/?compressors=hunter2")


@pytest.mark.gen_test
async def test_a_certificate_file_that_is_none_is_told(tmp_path: Path) -> None:
    file = tmp_path / "hunter2"
    file.write_text("no certificate")
    for option in ("tlsCAFile", "tlsCertificateKeyFile"):
        with pytest.raises(ConfigurationError, match="is not a certificate") as caught:
            await MongoStore(
                f"mongodb://localhost/?tls=true&{option}={quote(str(file), '')}"
            ).open()
        assert "hunter2" not in str(caught.value)


@pytest.mark.gen_test
async def test_options_that_have_no_effect_are_told_once(
    mongod: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    unsafe = "readPreference=secondary&w=1&journal=false&readConcernLevel=available"
    for more in (unsafe, "w=0"):
        store = MongoStore(f"{mongod.url}&{more}")
        for _ in range(2):
            await store.open()
            await store.close()
    told = [record.getMessage() for record in caplog.records if "no effect" in record.getMessage()]
    assert len(told) == 2
    assert ": readPreference, w, journal, readConcernLevel in its URL has no effect:" in told[0]
    assert ": w in its URL has no effect:" in told[1]


@pytest.mark.gen_test
async def test_options_that_say_what_is_done_anyway_are_not_told(
    mongod: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    store = MongoStore(f"{mongod.url}&readPreference=primary&w=majority&journal=true&appName=x")
    await store.open()
    await store.close()
    assert not caplog.records


# Collections


@pytest.mark.gen_test
async def test_a_url_names_a_collection(mongod: Any) -> None:
    """Two applications in one database know nothing of each other's sessions."""
    database = f"test_{os.urandom(6).hex()}"
    base = mongod.url.replace("/test?", f"/{database}?")
    urls = [base, f"{base}&collection=shop.sessions", base.replace("?", "?Collection=caf%C3%A9&")]
    stores = [open_store(url) for url in urls]
    record = make_record()
    for store in stores:
        await store.open()
        assert await store.write([Create(record)]) == [Outcome.DONE]
        await store.close()
    with pymongo.MongoClient[dict[str, Any]](mongod.url) as administrator:
        names = administrator[database].list_collection_names()
        administrator.drop_database(database)
    assert sorted(names) == ["caf\u00e9", "sessions", "shop.sessions"]
    assert [store.name.partition("?")[2] for store in stores] == [
        *("", "collection=shop.sessions", "collection=caf\u00e9")
    ]


@pytest.mark.parametrize("name", ["", "$x", "a..b", ".a", "a.", "system.users", "x" * 201, "a\0"])
def test_a_name_that_no_collection_has_is_told(name: str) -> None:
    with pytest.raises(ConfigurationError, match="collection: MongoDB takes no"):
        MongoStore("mongodb://localhost", collection=name)
    with pytest.raises(ConfigurationError, match="collection: MongoDB takes no"):
        MongoStore(f"mongodb://localhost/?collection={quote(name, '')}")
