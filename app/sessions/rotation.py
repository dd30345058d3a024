"""Replacing a session's token, and undoing that when its outcome is not known."""

from __future__ import annotations

import asyncio
import logging

from app.sessions import token
from app.sessions.errors import SessionUnavailable
from app.sessions.gateway import Gateway
from stores.contract import Record, Rotation, Update

log = logging.getLogger(__name__)

UNDO_ATTEMPTS = 60
"""Tries, a second apart, at undoing a rotation that the store may or may not have made."""


def rotate(saved: Record, user: str | None, persistent: bool, now: float) -> tuple[Rotation, bytes]:
    """Return a rotation of *saved* to a new secret, and that secret."""
    secret = token.new_secret()
    rotation = Rotation(
        expected_hash=saved.secret_hash,
        secret_hash=token.hash_secret(secret),
        rotated=now,
        user=user,
        persistent=persistent,
    )
    return rotation, secret


async def undo_rotation(gateway: Gateway, inverse: Update) -> None:
    """Send *inverse* until the store has answered."""
    for _ in range(UNDO_ATTEMPTS):
        try:
            await gateway.write(inverse)
            return
        except SessionUnavailable:
            await asyncio.sleep(1)
    log.warning("store %s: a session may have lost its token", gateway.store.name)


def inverse_of(saved: Record, update: Update, rotation: Rotation, now: float) -> Update:
    """Return the inverse of *update*, a rotation of *saved* whose outcome is not known.

    The client was told 503 and knows no other token than the former one, which must go on working,
    and with the rights it had. Where the rotation was not made, this is a conflict and harmless:
    nobody else knows the secret it expects.
    """
    changed = (*update.set, *update.unset)
    return Update(
        saved.id,
        set={key: saved.data[key] for key in changed if key in saved.data},
        unset=[key for key in update.set if key not in saved.data],
        rotation=Rotation(
            expected_hash=rotation.secret_hash,
            secret_hash=saved.secret_hash,
            rotated=now,
            user=saved.user,
            persistent=saved.persistent,
        ),
    )
