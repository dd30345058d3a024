"""Attacks on what the store keeps: a stolen dump, guesses by the hundred, the dead brought back."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import itertools
import marshal
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pymongo
import pytest
import redis

from app import SessionManager
from app.sessions import token
from app.sessions.cookie import MAX_CANDIDATES
from stores import MemoryStore, MongoStore, RedisStore, Store
from tests.helpers.account import account_routes
from tests.helpers.clock import FakeClock
from tests.helpers.cookies import token_of
from tests.helpers.records import sessions_in
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import SpyStore

Dump = Callable[[], list[Any]]


def memory_dump(request: pytest.FixtureRequest) -> tuple[Store, Dump]:
    store = MemoryStore()
    return store, lambda: [
        (id, marshal.loads(packed)) for group in store._groups for id, packed in group.items()
    ]


def mongo_dump(request: pytest.FixtureRequest) -> tuple[Store, Dump]:
    server, database = request.getfixturevalue("mongod"), f"dump{uuid.uuid4().hex}"

    def dump() -> list[Any]:
        with pymongo.MongoClient[dict[str, Any]](server.url) as client:
            return list(client[database]["sessions"].find())

    return MongoStore(server.url, database=database), dump


def redis_dump(request: pytest.FixtureRequest) -> tuple[Store, Dump]:
    server, prefix = request.getfixturevalue("valkey"), f"{uuid.uuid4().hex}:"

    def dump() -> list[Any]:
        with redis.Redis.from_url(server.url) as client:
            return [
                {key: client.hgetall(key), key.removeprefix(prefix.encode()): None}
                for key in client.scan_iter(f"{prefix}*")
            ]

    return RedisStore(server.url, prefix=prefix), dump


def strings_in(thing: Any) -> Iterator[bytes]:
    """Yield every text and byte string, also those that texts are the spelling of."""
    if isinstance(thing, str):
        yield from strings_in(thing.encode())
    elif isinstance(thing, bytes):
        yield thing
        for decode in (bytes.fromhex, lambda text: base64.urlsafe_b64decode(text + "==")):
            try:
                yield decode(thing.decode())
            except (ValueError, binascii.Error):
                continue
    elif isinstance(thing, dict):
        for pair in thing.items():
            yield from strings_in(list(pair))
    elif isinstance(thing, (list, tuple)):
        for item in thing:
            yield from strings_in(item)


def cookies_from(strings: list[bytes]) -> Iterator[str]:
    """Yield whatever might be made into a cookie of what a dump holds."""
    for raw in strings:
        yield from (raw.decode("latin-1"), raw.hex(), repr(raw))
        for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.b32encode):
            yield from (encode(raw).decode(), encode(raw).decode().rstrip("="))
        yield token.encode(raw[:16], raw[16:40])
    secrets = {
        made[part]
        for raw in strings
        for made in (raw, raw.hex().encode(), hashlib.sha256(raw).digest(), bytes(24))
        for part in (slice(24), slice(-24, None), slice(8, 32))
        if len(made[part]) == 24
    }
    ids = {raw for raw in strings if len(raw) == 16}
    for id, secret in itertools.product(ids, secrets):
        yield token.encode(id, secret)


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("kind", [memory_dump, mongo_dump, redis_dump])
async def test_a_dump_of_the_store_makes_no_cookie(
    serve: Callable[..., Site], request: pytest.FixtureRequest, kind: Any
) -> None:
    """Nothing in a dump of the store is a cookie or can be made into one."""
    store, dump = kind(request)
    manager = SessionManager(store)
    site = serve(account_routes(), manager)
    browser = site.browser()
    await browser.text("/cart?item=secret")
    for path in ("/sign-in?user=ada", "/renew"):  # so that there is a former secret, too
        await browser.text(path)
    good = browser.cookies["session"]
    id, secret = token.decode(good)

    strings = list(dict.fromkeys([*strings_in(dump()), token.public_id(id).encode()]))
    hashed = token.hash_secret("session", secret)
    assert {id, hashed} <= set(strings)  # it is the dump of this session
    candidates = set(cookies_from(strings))
    assert token.encode(id, hashed[:24]) in candidates
    assert len(candidates) > 100
    assert not any(good in text for text in candidates)
    sessions = await asyncio.gather(*(manager.load(f"session={text}") for text in candidates))
    for text, session in zip(candidates, sessions, strict=True):
        assert (session.live, dict(session)) == (False, {}), text
    thief = site.browser()
    for text in (token.public_id(id), token.encode(id, hashed[:24]), hashed.hex()):
        thief.cookies["session"] = text
        assert await thief.text("/who") == "[null, {}, false]"
    assert await browser.text("/private") == "private to ada"


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("kind", [memory_dump, mongo_dump, redis_dump])
async def test_the_store_is_never_given_a_token_or_its_secret(
    serve: Callable[..., Site], request: pytest.FixtureRequest, kind: Any
) -> None:
    store, dump = kind(request)
    browser = serve(account_routes(), SessionManager(store)).browser()
    given = []
    for path in ("/cart?item=x", "/sign-in?user=ada", "/renew", "/cart?item=y"):
        await browser.text(path)
        given.append(browser.cookies["session"])
    strings = list(strings_in(dump()))
    for text in given:
        _, secret = token.decode(text)
        for spelling in (text.encode(), text[22:].encode(), secret, secret.hex().encode()):
            assert not any(spelling in string for string in strings)


# The comparison. That it takes the same time for every wrong secret is compare_digest's promise; a
# statistical test of it over HTTP is noise on any shared machine. Here: nothing else decides.


@pytest.mark.gen_test
async def test_the_secrets_hash_is_compared_in_constant_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The secret is compared by its hash, in constant time, and by nothing else."""
    manager = SessionManager(MemoryStore())
    good = await new_token(manager)
    id, secret = token.decode(good)
    wrong = [bytes(24), secret[:-1] + bytes([secret[-1] ^ 1]), bytes([secret[0] ^ 1]) + secret[1:]]
    compared: list[tuple[bytes, bytes]] = []
    verdict = False

    def compare(one: bytes, two: bytes) -> bool:
        compared.append((one, two))
        return verdict

    monkeypatch.setattr("app.sessions.recognition.compare_digest", compare)
    for verdict in (False, True):
        for presented in (secret, *wrong):
            compared.clear()
            session = await manager.load(f"session={token.encode(id, presented)}")
            assert session.live is verdict
            assert compared == [
                (token.hash_secret("session", presented), token.hash_secret("session", secret))
            ]
    monkeypatch.undo()
    assert (await manager.load(f"session={good}")).live
    for presented in wrong:
        assert not (await manager.load(f"session={token.encode(id, presented)}")).live


