"""The event loops of the tests: asyncio's own, or uvloop's with `TEST_LOOP=uvloop make test`.

The services that tests start run on the other one (`--loop=auto` takes uvloop's where the tests
run), so that two runs see both parts on both loops.
"""

from __future__ import annotations

import asyncio
import os

import pytest

from app.loops import loop_factory

NAME = os.environ.get("TEST_LOOP", "asyncio")

OF_SERVICES = {"asyncio": {}, "uvloop": {"SERVICE_LOOP": "asyncio"}}[NAME]
"""What the environment of a service has for it."""


def set_up(patch: pytest.MonkeyPatch) -> None:
    """Let whoever asks for a new loop get one of that kind."""
    new_loop = loop_factory(NAME)
    if new_loop is not None:
        patch.setattr(asyncio, "new_event_loop", new_loop)
        patch.setattr(asyncio.events, "new_event_loop", new_loop)
