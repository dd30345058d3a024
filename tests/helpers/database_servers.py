"""The database servers, one class each; `tests.helpers.servers` has what they share."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pymongo

from tests.helpers.process import children
from tests.helpers.servers import Server, find, halt, until


def _program(name: str) -> Path:
    program = find(name)
    assert program is not None, f"ask missing({name!r}) first"
    return program


class Mongod(Server):
    """MongoDB as a replica set of one node, or a member of a larger one."""

    def __init__(self, folder: Path, port: int | None = None, *, initiate: bool = True) -> None:
        self.initiate = initiate
        super().__init__(folder, port)

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/test?replicaSet=rs"

    @property
    def base_url(self) -> str:
        """A URL without database and options."""
        return f"mongodb://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str | Path]:
        return [
            *(_program("mongod"), "--port", str(self.port), "--bind_ip", "127.0.0.1"),
            *("--dbpath", self.folder, "--replSet", "rs", "--oplogSize", "16"),
            *("--wiredTigerCacheSizeGB", "0.25", "--nounixsocket"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        ]

    def admin(self, command: str | dict[str, Any]) -> dict[str, Any]:
        """Run a command on this node."""
        client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
            self.base_url, directConnection=True, serverSelectionTimeoutMS=2000
        )
        with client:
            return client.admin.command(command)

    def is_ready(self) -> bool:
        if not self.initiate:
            return bool(self.admin("ping")["ok"])
        if not (self.folder / "initiated").exists():
            members = [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]
            self.admin({"replSetInitiate": {"_id": "rs", "members": members}})
            (self.folder / "initiated").touch()
        return bool(self.admin("hello")["isWritablePrimary"])


class MongoReplicaSet:
    """Three nodes of MongoDB."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [Mongod(folder / str(i), initiate=False) for i in range(3)]
        members = [{"_id": i, "host": f"127.0.0.1:{n.port}"} for i, n in enumerate(self.nodes)]
        settings = {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500}
        configuration = {"_id": "rs", "members": members, "settings": settings}
        self.nodes[0].admin({"replSetInitiate": configuration})
        until(lambda: self.primary() is not None, "a primary")

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"mongodb://{hosts}/test?replicaSet=rs"

    def primary(self) -> Mongod | None:
        """Return the node that takes writes, if there is one."""
        for node in self.nodes:
            if node.process is not None and node.admin("hello").get("isWritablePrimary"):
                return node
        return None

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()


class Valkey(Server):
    """Valkey (or Redis), by default one that writes each command to its log at once."""

    options: Sequence[str] = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")

    def __init__(self, folder: Path, port: int | None = None, more: Sequence[str] = ()) -> None:
        self.options = (*type(self).options, *more)
        super().__init__(folder, port)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str | Path]:
        return [
            *(_program("valkey-server"), "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--dir", str(self.folder), *self.options),
        ]

    def admin(self, *words: str | bytes | int) -> Any:
        """Run a command on this node."""
        import redis

        with redis.Redis(port=self.port, socket_timeout=2, decode_responses=True) as client:
            return client.execute_command(*words)

    def is_ready(self) -> bool:
        return bool(self.admin("PING"))


class _ClusterNode(Valkey):
    options = (
        *("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--save", ""),
        *("--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0"),
    )


