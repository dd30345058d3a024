"""Every Markdown page: its links lead somewhere, and its commands are those that there are."""

from __future__ import annotations

import functools
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import app.service_options  # noqa: F401 - declares the options
from app.operating.operations import OPERATIONS
from app.options import declared
from tests.helpers.process import ROOT, run
from tests.service.test_metrics import NAMES

TRACKED = subprocess.run(
    ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False
).stdout.split()
PAGES = TRACKED or [
    *(str(page.relative_to(ROOT)) for page in ROOT.glob("*.md")),
    *(str(page.relative_to(ROOT)) for page in ROOT.glob("[!.]*/*.md")),
]
"""Those that git knows; without git, those of this folder and the ones in it."""

OPERATION = ROOT / "docs" / "operation.md"

FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def text_of(page: Path) -> str:
    """Return what is not code: no link is there, and no heading."""
    return re.sub(r"`[^`\n]*`", "`code`", FENCE.sub("", page.read_text()))


@functools.cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors that a page's headings get, as GitHub makes them."""
    found: list[str] = []
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        times = sum(
            re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", other) is not None for other in found
        )
        found.append(f"{anchor}-{times}" if times else anchor)
    return frozenset(found)


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    page = ROOT / name
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert target.resolve().is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), link


def commands(page: Path) -> Iterator[str]:
    """Yield the lines of a page's code, those that go on with a backslash as one."""
    text = page.read_text()
    code = "\n".join([*FENCE.findall(text), *re.findall(r"^(?: {4}|\t)(.*)$", text, re.MULTILINE)])
    yield from re.sub(r"\\\n\s*", " ", code).splitlines()


def calls(page: Path) -> Iterator[list[str]]:
    """Yield the words behind `main.py`, of each call in a page's code."""
    for line in commands(page):
        for call in re.findall(r"\bmain\.py\b((?: +[^|;&<>()\s]+)*)", line.split(" #")[0]):
            yield shlex.split(call)


@functools.cache
def top_commands() -> frozenset[str]:
    """Return the commands that the help has."""
    return frozenset(re.findall(r"^  ([a-z]+) ", run("--help").stdout, re.MULTILINE))


@pytest.mark.parametrize("name", PAGES)
def test_every_call_is_one_that_there_is(name: str) -> None:
    for words in calls(ROOT / name):
        flags = [w.partition("=")[0].removeprefix("--") for w in words if re.match("--.", w)]
        plain = [word for word in words if not word.startswith("-")]
        own: set[str] = {"help", "version"}
        if plain:
            assert plain[0] in top_commands(), words
        if plain[:1] == ["sessions"] and plain[1:]:
            assert plain[1] in OPERATIONS, words
            own |= set(OPERATIONS[plain[1]].all_flags)
        assert set(flags) <= own | set(declared()), words


@pytest.mark.parametrize("name", PAGES)
def test_every_target_of_make_is_one_that_there_is(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    rules = re.findall(r"^([a-z][a-z -]*):", makefile, re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    spoken = re.findall(r"`make ([a-z-]+)", (ROOT / name).read_text())
    for line in commands(ROOT / name):
        spoken += re.findall(r"^\s*make (?:-C \S+ )?([a-z-]+)", line)
    assert set(spoken) <= targets


def test_what_operators_ask_prometheus_is_promql(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not on PATH")
    (block,) = re.findall(r"```promql\n(.*?)```", OPERATION.read_text(), re.DOTALL)
    rules = [{"record": f"r{n}", "expr": line} for n, line in enumerate(block.splitlines())]
    (tmp_path / "rules.json").write_text(json.dumps({"groups": [{"name": "r", "rules": rules}]}))
    command = ["promtool", "check", "rules", str(tmp_path / "rules.json")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert f"{len(rules)} rules found" in result.stdout


def test_operators_are_told_of_metrics_that_there_are() -> None:
    page = OPERATION.read_text()
    asked = set(re.findall(r"\b(?:sessions|tornado|event)_[a-z_]+\b", page)) - {"sessions_expires"}
    assert asked <= set(NAMES) | {re.sub("_(bucket|count|sum)$", "", name) for name in NAMES}
    assert len(asked) > 5
