"""What the log says of each mistake that people make with Redis: what is wrong, and the mend."""

from __future__ import annotations

import re
import socket
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from stores import StoreUnavailable
from stores.contract import Create, Delete, Outcome, Update
from stores.redis import RedisStore
from tests.helpers.database_servers import Valkey
from tests.helpers.process import ROOT
from tests.helpers.records import make_record, make_rotation
from tests.helpers.servers import free_port, missing
from tests.helpers.tls import Authority, tls_in_front_of

DONE = Outcome.DONE
TIMEOUT = 1.0
README = ROOT / "stores" / "README.md"


async def reason_of_opening(url: str) -> str:
    """Return what a store says that cannot be opened; no password is in it."""
    store = RedisStore(url, timeout=TIMEOUT)
    try:
        with pytest.raises(StoreUnavailable) as caught:
            await store.open()
    finally:
        await store.close()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


# TLS

TLS_MISTAKES = {
    "an unknown CA": (
        "rediss://127.0.0.1:{port}",
        "unknown CA; name the CA's file by ssl_ca_certs",
    ),
    "another host": (
        "rediss://127.0.0.1:{named}?ssl_ca_certs={ca}",
        "certificate is for another host; write the name",
    ),
    "plain to TLS": ("redis://127.0.0.1:{port}", "if it speaks TLS, write rediss://"),
    "TLS to plain": (
        "rediss://127.0.0.1:{plain}?ssl_ca_certs={ca}",
        "no TLS handshake; if the server speaks no TLS, write redis://",
    ),
    "no certificate": (
        "rediss://127.0.0.1:{asking}?ssl_ca_certs={ca}",
        "client's certificate, name one by ssl_certfile and ssl_keyfile",
    ),
}


@asynccontextmanager
async def tls_ports(valkey: Any, authority: Authority) -> AsyncIterator[dict[str, Any]]:
    """Ports of one server: plain, with TLS, with a certificate for another host, asking for one."""
    other_host = authority.server_context("valkey.example")
    asking = authority.server_context("127.0.0.1", ask_client=True)
    async with (
        tls_in_front_of(valkey.port, authority.server_context("127.0.0.1")) as port,
        tls_in_front_of(valkey.port, other_host) as named,
        tls_in_front_of(valkey.port, asking) as ask,
    ):
        ports = {"port": port, "named": named, "asking": ask, "plain": valkey.port}
        yield {**ports, "ca": authority.file}


@pytest.mark.gen_test(timeout=20)
@pytest.mark.parametrize("kind", TLS_MISTAKES)
@pytest.mark.parametrize("cluster", ["", "+cluster"])
async def test_a_mistake_with_tls_is_told_with_its_mend(
    valkey: Any, authority: Authority, kind: str, cluster: str
) -> None:
    url, reason = TLS_MISTAKES[kind]
    async with tls_ports(valkey, authority) as ports:
        told = await reason_of_opening(url.format(**ports).replace("://", f"{cluster}://:hunter2@"))
    assert reason in told


@pytest.mark.gen_test(timeout=20)
async def test_tls_without_a_mistake_works(valkey: Any, authority: Authority) -> None:
    certificate, key = authority.issue("client")
    own = f"ssl_certfile={certificate}&ssl_keyfile={key}"
    async with tls_ports(valkey, authority) as ports:
        for port in ("port", "asking"):
            url = f"valkeys://127.0.0.1:{ports[port]}?ssl_ca_certs={authority.file}&{own}"
            store = RedisStore(url)
            await store.open()
            assert await store.load([bytes(16)]) == {}
            await store.close()


@pytest.mark.gen_test(timeout=20)
async def test_a_cluster_is_reached_by_tls(valkey_cluster: Any, authority: Authority) -> None:
    """As far as one node: the others, whose ports speak no TLS, are told by the slots' map."""
    context = authority.server_context("127.0.0.1")
    async with tls_in_front_of(valkey_cluster.nodes[0].port, context) as port:
        url = f"rediss+cluster://127.0.0.1:{port}?ssl_ca_certs={authority.file}"
        assert "write redis://" in await reason_of_opening(url)


# Addresses and rights


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://127.0.0.1:{free}", "nobody listens at its address; start it, or correct"),
        ("redis+cluster://127.0.0.1:{free}", "nobody listens at its address"),
        ("redis://nowhere.invalid", "host name is not known"),
        ("unix:///nowhere/valkey.sock", "no socket at its path"),
        ("redis://:hunter2@127.0.0.1:{port}", "no password; write the URL without one"),
        ("redis://eve:hunter2@127.0.0.1:{port}", "WRONGPASS (the user name or the password"),
        ("redis://127.0.0.1:{port}/99", "no database of this number; raise its setting databases"),
        ("redis+cluster://127.0.0.1:{port}", "it is no cluster; write redis://"),
        ("redis+sentinel://127.0.0.1:{port}/a", "it is no Sentinel; name Sentinel's port"),
        ("redis+sentinel://127.0.0.1:{free}/a", "Sentinel: Redis does not answer (nobody listens"),
    ],
)
async def test_a_wrong_address_is_told_with_its_mend(valkey: Any, url: str, reason: str) -> None:
    assert reason in await reason_of_opening(url.format(port=valkey.port, free=free_port()))


@pytest.mark.gen_test
async def test_a_member_of_a_cluster_is_told_to_be_one(valkey_cluster: Any) -> None:
    store = RedisStore(f"redis://127.0.0.1:{valkey_cluster.nodes[0].port}")
    with pytest.raises(StoreUnavailable, match=r"write redis\+cluster://"):
        await store.open()
        await store.load([bytes([n]) * 16 for n in range(50)])
    await store.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    """A server whose settings and users a test may change."""
    if reason := missing("valkey-server"):
        pytest.skip(reason)
    server = Valkey(tmp_path, more=("--bind", "0.0.0.0"))
    yield server
    server.kill()


