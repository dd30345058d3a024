"""A commit of a request's working copy: one at a time, and what came meanwhile stays pending."""

from __future__ import annotations

import asyncio
import time

from app.sessions.errors import SessionError, SessionReadOnly
from app.sessions.pending import Pending
from app.sessions.stage import ON_SOCKET, READ_ONLY, REPLACED
from app.sessions.working_copy import WorkingCopy, waited


async def save(copy: WorkingCopy) -> None:
    """Have the store acknowledge the session's changes; its cookie waits for the head.

    Raises `SessionTooLarge`, `SessionConflict`, `SessionUnavailable`, and `TypeError` or
    `ValueError` for a nested value that cannot be kept. Nothing is written then.
    """
    if copy._saving is not False:  # by another task of the same request
        await settle(copy)
    copy._saving = True
    began = time.monotonic()
    try:
        changed, removed = copy._delta()
        if copy._stage is READ_ONLY:
            if changed or removed:
                raise SessionReadOnly(
                    "a list or dict of the session was changed in a group with read_only=True"
                )
            return
        if copy._gone or copy._stage >= REPLACED:
            copy._begin(None)
            return
        rotate, ended, presented = copy._rotating, copy._ended, copy._presented
        signs_in, proved, persistent = copy._signs_in, copy._proved, copy._persistent
        manager = copy._manager
        pending = Pending(
            presented,
            copy._saved,
            changed,
            removed,
            rotate,
            signs_in,
            ended > 0,
            copy._user,
            manager.cookie.persistent if persistent is None else persistent,
            presented.cookie or copy._cookie is not None,
            copy._extend_from or presented.at,
            copy._stage is ON_SOCKET,
            presented.waited + copy._waited if copy._first is None else waited(copy),
            copy._label,
            proved,
        )
        try:
            saved = await manager.save(pending)
        except SessionError as error:
            manager.commits.failed(pending, error)
            raise
        manager.commits.saved(pending, saved)
        if saved.gone or copy._gone:
            copy._mark_gone()
            return
        if saved.cookie is not None:
            copy._cookie = saved.cookie
        if presented.several and (ended or signs_in):
            copy._presented = presented._replace(several=())
        new_token = rotate or ended > 0 or copy._saved is None
        copy._acknowledge(saved.record, new_token=new_token, proved=proved, ended=ended)
    finally:
        (copy._first or copy)._waited += time.monotonic() - began
        waiting, copy._saving = copy._saving, False
        if isinstance(waiting, asyncio.Future):
            waiting.set_result(None)


def is_unsaved(copy: WorkingCopy) -> bool:
    """Tell whether there is something to save, be it changed while a commit was in flight."""
    if copy._gone:
        return False
    return bool(copy._rotating or copy._ended or (copy._local and any(copy._delta())))


async def settle(copy: WorkingCopy) -> None:
    """Wait for a commit that is in flight."""
    while copy._saving is not False:
        if copy._saving is True:
            copy._saving = asyncio.get_running_loop().create_future()
        # Several may wait for one commit, and one of them may be cancelled.
        await asyncio.wait((copy._saving,))


def is_saving(copy: WorkingCopy) -> bool:
    """Tell whether a commit is in flight."""
    return copy._saving is not False
