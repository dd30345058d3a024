"""The map to OWASP ASVS: complete, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

FOLDER = Path(__file__).parents[1]
MAP = (FOLDER / "ASVS.md").read_text(encoding="utf-8")

REQUIREMENTS = {1: 3, 2: 4, 3: 2, 4: 5, 5: 3, 6: 2}
"""Section of chapter 7 to the number of its requirements."""


def test_every_requirement_has_one_line_with_a_verdict() -> None:
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in MAP.splitlines()
        if line.startswith("| 7.")
    ]
    numbers = [f"7.{s}.{n}" for s, last in REQUIREMENTS.items() for n in range(1, last + 1)]
    assert [row[0] for row in rows] == numbers
    for number, _, verdict, reason in rows:
        assert verdict in {"met", "not met", "application's", "does not apply"}, number
        assert "::" in reason or verdict != "met", number
        assert reason, number


def test_every_test_that_the_map_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+\.py)::(\w+)`", MAP))
    assert len(named) == len(set(re.findall(r"`([^`]*::[^`]*)`", MAP))) > 20
    for file, name in sorted(named):
        (path,) = FOLDER.rglob(file)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        tests = {node.name for node in ast.walk(tree) if isinstance(node, functions)}
        assert name in tests, f"{file}::{name}"