@pytest.mark.gen_test
async def test_a_password_that_is_wanted_or_wrong_is_told(server: Valkey) -> None:
    server.admin("ACL", "SETUSER", "ada", "on", ">hunter2", "~*", "+@all")
    server.admin("ACL", "SETUSER", "default", "resetpass", ">hunter2")
    address = f"127.0.0.1:{server.port}"
    assert "NOAUTH (it asks for a password" in await reason_of_opening(f"redis://{address}")
    for user in ("", "ada"):
        assert "WRONGPASS" in await reason_of_opening(f"redis://{user}:hunter22@{address}")


@pytest.mark.gen_test
async def test_protected_mode_is_told_with_its_mend(server: Valkey) -> None:
    address = _address_of_this_machine()
    if address is None:
        pytest.skip("this machine has no address but the loopback's")
    url = f"redis://{{}}{address}:{server.port}"
    assert "in protected mode; give it a password" in await reason_of_opening(url.format(":x@"))
    # The server has gone before it is read: the reason is lost on the way.
    assert "password, for protected mode refuses" in await reason_of_opening(url.format(""))


def _address_of_this_machine() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("rights", "reason"),
    [
        # Within the script; Redis 7 does not tell the command.
        ("-hset", r"its user may not run (HSET|a command that the store needs); grant the rights"),
        ("-exists", r"its user may not run (EXISTS|a command that the store needs); grant"),
        ("-evalsha", "its user may not run EVALSHA; grant"),
        ("-eval", "its user may not run EVAL; grant"),
        ("resetkeys ~other:*", "may not use keys with the store's prefix; grant ~session"),
    ],
)
async def test_a_right_that_is_missing_is_told(server: Valkey, rights: str, reason: str) -> None:
    rights_of_readme(server)
    store = RedisStore(f"redis://sessions:PASSWORD@127.0.0.1:{server.port}")
    await store.open()
    server.admin("ACL", "SETUSER", "sessions", *rights.split())
    with pytest.raises(StoreUnavailable, match=reason):
        await store.write([Create(make_record())])
    await store.close()


def rights_of_readme(server: Valkey) -> None:
    """Run the commands that stores/README.md lists."""
    commands = re.findall(r"^ +(ACL SETUSER sessions .*)$", README.read_text(), re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        server.admin(*command.split())


async def use_all(store: RedisStore) -> None:
    """Create, load, change and remove sessions by all that an update has."""
    records = [make_record(data={"n": 1}) for _ in range(12)]
    await store.open()
    assert await store.write([Create(record) for record in records]) == [DONE] * 12
    for record in records:
        rotation = make_rotation(record, user="ada", authenticated=5.0, expected_rotated=0.0)
        rest = (record.expires + 9, rotation, 7.0)
        update = Update(record.id, {"m": 2}, ["n"], *rest, limit=100)
        assert await store.write([update]) == [DONE]
        large = Update(record.id, {"l": "x" * 100}, limit=100)
        assert await store.write([large]) == [Outcome.TOO_LARGE]
        assert await store.load([record.id]) == {record.id: update.applied_to(record)}
        new = make_record(data={"a": 1})
        assert await store.write([Update(new.id, {"b": 1}, or_create=new)]) == [DONE]
    assert (await store.count(exact=True)).number >= 24
    assert (await store.count()).number >= 24
    found, after, _ = await store.scan(None, 10)
    assert after is not None or len(found) >= 24
    assert await store.write([Delete(record.id) for record in records]) == [DONE] * 12
    await store.ping()


@pytest.mark.gen_test
async def test_the_rights_that_are_listed_suffice(
    server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    rights_of_readme(server)
    for database in (0, 3):
        store = RedisStore(f"redis://sessions:PASSWORD@127.0.0.1:{server.port}/{database}")
        await use_all(store)
        server.admin("SCRIPT", "FLUSH")
        await use_all(store)
        await store.close()
    assert caplog.messages == []


@pytest.mark.gen_test(timeout=30)
async def test_the_rights_that_are_listed_suffice_in_a_cluster(
    valkey_cluster: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for node in valkey_cluster.nodes:
        rights_of_readme(node)
    store = RedisStore(valkey_cluster.url.replace("://", "://sessions:PASSWORD@"))
    await use_all(store)
    await store.close()
    assert caplog.messages == []
    for node in valkey_cluster.nodes:
        node.admin("ACL", "DELUSER", "sessions")


RIGHTS = [
    *("hgetall", "hmget", "hset", "hdel", "hlen", "exists", "unlink", "pexpireat"),
    *("eval", "evalsha", "time", "info", "scan", "dbsize"),
]


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("right", RIGHTS)
async def test_no_right_is_listed_in_vain(
    server: Valkey, right: str, caplog: pytest.LogCaptureFixture
) -> None:
    rights_of_readme(server)
    server.admin("ACL", "SETUSER", "sessions", f"-{right}")
    before = denied(server)
    store = RedisStore(f"redis://sessions:PASSWORD@127.0.0.1:{server.port}")
    with suppress(StoreUnavailable):
        await use_all(store)
    await store.close()
    assert denied(server) > before


def denied(server: Valkey) -> int:
    """Return how often the server refused somebody a command."""
    stats = server.admin("INFO", "stats")
    return int(stats["acl_access_denied_cmd"])
