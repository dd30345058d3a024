"""MongoDB servers with users and with TLS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pymongo

from tests.helpers.certificates import Authority
from tests.helpers.database_servers import Mongod


class GuardedMongod(Mongod):
    """MongoDB that knows its users: `root` with the password `root`, and those of a test."""

    def prepare(self) -> None:
        key = self.folder / "members-key"
        key.write_text("c2Vzc2lvbnM=" * 4)
        key.chmod(0o400)

    def command(self) -> Sequence[str | Path]:
        return [*super().command(), "--auth", "--keyFile", self.folder / "members-key"]

    def is_ready(self) -> bool:
        if not super().is_ready():
            return False
        if not (self.folder / "has-root").exists():
            # The first user may be made by whoever is on this machine.
            self.admin({"createUser": "root", "pwd": "root", "roles": ["root"]})
            (self.folder / "has-root").touch()
        return True

    def url_of(self, user: str, password: str, database: str, more: str = "") -> str:
        return f"mongodb://{user}:{password}@127.0.0.1:{self.port}/{database}?directConnection=true{more}"

    def as_root(self) -> pymongo.MongoClient[dict[str, Any]]:
        return pymongo.MongoClient(self.url_of("root", "root", "admin"))


class TLSMongod(Mongod):
    """MongoDB, one node without a replica set, that speaks TLS only, as `localhost`."""

    certificate: Path
    """Its key and certificate."""
    ask_clients = False
    """Whether clients must have a certificate, too."""

    def prepare(self) -> None:
        self.authority = Authority(self.folder / "authority")
        self.certificate = self.authority.sign("localhost")

    def command(self) -> Sequence[str | Path]:
        words = [word for word in super().command() if word not in ("--replSet", "rs")]
        more = () if self.ask_clients else ("--tlsAllowConnectionsWithoutCertificates",)
        return [
            *words,
            *("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", self.certificate),
            *("--tlsCAFile", self.authority.file, *more),
        ]

    def is_ready(self) -> bool:
        client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
            f"mongodb://localhost:{self.port}",
            tls=True,
            tlsAllowInvalidCertificates=True,
            tlsCertificateKeyFile=str(self.certificate),
            serverSelectionTimeoutMS=2000,
        )
        with client:
            return bool(client.admin.command("ping")["ok"])


class AskingMongod(TLSMongod):
    """One that asks its clients for a certificate."""

    ask_clients = True
