"""A project small enough to install in a test: our Makefile, packages made on the spot."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.helpers.process import ROOT

_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "PYTHON", "VENV", "EXTRAS", "ARGS")
"""What a make that runs the tests hands down."""

PATIENCE = 120.0


class SmallProject:
    """A folder with our Makefile and lock files of its own; nothing is fetched from anywhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Write the files; the packages are base, and one for each extra."""
        (self.folder / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
        (self.folder / "main.py").write_text("import base, sys; print(*sys.argv[1:])\n")
        for lock, package in (("", "base"), ("-red", "red"), ("-blue", "blue"), ("-dev", "tool")):
            digest = self._wheel(package)
            (self.folder / f"requirements{lock}.txt").write_text(
                f"{package}==1 --hash=sha256:{digest}\n"
            )

    def make(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run make with these words."""
        inherited = {k: v for k, v in os.environ.items() if k not in _MAKE and k[:4] != "PIP_"}
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "wheels", "PIP_CONFIG_FILE": os.devnull}
        path = f"{sys.base_prefix}/bin{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["make", *words],
            cwd=self.folder,
            env={**inherited, **offline, "PATH": path, **variables},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def made(self, *words: str, **variables: str) -> str:
        """Run make with these words and return what it says; it must succeed."""
        result = self.make(*words, **variables)
        assert result.returncode == 0, result.stderr
        assert result.stderr == ""
        return result.stdout

    def installed(self) -> set[str]:
        """Return which of the packages there are."""
        packages = {"base", "red", "blue", "tool"}
        return {p.stem for p in self.folder.glob(".venv/lib/python*/site-packages/*.py")} & packages

    def _wheel(self, package: str) -> str:
        """Make the wheel of a package and return its digest."""
        wheel = self.folder / f"wheels/{package}-1-py3-none-any.whl"
        wheel.parent.mkdir(exist_ok=True)
        about = f"{package}-1.dist-info"
        files = {
            f"{package}.py": "",
            f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n",
            f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, text in {**files, f"{about}/RECORD": record}.items():
                archive.writestr(name, text)
        return hashlib.sha256(wheel.read_bytes()).hexdigest()