class ValkeyCluster:
    """Three nodes of Valkey that share the slots, each with a replica if *replicated*."""

    def __init__(self, folder: Path, *, replicated: bool = False) -> None:
        self.nodes = [_ClusterNode(folder / str(i)) for i in range(6 if replicated else 3)]
        self.primaries, replicas = self.nodes[:3], self.nodes[3:]
        bounds = (0, 5461, 10922, 16384)
        for i, node in enumerate(self.nodes):
            if node in self.primaries:
                node.admin("CLUSTER", "ADDSLOTSRANGE", bounds[i], bounds[i + 1] - 1)
            node.admin("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            node.admin("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
        self.until_whole()
        for primary, replica in zip(self.primaries, replicas, strict=False):
            replica.admin("CLUSTER", "REPLICATE", primary.admin("CLUSTER", "MYID"))
        for replica in replicas:
            until(functools.partial(_follows, replica), "a replica to follow")

    @property
    def url(self) -> str:
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    def until_whole(self) -> None:
        """Return when each node that runs finds that every slot is served."""
        for node in (node for node in self.nodes if node.process is not None):
            until(functools.partial(_is_whole, node), "the cluster to be whole")

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()


def _is_whole(node: Valkey) -> bool:
    info = node.admin("CLUSTER", "INFO").split()
    return {"cluster_state:ok", "cluster_slots_ok:16384"} <= set(info)


def _follows(replica: Valkey) -> bool:
    return bool(replica.admin("INFO", "replication").get("master_link_status") == "up")


class _Sentinel(Valkey):
    """One Sentinel; it keeps what it learns in its configuration file."""

    def __init__(self, folder: Path, primary: Valkey) -> None:
        self._primary = primary
        super().__init__(folder)

    def prepare(self) -> None:
        (self.folder / "sentinel.conf").write_text(
            f"sentinel monitor sessions 127.0.0.1 {self._primary.port} 2\n"
            "sentinel down-after-milliseconds sessions 500\n"
            "sentinel failover-timeout sessions 2000\n"
        )

    def command(self) -> Sequence[str | Path]:
        return [
            *(_program("valkey-server"), self.folder / "sentinel.conf", "--sentinel"),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
        ]


class ValkeySentinel:
    """A primary and a replica of Valkey, the service `sessions` of three Sentinels."""

    def __init__(self, folder: Path) -> None:
        more = ("--repl-diskless-sync-delay", "0")
        self.servers = [Valkey(folder / name, more=more) for name in ("first", "second")]
        self.servers[1].admin("REPLICAOF", "127.0.0.1", self.servers[0].port)
        until(functools.partial(_follows, self.servers[1]), "a replica to follow")
        self.sentinels = [_Sentinel(folder / f"sentinel{i}", self.servers[0]) for i in range(3)]
        for sentinel in self.sentinels:
            until(functools.partial(self._is_known_to, sentinel), "the Sentinels to agree")

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/sessions"

    def primary(self) -> Valkey:
        """Return the server that the Sentinels name."""
        _, port = self.sentinels[0].admin("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "sessions")
        return next(server for server in self.servers if server.port == int(port))

    def stop(self) -> None:
        for node in (*self.sentinels, *self.servers):
            node.kill()

    def _is_known_to(self, sentinel: Valkey) -> bool:
        others = sentinel.admin("SENTINEL", "SENTINELS", "sessions")
        replicas = sentinel.admin("SENTINEL", "REPLICAS", "sessions")
        return len(others) == len(self.sentinels) - 1 and len(replicas) == 1


class _SQLServer(Server):
    """A server that refuses to run as root, and whose data a program of its own prepares."""

    def __init__(self, folder: Path, port: int | None = None, more: Sequence[str] = ()) -> None:
        self.more = more
        super().__init__(folder, port)

    def prepare(self) -> None:
        self.data = self.folder / "data"
        if os.geteuid() == 0:
            self.user = "nobody"
            for folder in (self.folder, *self.folder.parents):
                if folder.stat().st_uid == 0 and folder.stat().st_mode & 0o077 == 0:
                    folder.chmod(0o711)
            os.chown(self.folder, 65534, -1)
        if not self.data.exists():
            command = self.first_command()
            user, folder = self.user, self.folder
            subprocess.run(command, check=True, capture_output=True, user=user, cwd=folder)

    def first_command(self) -> Sequence[str | Path]:
        """Return what makes the server's data."""
        raise NotImplementedError


class Postgres(_SQLServer):
    """PostgreSQL with a superuser `test` and no password."""

    def program(self, name: str) -> Path:
        return _program(name)

    def first_command(self) -> Sequence[str | Path]:
        return [
            *(self.program("initdb"), "-D", self.data, "-U", "test", "-A", "trust"),
            *("-E", "UTF8", "--no-sync"),
        ]

    @property
    def url(self) -> str:
        return f"postgresql://test@127.0.0.1:{self.port}/postgres"

    def command(self) -> Sequence[str | Path]:
        return [
            *(self.program("postgres"), "-D", self.data, "-p", str(self.port), "-h", "127.0.0.1"),
            *("-c", "unix_socket_directories=", "-c", "shared_buffers=32MB"),
            *self.more,
        ]

    def stop(self) -> None:
        self._end(signal.SIGINT)  # SIGTERM would wait for clients to leave

    # Each client is served by a process of its own, which its parent does not stop with itself.

    def pause(self) -> None:
        super().pause()
        for pid in children(self.pid):
            with contextlib.suppress(ProcessLookupError):
                halt(pid)

    def resume(self) -> None:
        self._signal_children(signal.SIGCONT)
        super().resume()

    def kill(self) -> None:
        if self.process is not None:
            super().pause()  # else it would begin to recover
            self._signal_children(signal.SIGKILL)
        super().kill()

    def _signal_children(self, signum: int) -> None:
        for pid in children(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)

    def is_ready(self) -> bool:
        ready = self.program("postgres").with_name("pg_isready")
        command: list[str | Path] = [ready, "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0


class PgBouncer(_SQLServer):
    """PgBouncer in transaction mode before a PostgreSQL, to which it keeps a few connections."""

    def __init__(self, folder: Path, target: Postgres, settings: str = "") -> None:
        self.target = target
        self.settings = settings
        super().__init__(folder)

    def prepare(self) -> None:
        super().prepare()
        (self.folder / "users.txt").write_text('"test" ""\n')
        (self.folder / "pgbouncer.ini").write_text(
            "[databases]\n"
            f"* = host=127.0.0.1 port={self.target.port}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {self.folder}/users.txt\nadmin_users = test\n"
            "pool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 200\n"
            f"{self.settings}\n"
        )

    def first_command(self) -> Sequence[str | Path]:
        return ["mkdir", self.data]

    @property
    def url(self) -> str:
        return f"postgresql://test@127.0.0.1:{self.port}/postgres"

    def command(self) -> Sequence[str | Path]:
        return [_program("pgbouncer"), self.folder / "pgbouncer.ini"]


class MariaDB(_SQLServer):
    """MariaDB (or MySQL) with a user `test` without a password and a database `test`."""

    def prepare(self) -> None:
        super().prepare()
        (self.folder / "init.sql").write_text(
            "CREATE DATABASE IF NOT EXISTS test;\n"  # the server reads a statement a line
            "CREATE USER IF NOT EXISTS test@'127.0.0.1';\n"
            "GRANT ALL ON *.* TO test@'127.0.0.1' WITH GRANT OPTION;\n"
        )

    def first_command(self) -> Sequence[str | Path]:
        return [
            *("mariadb-install-db", "--no-defaults", f"--datadir={self.data}"),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
        ]

    @property
    def url(self) -> str:
        return f"mariadb://test@127.0.0.1:{self.port}/test"

    def command(self) -> Sequence[str | Path]:
        return [
            *(_program("mariadbd"), "--no-defaults", f"--datadir={self.data}"),
            *(f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-name-resolve"),
            *(f"--socket={self.folder / 'socket'}", f"--init-file={self.folder / 'init.sql'}"),
            *("--innodb-buffer-pool-size=32M", f"--pid-file={self.folder / 'pid'}"),
            *self.more,
        ]


__all__ = [
    "MariaDB",
    "MongoReplicaSet",
    "Mongod",
    "PgBouncer",
    "Postgres",
    "Valkey",
    "ValkeyCluster",
    "ValkeySentinel",
]
