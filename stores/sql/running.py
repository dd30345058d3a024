"""Operations on a database: within a deadline, repeated where that helps, failing in one way."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from stores.contract import StoreUnavailable
from stores.sql.attempt import Attempt
from stores.sql.engine import Engine
from stores.sql.errors import (
    PoolerFound,
    is_absent,
    is_worth_repeating,
    may_work_elsewhere,
    reason_of,
    refuses_a_row,
)

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

PAUSE = 0.02
"""The longest pause, in seconds, before a transaction is repeated."""

MARGIN = 0.1
"""The part of the time-out, at most so many seconds, that is left to tell why it passed."""


class RowRefused(StoreUnavailable):
    """The database cannot keep what is in one of the rows."""


class Runner:
    """Runs operations in connections of an engine, which *make_engine* makes for a pooler or not.

    *restore* makes a table that was dropped.
    """

    def __init__(
        self,
        make_engine: Callable[[bool], Engine],
        database: str,
        timeout: float,
        restore: Callable[[Attempt], None],
    ) -> None:
        self._make_engine = make_engine
        self._engine = make_engine(False)
        self._database = database
        self._timeout = timeout
        self._restore = restore
        self._tasks: set[asyncio.Task[Any]] = set()  # operations, also those past their deadline

    async def close(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._timeout)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                await self._engine.close()

    def renew(self) -> None:
        """Let what follows use new connections; close the former when nothing runs in them."""
        engine, self._engine = self._engine, self._make_engine(False)
        task = asyncio.create_task(self._retire(engine, set(self._tasks)))
        self._tasks.add(task)
        task.add_done_callback(self._forget_task)

    async def _retire(self, engine: Engine, running: set[asyncio.Task[Any]]) -> None:
        if running:
            await asyncio.wait(running, timeout=self._timeout)
        await engine.close()

    async def run(self, work: Callable[[Attempt], Answer]) -> Answer:
        """Do *work* within the deadline; turn every failure into `StoreUnavailable`."""
        attempt = Attempt()
        # In a task of its own: a cancelled driver may wait for the server once more.
        task = asyncio.create_task(self._repeat(attempt, work))
        self._tasks.add(task)
        task.add_done_callback(self._forget_task)
        # Who called has the same deadline, and knows no reason.
        timeout = self._timeout - min(MARGIN, self._timeout / 10)
        try:
            await asyncio.wait((task,), timeout=timeout)
        finally:
            if not task.done():
                attempt.give_up(task)
        if not task.done():
            reason = f"{self._database} did not answer within {self._timeout} s"
            if attempt.repeated_because:
                reason += f"; {attempt.repeated_because}"
            elif not attempt.connected:
                reason += ", nor was there a connection: a wrong address, or a firewall between?"
            raise StoreUnavailable(reason)
        return task.result()

    def _forget_task(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    async def _repeat(self, attempt: Attempt, work: Callable[[Attempt], Answer]) -> Answer:
        """Do *work*; repeat it when it was rolled back and a repetition may succeed."""
        renewed = restored = False
        while not attempt.given_up:
            engine = self._engine
            try:
                return await attempt.run(engine, work)
            except PoolerFound:
                if engine is self._engine:
                    log.info("a pooler is between the store and %s", self._database)
                    self._engine = self._make_engine(True)
                    await engine.close()
            except DBAPIError as error:
                if not attempt.committing:
                    if is_worth_repeating(error):
                        attempt.repeated_because = reason_of(error, self._database)
                        await asyncio.sleep(random.random() * PAUSE)  # noqa: S311
                        continue
                    if not renewed and (error.connection_invalidated or may_work_elsewhere(error)):
                        # The server closed the idle connection, or took another role.
                        renewed = True
                        continue
                    if not restored and is_absent(error) and work != self._restore:
                        restored = True
                        await self._repeat(attempt, self._restore)
                        continue
                refused = refuses_a_row(error)
                kind = RowRefused if refused else StoreUnavailable
                raise kind(reason_of(error, self._database)) from None
            except (SQLAlchemyError, OSError) as error:
                raise StoreUnavailable(reason_of(error, self._database)) from None
        raise StoreUnavailable(f"{self._database}: nobody waits for this operation any more")
