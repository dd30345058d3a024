"""`python -m benchmarks.report`: puts what `results.json` holds into the tables of README.md."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import capacity, cost, latency, processes, results, scale, scale_databases, sealing
from benchmarks.goals import WORKS
from benchmarks.instruction_tables import as_page as instructions_page
from benchmarks.load import Result
from benchmarks.plan import plan
from benchmarks.table import as_markdown, misses, of_loads

README = Path(__file__).with_name("README.md")

MISSING = "*Not measured yet.*"


def main() -> None:
    """Write each block anew."""
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


def _load(found: Mapping[str, Any]) -> str:
    section = found["load"]
    rows = section["rows"]
    measured = {work: Result(**rows[work.title]) for work in WORKS if work.title in rows}
    parts = [results.describe(section["machine"]), as_markdown(of_loads(measured))]
    if missed := misses(measured):
        parts.append("\n".join(["What misses its goal:", "", *(f"- {line}" for line in missed)]))
    return "\n\n".join(parts)


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
    "load": _load,
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
