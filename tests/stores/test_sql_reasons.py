"""What the log says when an SQL database cannot be used: one line for each mistake."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import event

from app import SessionManager
from app.sessions.errors import SessionUnavailable
from stores import ConfigurationError, StoreUnavailable
from stores.contract import Create, Outcome
from stores.sql import SQLStore
from tests.helpers.database_servers import MariaDB, Postgres
from tests.helpers.records import make_record
from tests.helpers.servers import free_port, missing
from tests.helpers.sql_databases import ask, engine_of, opened, table
from tests.helpers.tls import Authority

pytestmark = pytest.mark.usefixtures("sqlite_threads_end")

__all__ = ["table"]  # fixtures


class Guarded(NamedTuple):
    """A server that wants passwords of `ada`, and TLS with a certificate of `bob`."""

    server: Any
    authority: Authority
    folder: Path

    def url(self, user: str, host: str = "127.0.0.1", **options: Any) -> str:
        scheme, _, rest = self.server.url.partition("://")
        rest = rest.replace("test@127.0.0.1", f"{user}@{host}")
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"{scheme}://{rest}" + (f"?{query}" if query else "")


DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
"""PostgreSQL that speaks TLS; the one in the wheel does not."""


class GuardedPostgres(Postgres):
    def program(self, name: str) -> Path:
        return DEBIAN[-1].with_name(name)

    def prepare(self) -> None:
        super().prepare()
        rules = (
            "host all test 127.0.0.1/32 trust",
            "host all ada 127.0.0.1/32 scram-sha-256",
            "hostssl all bob 127.0.0.1/32 cert",
        )
        (self.data / "pg_hba.conf").write_text("\n".join(rules) + "\n")


def prepared(folder: Path, authority: Authority) -> dict[str, Path]:
    """Return the files of a server's certificate and key, for the user that servers run as."""
    certificate, key = authority.issue("127.0.0.1")
    files = {"certificate": certificate, "key": key, "authority": authority.file}
    for name, file in files.items():
        files[name] = Path(shutil.copy(file, folder / name))
        files[name].chmod(0o600 if name == "key" else 0o644)
        if os.geteuid() == 0:
            os.chown(files[name], 65534, -1)
    return files


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def guarded(request: pytest.FixtureRequest) -> Iterator[Guarded]:
    if request.param == "postgresql" and not DEBIAN:
        pytest.skip("a PostgreSQL with TLS: not in /usr/lib/postgresql")
    if request.param == "mariadb" and (reason := missing("mariadbd", "mariadb-install-db")):
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        authority = Authority(folder)
        files = prepared(folder, authority)
        server = start(request.param, folder / "server", files)
        yield Guarded(server, authority, folder)
        server.stop()


def start(kind: str, folder: Path, files: dict[str, Path]) -> Any:
    more: Sequence[str]
    if kind == "postgresql":
        more = [
            *("-c", "ssl=on", "-c", f"ssl_cert_file={files['certificate']}"),
            *("-c", f"ssl_key_file={files['key']}", "-c", f"ssl_ca_file={files['authority']}"),
        ]
        return GuardedPostgres(folder, more=more)
    more = [
        *(f"--ssl-cert={files['certificate']}", f"--ssl-key={files['key']}"),
        f"--ssl-ca={files['authority']}",
    ]
    return MariaDB(folder, more=more)


@pytest.fixture(scope="module")
def users(guarded: Guarded) -> Guarded:
    """The server with its users."""

    async def create() -> None:
        if guarded.server.url.startswith("postgresql"):
            statements = [
                "CREATE ROLE ada LOGIN PASSWORD 'right'",
                "CREATE ROLE bob LOGIN",
                "GRANT ALL ON SCHEMA public TO ada",
                "GRANT ada TO bob",
            ]
        else:
            statements = [
                "CREATE USER ada@'127.0.0.1' IDENTIFIED BY 'right'",
                "GRANT ALL ON test.* TO ada@'127.0.0.1'",
                "CREATE USER bob@'127.0.0.1' REQUIRE X509",
                "GRANT ALL ON test.* TO bob@'127.0.0.1'",
            ]
        for statement in statements:
            await ask(guarded.server.url, statement)

    asyncio.run(create())
    return guarded


def sockets() -> int:
    """Return how many sockets this process has."""
    count = 0
    for entry in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            count += os.readlink(f"/proc/self/fd/{entry}").startswith("socket:")
    return count


async def reason(url: str, table: str) -> str:
    """Return what the log says of a service that has this store."""
    try:
        store = SQLStore(url, table=table)
    except ConfigurationError as error:
        return str(error)
    manager = SessionManager(store)
    before = sockets()
    try:
        await manager.ping()
    except SessionUnavailable as error:
        return error.what
    finally:
        await manager.close()
        deadline = time.monotonic() + 10
        while sockets() > before and time.monotonic() < deadline:  # TLS takes a while to end
            await asyncio.sleep(0.01)
    return ""


