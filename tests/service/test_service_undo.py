"""The service told to stop while a token's rotation has no answer: it waits for the undo."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.process import Start, starting, until

SCRIPT = '''
"""A service whose store does a rotation without an answer, and fails until a file appears."""

import asyncio
import logging
import os
import pathlib
import sys

import tornado.log
from tornado.web import RequestHandler

from app import Config, Group, Route, SessionManager, SessionMixin, make_app
from app.listening import address_of, listen
from app.server import Stopping, serve
from stores import MemoryStore, StoreUnavailable

back = pathlib.Path(os.environ["TEST_DIRECTORY"]) / "back"


class Failing(MemoryStore):
    down = False

    async def load(self, ids):
        self.check()
        return await super().load(ids)

    async def write(self, changes):
        self.check()
        outcomes = await super().write(changes)
        if getattr(changes[0], "rotation", None) and not back.exists():
            self.down = True
            raise StoreUnavailable("no answer")
        return outcomes

    def check(self):
        if self.down and not back.exists():
            print("asked while away", flush=True)
            raise StoreUnavailable("away")

    async def close(self):
        (record,) = (await MemoryStore.load(self, [self.id])).values()
        print("opened by the former token:", record.secret_hash == self.hash, flush=True)


class Begin(SessionMixin, RequestHandler):
    async def get(self):
        self.session["a"] = 1
        await self.session.commit()
        store.id, store.hash = self.session._saved.id, self.session._saved.secret_hash
        self.write(self.session.id)


class Rotate(SessionMixin, RequestHandler):
    def get(self):
        self.session.regenerate()


tornado.log.enable_pretty_logging()
logging.getLogger().setLevel("INFO")
store = Failing()
routes = Group("/", Route("begin", Begin), Route("rotate", Rotate), sessions=True)
sockets = listen(0, "127.0.0.1")
print("serving on", address_of(sockets), flush=True)
config = Config(routes, SessionManager(store))
asyncio.run(serve(lambda: make_app(config), sockets, stopping=Stopping(drain=float(sys.argv[1]))))
print("ended", flush=True)
'''


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.mark.parametrize("comes_back", [True, False])
def test_stopping_waits_for_a_rotation_to_be_undone(
    start: Start, tmp_path: Path, comes_back: bool
) -> None:
    """Within the drain time, after which it says what it leaves."""
    script = tmp_path / "undo.py"
    script.write_text(SCRIPT)
    service = start("30" if comes_back else "0.5", script=script, TEST_DIRECTORY=str(tmp_path))
    begun = service.get("/begin")
    assert service.get("/rotate", begun.cookie).status == 503
    service.signal(signal.SIGTERM)
    service.wait_for("stopping")
    if comes_back:
        asked = service.output.count("asked while away")
        until(lambda: service.output.count("asked while away") > asked, "another try")
        (tmp_path / "back").touch()
    assert service.exit_status() == 0
    output = service.output
    assert f"opened by the former token: {comes_back}" in output
    assert (f"have to sign in again: {begun.body}" in output) != comes_back
