"""`python -m benchmarks.report`: puts what `results.json` holds into the tables of README.md, and
into the picture.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import (
    capacity,
    cost,
    latency,
    overview,
    picture,
    processes,
    results,
    scale,
    scale_databases,
    sealing,
)
from benchmarks.goals import TABLES, UVLOOP_WORKS, WORKS, Work
from benchmarks.instruction_tables import as_page as instructions_page
from benchmarks.load import Result
from benchmarks.peers.works import PEER_WORKS
from benchmarks.plan import plan
from benchmarks.table import as_markdown, misses, of_loads

README = Path(__file__).with_name("README.md")

MISSING = "*Not measured yet.*"


def main() -> None:
    """Write each block anew, and draw."""
    found = results.load()
    text = README.read_text()
    for name, make in BLOCKS.items():
        try:
            block = make(found)
        except KeyError:
            block = MISSING
        place = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=\n<!-- end -->)", re.DOTALL)
        text, count = place.subn(block.replace("\\", r"\\"), text)
        if count != 1:
            raise SystemExit(f"README.md has {count} places for {name}")
    README.write_text(text)
    if "load" in found:
        picture.draw(overview.overview(found))


def _glance(found: Mapping[str, Any]) -> str:
    parts = [as_markdown(overview.as_table(overview.overview(found)))]
    missed = [
        line
        for loop, section in results.SECTION_OF_LOOP.items()
        if section in found
        for line in misses(measured(found[section], TABLES[loop]))
    ]
    if missed:
        parts.append("\n".join(["What misses its goal:", "", *(f"- {line}" for line in missed)]))
    return "\n\n".join(parts)


def measured(section: Mapping[str, Any], works: Sequence[Work]) -> dict[Work, Result]:
    """Return the results that a section of `results.json` has for *works*."""
    rows = section["rows"]
    return {work: Result(**rows[work.title]) for work in works if work.title in rows}


def _loads(section: Mapping[str, Any], works: Sequence[Work]) -> str:
    table = as_markdown(of_loads(measured(section, works)))
    return f"{results.describe(section['machine'])}\n\n{table}"


def _load(found: Mapping[str, Any]) -> str:
    return _loads(found["load"], WORKS)


def _uvloop(found: Mapping[str, Any]) -> str:
    return _loads(found["load_uvloop"], UVLOOP_WORKS)


def _peers(found: Mapping[str, Any]) -> str:
    section = found["peers"]
    return f"{section['versions']}.\n\n{_loads(section, PEER_WORKS)}"


def _lone(found: Mapping[str, Any]) -> str:
    section = found["load"]
    return as_markdown(latency.as_table(section["lone"], section["gathering"]))


def _scale(found: Mapping[str, Any]) -> str:
    section = found["scale"]
    parts = [results.describe(section["machine"]), as_markdown(scale.as_table(section["memory"]))]
    if section["databases"]:
        parts.append(as_markdown(scale_databases.as_table(section["databases"])))
    for name, each in section["databases"].items():
        parts.append(f"{name} explains: {'; '.join(each['plans'])}.")
    return "\n\n".join(parts)


def _processes(found: Mapping[str, Any]) -> str:
    return processes.as_page(found["processes"])


def _instructions(found: Mapping[str, Any]) -> str:
    return instructions_page(found["instructions"])


def _capacity(found: Mapping[str, Any]) -> str:
    section = found["capacity"]
    return (
        f"{results.describe(section['machine'])}\n\n"
        f"{as_markdown(capacity.as_table(section['rows']))}"
    )


def _cost(found: Mapping[str, Any]) -> str:
    section = found["cost"]
    return (
        f"{results.describe(section['machine'])}\n\n{as_markdown(cost.as_table(section['rows']))}"
    )


def _sealing(found: Mapping[str, Any]) -> str:
    section = found["sealing"]
    table = as_markdown(sealing.as_table(section["rows"]))
    return f"{results.describe(section['machine'])}\n\n{table}"


def _plan(found: Mapping[str, Any]) -> str:
    databases = found.get("scale", {}).get("databases", {})
    return "\n".join(plan(found["cost"]["rows"], databases.get("mongodb", {}).get("bytes")))


BLOCKS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "glance": _glance,
    "load": _load,
    "uvloop": _uvloop,
    "peers": _peers,
    "lone": _lone,
    "instructions": _instructions,
    "scale": _scale,
    "sealing": _sealing,
    "capacity": _capacity,
    "processes": _processes,
    "cost": _cost,
    "plan": _plan,
}

if __name__ == "__main__":
    main()