async def new_token(manager: SessionManager, user: str = "") -> str:
    session = await manager.load(None)
    session["kept"] = "yes"
    if user:
        session.sign_in(user)
    return token_of(await session.commit())


# Guessing


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("what", ["secrets of one id", "tokens"])
async def test_a_guess_costs_the_store_one_read_at_most_and_no_write(
    serve: Callable[..., Site], what: str
) -> None:
    guesses = 300
    store = SpyStore()
    site = serve(account_routes(), SessionManager(store))
    browser = site.browser()
    await browser.text("/cart?item=secret")
    id, _ = token.decode(browser.cookies["session"])
    store.calls.clear()

    async def guess(number: int) -> bytes:
        known = id if what != "tokens" else token.new_id()
        text = token.encode(known, token.new_secret())
        path = ("/who", "/sign-out")[number % 2]
        response = await site.fetch(path, headers={"Cookie": f"session={text}"})
        assert response.code == 200
        return response.body

    answers = set(await asyncio.gather(*map(guess, range(guesses))))
    assert answers == {b"[null, {}, false]", b"bye"}
    assert {operation for operation, _ in store.calls} == {"load"}
    assert len(store.calls) <= guesses
    assert sum(len(ids) for _, ids in store.calls) <= guesses
    assert await browser.text("/cart") == "secret"


@pytest.mark.gen_test
async def test_many_guesses_in_one_request_read_few_records() -> None:
    store = SpyStore()
    manager = SessionManager(store)
    for number in (1, 2, MAX_CANDIDATES, MAX_CANDIDATES + 1, 100, 1000):
        texts = [token.encode(token.new_id(), token.new_secret()) for _ in range(number)]
        await manager.load("; ".join(f"session={text}" for text in texts))
        read = [id for operation, ids in store.calls for id in ids]
        assert read == [token.decode(text)[0] for text in texts if number <= MAX_CANDIDATES]
        assert set(store.kinds) <= {"load"}


# What is gone stays gone


@pytest.mark.gen_test
@pytest.mark.parametrize("how", ["evicted", "swept", "signed out"])
async def test_an_ended_session_is_not_brought_back(clock: FakeClock, how: str) -> None:
    """A session that is gone is not brought back by a request that still has it."""
    store = MemoryStore(max_sessions=4)  # two signed-in ones, each with its user's record
    manager = SessionManager(store, idle_timeout=timedelta(minutes=10), clock=clock)
    good = await new_token(manager)
    clock.advance(599)  # a touch is due
    late = [await manager.load(f"session={good}") for _ in range(5)]
    assert all(session.live for session in late)
    if how == "evicted":
        others = [await new_token(manager, user) for user in ("ada", "eve")]
        store.max_sessions = 5  # there is room for what comes now
    elif how == "swept":
        clock.advance(120)
        assert await store.sweep(clock(), 10) == 1
    else:
        session = await manager.load(f"session={good}")
        session.sign_out()
        await session.commit()
    left = sessions_in(store)

    late[1]["kept"] = "again"
    late[2].regenerate()
    late[3].destroy()
    if how != "swept":  # else it begins a session of its own
        late[4].sign_in("mallory")
    for session in late:
        cookie = await session.commit()
        assert cookie is None or "Max-Age=0" in cookie
    assert sessions_in(store) == left
    session = await manager.load(f"session={good}")
    assert (session.live, dict(session)) == (False, {})
    if how == "evicted":
        for other in others:
            assert (await manager.load(f"session={other}")).live


@pytest.mark.gen_test
async def test_an_expired_session_is_dead_while_still_stored(clock: FakeClock) -> None:
    store = MemoryStore()
    manager = SessionManager(
        store, idle_timeout=timedelta(minutes=10), lifetime=timedelta(minutes=25), clock=clock
    )
    good = await new_token(manager)
    for minutes, lives in ((9, True), (9, True), (6.9, True), (0.2, False), (60, False)):
        clock.advance(60 * minutes)
        session = await manager.load(f"session={good}")
        assert session.live is lives, minutes
        await session.commit()
    assert len(store) == 1
