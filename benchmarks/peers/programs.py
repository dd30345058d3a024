"""The peers' programs: what they need is installed in their folders, from their lock files."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clients import CannotMeasure
from benchmarks.goals import Served
from benchmarks.service import Service, serving

FOLDER = Path(__file__).parent
PYTHON = Path(".venv", "bin", "python")
NODE = (20, 19)
"""The oldest node that the packages of the lock file run on."""


@dataclass(frozen=True)
class Peer:
    """A session system with what it stands on."""

    name: str
    """Of its folder, and its kind as a `Work`."""
    lock: str
    """The lock file in its folder."""
    packages: tuple[str, ...]
    """Those whose versions matter."""
    install: Callable[[Path], None]
    command: Callable[[Path, Served, str], list[str | Path]]
    """What starts it in its folder, with what to serve and the URL of its store."""

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    @property
    def on_node(self) -> bool:
        """Whether it runs on node, and not in an environment of Python of its own."""
        return self.lock == "package-lock.json"

    def prepare(self) -> None:
        """Install what it needs, unless this lock file is installed; raise `CannotMeasure`."""
        if self.on_node:
            node_version()
        lock, stamp = (self.folder / self.lock).read_text(), self.folder / ".installed"
        if stamp.exists() and stamp.read_text() == lock:
            return
        print(f"installing what {self.name} needs", file=sys.stderr)
        try:
            self.install(self.folder)
        except subprocess.CalledProcessError as error:
            raise CannotMeasure(f"{error.cmd[0]} could not install it; see above") from None
        stamp.write_text(lock)

    def start(self, served: Served, url: str) -> AbstractContextManager[Service]:
        """Run it, prepared before, in a process of its own."""
        command = self.command(self.folder, served, url)
        return serving(self.name, command, self.folder, NODE_ENV="production")

    def versions(self) -> str:
        """Return the versions of its packages, by the lock file, and of node, set off by commas."""
        text = (self.folder / self.lock).read_text()
        if self.on_node:
            locked = json.loads(text)["packages"]
            found = {name: locked[f"node_modules/{name}"]["version"] for name in self.packages}
            found = {"node": node_version(), **found}
        else:
            locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))
            found = {name: locked[name] for name in self.packages}
        return ", ".join(f"{name} {version}" for name, version in found.items())


def node_version() -> str:
    """Return the version of node; raise `CannotMeasure` where there is none that will do."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise CannotMeasure("it needs node and npm, which are not here: apt-get install nodejs npm")
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    version = told.strip().removeprefix("v")
    if tuple(map(int, version.split(".")[:2])) < NODE:
        raise CannotMeasure(f"it needs node {'.'.join(map(str, NODE))} or later, not {version}")
    return version


def _npm(folder: Path) -> None:
    subprocess.run(["npm", "ci", "--omit=dev", "--silent"], cwd=folder, check=True)


def _pip(folder: Path) -> None:
    shutil.rmtree(folder / ".venv", ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", ".venv"], cwd=folder, check=True)
    pip = (folder / PYTHON, "-m", "pip", "--quiet", "--disable-pip-version-check")
    subprocess.run(
        [*pip, "install", "--require-hashes", "-r", "requirements.txt"], cwd=folder, check=True
    )


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "express",
            "package-lock.json",
            ("express", "express-session", "connect-mongo", "mongodb", "connect-redis", "redis"),
            _npm,
            lambda folder, served, url: ["node", "application.mjs", served.store, url],
        ),
        Peer(
            "aiohttp",
            "requirements.txt",
            ("aiohttp", "aiohttp-session", "redis", "hiredis", "uvloop"),
            _pip,
            lambda folder, served, url: [folder / PYTHON, "application.py", url, served.loop],
        ),
        Peer(
            "starsessions",
            "requirements.txt",
            ("starsessions", "starlette", "uvicorn", "httptools", "redis", "hiredis", "uvloop"),
            _pip,
            lambda folder, served, url: [folder / PYTHON, "application.py", url],
        ),
    )
}
"""By their names."""