@pytest.mark.gen_test(timeout=60)
async def test_a_mistake_is_told_with_its_mend(users: Guarded, table: str, tmp_path: Path) -> None:
    is_postgresql = users.server.url.startswith("postgresql")
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other").file
    cert, key = users.authority.issue("bob")
    if is_postgresql:
        ca = "sslrootcert"
        tls: dict[str, Any] = {"sslmode": "verify-full"}
        own: dict[str, Any] = {"sslcert": cert, "sslkey": key}
        wrong_user, no_database = r"28P01 \(user name or password", r"3D000 \(no such database"
        no_certificate = "28000 .*pg_hba.conf"
    else:
        ca, tls = "ssl_ca", {}
        own = {"ssl_cert": cert, "ssl_key": key}
        wrong_user, no_database = r"1045 \(user name or password", "1044 .no such database, or"
        no_certificate = "1045"
    trusted = {**tls, ca: users.authority.file}
    port = str(users.server.port)
    cases = [
        ("right", users.url("ada:right"), ""),
        ("right over TLS", users.url("ada:right", **trusted), ""),
        ("right with a certificate", users.url("bob", **trusted, **own), ""),
        ("password", users.url("ada:hunter2"), wrong_user),
        ("user", users.url("nobody:hunter2"), "user name"),
        (
            "database",
            users.url("ada:right").rpartition("/")[0] + "/gone",
            no_database,
        ),
        ("port", users.url("ada:hunter2").replace(port, str(free_port())), "nothing listens at"),
        ("host", users.url("ada:hunter2", "no.such.host.invalid"), "host name is unknown"),
        ("host's name", users.url("ada:right", "localhost", **trusted), "another host name"),
        ("authority", users.url("ada:right", **{**trusted, ca: other}), f"unknown authority.*{ca}"),
        (
            "file of an authority",
            users.url("ada:right", **{**trusted, ca: "/nowhere/hunter2"}),
            f"file of {ca} is missing",
        ),
        ("certificate", users.url("bob", **trusted), no_certificate),
        ("key", users.url("bob", **trusted, **{**own, list(own)[1]: other}), "do not belong"),
    ]
    for mistake, url, expected in cases:
        told = await reason(url, table)
        if expected:
            assert re.search(expected, told), (mistake, told)
        else:
            assert told == "", (mistake, told)
        assert "hunter2" not in told, mistake


@pytest.mark.gen_test(timeout=30)
async def test_the_systems_authorities_are_trusted_when_asked(
    users: Guarded, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"ssl": "true"}
    if users.server.url.startswith("postgresql"):
        options = {"sslmode": "verify-full", "sslrootcert": "system"}
    url = users.url("ada:right", **options)
    assert "unknown authority" in await reason(url, table)
    monkeypatch.setenv("SSL_CERT_FILE", str(users.authority.file))
    assert await reason(url, table) == ""


@pytest.mark.gen_test(timeout=30)
async def test_a_server_without_tls_is_told(postgres: Any, mariadb: Any, table: str) -> None:
    told = await reason(f"{postgres.url}?sslmode=require", table)
    assert "offers no TLS, which the URL demands" in told
    told = await reason(f"{mariadb.url}?ssl=true", table)
    assert "offers no TLS, which the URL demands" in told


@pytest.mark.gen_test(timeout=30)
async def test_a_server_of_another_kind_is_told(postgres: Any, mariadb: Any, table: str) -> None:
    told = await reason(mariadb.url.replace("mariadb", "postgresql"), table)
    assert "no PostgreSQL is there" in told or "did not answer" in told, told
    told = await reason(postgres.url.replace("postgresql", "mariadb"), table)
    assert "2013" in told or "did not answer" in told, told


@pytest.mark.gen_test(timeout=30)
async def test_an_address_that_swallows_all_is_told(table: str) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        for scheme in ("postgresql", "mariadb"):
            told = await reason(f"{scheme}://ada:hunter2@127.0.0.1:{port}/app", table)
            assert "did not answer within 2.0 s, nor was there a connection" in told
            assert "hunter2" not in told


@pytest.mark.gen_test(timeout=30)
async def test_a_locked_file_of_sqlite_is_told(tmp_path: Path, table: str) -> None:
    url = f"sqlite:///{tmp_path}/sessions.db"
    async with opened(url, table) as store:
        assert await store.write([Create(make_record())]) == [Outcome.DONE]
        with sqlite3.connect(tmp_path / "sessions.db") as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match=r"SQLITE_BUSY \(another process holds"):
                await store.write([Create(make_record())])
            other.rollback()
        other.close()
    url = f"sqlite:///{tmp_path}/other.db"
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "SQLITE_BUSY (another process holds the lock" in await reason(url, table)
        other.rollback()
    other.close()


@pytest.mark.gen_test(timeout=30)
async def test_a_full_disk_of_sqlite_is_told_as_such(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/sessions.db"
    async with opened(url) as store:
        await store.write([Create(make_record())])
    async with engine_of(url) as engine:

        @event.listens_for(engine.sync_engine, "connect")
        def connected(connection: Any, _: Any) -> None:
            connection.cursor().execute("PRAGMA max_page_count = 12")

        async with opened(engine) as store:
            with pytest.raises(StoreUnavailable, match="SQLITE_FULL"):
                await store.write([Create(make_record(data={"x": "y" * 99_999}))])
            record = make_record()
            assert await store.write([Create(record)]) == [Outcome.DONE]
            assert await store.load([record.id]) == {record.id: record}
