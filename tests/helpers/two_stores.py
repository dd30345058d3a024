"""Two stores that watch and fail on command, and the one that moves sessions between them."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from stores import MovingStore
from tests.helpers.stores_for_tests import FaultyStore


class Two(NamedTuple):
    """A store that moves sessions from *old* to *new*."""

    store: MovingStore
    new: FaultyStore
    old: FaultyStore

    @property
    def kinds(self) -> tuple[list[str], list[str]]:
        """What was asked of the new store and of the old one since the last look."""
        return self.new.kinds, self.old.kinds


@pytest.fixture
def two() -> Two:
    new, old = FaultyStore(), FaultyStore()
    return Two(MovingStore(new, old), new, old)
