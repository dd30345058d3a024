"""Sessions of users without HTTP: sign in, open a cookie, look at what a user's record lists."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Mapping
from contextvars import Context
from typing import Any, NamedTuple

from app import Session, SessionManager
from app.sessions import token, user_record
from stores import Store
from stores.contract import JSON, Record
from tests.helpers.cookies import header_of

_numbers = itertools.count()


def new_user(name: str = "ada") -> str:
    """Return a user's name that no other test has."""
    return f"{name}-{next(_numbers)}-{os.urandom(4).hex()}"


class Client(NamedTuple):
    """What a request says of its client."""

    headers: Mapping[str, str]
    remote_ip: str | None = "203.0.113.9"


def client(agent: str | None) -> Client:
    return Client({} if agent is None else {"User-Agent": agent})


async def sign_in(
    manager: SessionManager, user: str, cookie: str | None = None, **options: Any
) -> tuple[str | None, Session]:
    """Sign in as *user*, under *cookie* if there is one; return the new cookie and the session."""
    header = None if cookie is None else header_of(cookie)
    session = await manager.load(header, client=options.pop("client", None))
    session.sign_in(user, **options)
    return await session.commit(), session


async def user_of(manager: SessionManager, cookie: str | None) -> str | None:
    """Return who is signed in under *cookie*."""
    return None if cookie is None else (await manager.load(header_of(cookie))).user


async def listed(store: Store, user: str) -> Mapping[str, JSON]:
    """Return what the record of *user* has under each key."""
    id = user_record.id_of(user)
    found = (await store.load([id])).get(id)
    assert found is None or isinstance(found, Record), found
    return {} if found is None else found.data


def record_id(session: Session) -> bytes:
    """Return the id of the session's record."""
    id = None if session.id is None else token.record_id(session.id)
    assert id is not None
    return id


async def everywhere(manager: SessionManager, user: str, keep: Session | None = None) -> int:
    """Say "everywhere" in a request of its own, whatever the test has loaded."""
    saying = manager.sign_out_everywhere(user, keep)
    return await asyncio.get_running_loop().create_task(saying, context=Context())
