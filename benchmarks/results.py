"""The results in `results.json`: a section for each command, replaced when it is run again."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from pathlib import Path
from typing import Any

import tornado

FILE = Path(__file__).with_name("results.json")

SECTION_OF_LOOP = {"asyncio": "load", "uvloop": "load_uvloop"}
"""Where the load's results on each loop are kept."""


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "date": dt.date.today().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "processor": models[0] if models else platform.machine(),
        "python": platform.python_version(),
        "tornado": tornado.version,
        "load_before": round(os.getloadavg()[0], 2),
    }


def describe(machine: dict[str, Any]) -> str:
    """Return *machine* as a sentence that warns of what shares its cores."""
    return (
        f"{machine['date']}: {machine['cores']} cores ({machine['processor']}), shared by the "
        f"application, the load generator and the database; Python {machine['python']}, Tornado "
        f"{machine['tornado']}; load average before the start {machine['load_before']}."
    )


def load() -> dict[str, Any]:
    """Return all sections there are."""
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def save(section: str, content: dict[str, Any]) -> None:
    """Put *content* in the place of what the section had."""
    results = {**load(), section: content}
    FILE.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
