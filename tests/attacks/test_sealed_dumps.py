"""What is found in a database that was stolen, and what may be planted in one."""

from __future__ import annotations

import base64
import os

import pytest

from app import SessionManager
from stores import EncryptedStore, Store
from tests.helpers.cookies import header_of
from tests.helpers.devices import Client, new_user, record_id, sign_in
from tests.helpers.dumps import dump
from tests.helpers.opened import while_open
from tests.helpers.own_stores import OwnStore

pytestmark = pytest.mark.usefixtures("sqlite_threads_end")

SECRETS = {
    "value": "4111-1111-1111-1111",
    "inside": "a wish in a list",
    "agent": "Agent/4.2 (Dumped)",
    "address": "203.0.113.77",
    "label": "the phone in the kitchen",
    "flash": "your card was refused",
}
"""What must not be read in a dump."""


async def live(store: Store, user: str) -> SessionManager:
    """Let a user sign in from two devices and use the session."""
    manager = SessionManager(store, keep_address=True)
    client = Client({"User-Agent": SECRETS["agent"]}, SECRETS["address"])
    cookie, _ = await sign_in(manager, user, client=client, label=SECRETS["label"])
    await sign_in(manager, user, client=client)
    session = await manager.load(header_of(cookie))
    session["card"] = SECRETS["value"]
    session["wishes"] = [{"text": SECRETS["inside"]}]
    session.flash(SECRETS["flash"])
    await session.commit()
    await manager.users.sign_out_everywhere(user, record_id(session))  # a fence, too
    again = await manager.load(header_of(cookie))
    assert again["card"] == SECRETS["value"]
    assert [d.agent for d in await again.devices()] == [SECRETS["agent"]]
    return manager


def readable(found: bytes) -> set[str]:
    """Return which of the secrets can be read, as they are or in base64."""
    return {
        name
        for name, text in SECRETS.items()
        if text.encode() in found or base64.b64encode(text.encode())[4:-4] in found
    }


@pytest.mark.gen_test(timeout=20)
async def test_a_dump_has_no_value_agent_address_or_label(own_place: OwnStore) -> None:
    user = new_user()
    async with while_open(own_place.store) as inner:
        await live(EncryptedStore(inner, {1: os.urandom(32)}), user)
        found = await dump(inner, own_place.url)
    assert readable(found) == set()
    # It is a dump of these sessions: this is said to be in clear.
    for clear in ("card", "wishes", user, "sealed:0001:"):
        assert clear.encode() in found


@pytest.mark.gen_test(timeout=20)
async def test_a_dump_without_keys_has_all_of_it(own_place: OwnStore) -> None:
    """So that the other test looks where it is."""
    async with while_open(own_place.store) as inner:
        await live(inner, new_user())
        found = await dump(inner, own_place.url)
    assert readable(found) == set(SECRETS)
