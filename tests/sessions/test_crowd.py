"""50 clients of 5 users sign in and out, here, there and everywhere, while stores fail.

CROWD_SEEDS is the number of seeds of each kind of run, CROWD_DEEDS of requests in each, CROWD_SEED
one more seed instead of one by chance, which is printed.
"""

from __future__ import annotations

import asyncio
import os
import random
from datetime import timedelta
from typing import NamedTuple

import pytest

from app import SessionManager
from stores import MemoryStore
from tests.helpers.crowd import Crowd
from tests.helpers.crowd_report import report
from tests.helpers.doors import Direct
from tests.helpers.planted_faults import FAULTS
from tests.helpers.rough_store import Line, OtherProcess, RoughStore
from tests.helpers.simulated_time import simulate

SEEDS = int(os.environ.get("CROWD_SEEDS", "2"))
DEEDS = int(os.environ.get("CROWD_DEEDS", "600"))
EPOCH = 1_700_000_000.0


class Weather(NamedTuple):
    """How bad a run is."""

    trouble: float = 0.0
    """The part of the store's calls that goes wrong."""
    cuts: int = 0
    """How often all of the store is away for a while."""
    leaving: float = 0.0
    """The part of the requests whose clients leave."""
    max_per_user: int = 100


CALM = Weather()
FULL = Weather(max_per_user=4)
ROUGH = Weather(trouble=0.02, cuts=3, leaving=0.02)
ROUGH_AND_FULL = ROUGH._replace(max_per_user=4)
WEATHERS = {"calm": CALM, "full": FULL, "rough": ROUGH, "rough and full": ROUGH_AND_FULL}


async def run(seed: int, weather: Weather, deeds: int = DEEDS) -> tuple[Crowd, list[str]]:
    """Let a crowd act on two processes over one store; return it and what must not be."""
    loop, choice = asyncio.get_running_loop(), random.Random(seed)
    store, line = MemoryStore(), Line(choice, weather.trouble)
    rough = RoughStore(store, line)
    doors = [
        Direct(
            SessionManager(
                view,
                clock=lambda: EPOCH + loop.time(),
                max_per_user=weather.max_per_user,
                idle_timeout=timedelta(minutes=1),
                lifetime=timedelta(days=100),
            )
        )
        for view in (rough, OtherProcess(rough, "another"))
    ]
    crowd = Crowd(doors, ["ada", "bob", "eve", "kim", "lee"], choice, leaving=weather.leaving)
    cutting = asyncio.ensure_future(cut(line, weather.cuts))
    await crowd.go(lambda: len(crowd.deeds) >= deeds)
    cutting.cancel()
    line.is_cut, line.trouble = False, 0.0
    while line.on_their_way:
        await asyncio.wait(line.on_their_way)
    is_calm = not (weather.trouble or weather.cuts or weather.leaving)
    found = await crowd.violations(store, weather.max_per_user, is_calm=is_calm)
    for door in doors:
        await door.manager.close()
    return crowd, found


async def cut(line: Line, times: int) -> None:
    """Let the store be away that many times."""
    for _ in range(times):
        await asyncio.sleep(line.choice.random())
        line.is_cut = True
        await asyncio.sleep(line.choice.random() * 0.4)
        line.is_cut = False


@pytest.mark.parametrize("weather", WEATHERS)
def test_a_crowd_keeps_every_promise(monkeypatch: pytest.MonkeyPatch, weather: str) -> None:
    by_chance = int(os.environ.get("CROWD_SEED", random.randrange(10**6)))
    for seed in (*range(SEEDS), by_chance):
        crowd, found = simulate(monkeypatch, seed, run(seed, WEATHERS[weather]))
        assert not found, report(crowd, found, seed)
        print(f"{weather}, seed {seed}, {len(crowd.deeds)} requests: {crowd.counts}")


def test_a_seed_repeats_to_the_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [simulate(monkeypatch, 1, run(1, ROUGH, 200))[0] for _ in range(2)]
    assert [*map(str, runs[0].deeds)] == [*map(str, runs[1].deeds)]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Each of those that such lists have elsewhere."""
    FAULTS[fault](monkeypatch)
    for seed in range(10):
        for weather in (FULL, ROUGH, CALM):
            if simulate(monkeypatch, seed, run(seed, weather, 400))[1]:
                return
    pytest.fail("the fault was not found")
