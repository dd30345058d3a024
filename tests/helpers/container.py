"""deploy/Dockerfile, run where no container can."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.deployed import DEPLOY
from tests.helpers.process import ROOT


class Steps:
    """The steps of a Dockerfile in a plain folder, which stands for the image."""

    def __init__(self, folder: Path, bin: Path, replaced: dict[str, str]) -> None:
        self.folder = folder
        self.variables = {"PATH": f"{bin}{os.pathsep}{os.environ['PATH']}"}
        self.health: list[str] = []
        self.entrypoint: list[str] = []
        self.command: list[str] = []
        text = (DEPLOY / "Dockerfile").read_text()
        text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
        for shown, real in replaced.items():
            assert shown in text
            text = text.replace(shown, real)
        for line in filter(None, text.splitlines()):
            instruction, _, rest = line.partition(" ")
            getattr(self, f"do_{instruction.lower()}")(rest)

    def do_from(self, rest: str) -> None:
        assert rest.startswith("python:3.")

    def do_workdir(self, rest: str) -> None:
        assert rest.startswith("/")

    def do_copy(self, rest: str) -> None:
        *sources, target = shlex.split(rest)
        for pattern in sources:
            found = list(ROOT.glob(pattern))
            assert found, pattern
            for source in found:
                assert allowed(source.name), f"{source.name} is not in the build's context"
                if source.is_dir():
                    shutil.copytree(source, self.folder / target)
                else:
                    shutil.copy(source, self.folder / target)

    def do_run(self, rest: str) -> None:
        done = self.run(["sh", "-c", rest])
        if done.returncode and re.search(
            "NewConnectionError|No matching distribution", done.stderr
        ):
            pytest.skip("pip reaches no package index")
        assert done.returncode == 0, done.stderr

    def do_arg(self, rest: str) -> None:
        name, _, value = rest.partition("=")
        self.variables[name] = value.strip('"')

    do_env = do_arg

    def do_user(self, rest: str) -> None:
        assert rest != "root"

    def do_expose(self, rest: str) -> None:
        assert rest == "8888"

    def do_healthcheck(self, rest: str) -> None:
        self.health = json.loads(rest.removeprefix("CMD "))

    def do_entrypoint(self, rest: str) -> None:
        self.entrypoint = json.loads(rest)

    def do_cmd(self, rest: str) -> None:
        self.command = json.loads(rest)

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
        )


def allowed(name: str) -> bool:
    """Tell whether the build's context has a file of the project's folder."""
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    return any(Path(name).match(line[1:]) for line in lines if line.startswith("!"))
