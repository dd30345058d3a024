"""Certificates for servers of the tests, signed by an authority that only these tests know."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """A certificate authority in a folder; needs the program openssl."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.file = folder / "ca.pem"
        """Its certificate."""
        self._run(
            "req", "-x509", *_NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca"
        )

    def sign(self, host: str, *, days: int = 1) -> Path:
        """Return a file of a key and a certificate for *host*; negative *days* have passed."""
        self._run("req", *_NEW_KEY, "-keyout", "key", "-out", "request", "-subj", f"/CN={host}")
        (self._folder / "extensions").write_text(f"subjectAltName=DNS:{host}")
        self._run(
            *("x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-out", "certificate", "-extfile", "extensions"),
            *("-days", str(days)),
        )
        both = self._folder / f"{host}.{days}.pem"
        parts = (self._folder / name for name in ("key", "certificate"))
        both.write_text("".join(part.read_text() for part in parts))
        return both

    def _run(self, *words: str) -> None:
        subprocess.run(("openssl", *words), check=True, capture_output=True, cwd=self._folder)


_NEW_KEY = ("-newkey", "rsa:2048", "-nodes")
