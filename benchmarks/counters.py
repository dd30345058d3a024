"""What a database says of its own work; the difference of two looks is what a load cost it."""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmarks.databases import Database
from benchmarks.service import cpu_seconds


class Counters(NamedTuple):
    """Totals since the server started; `None` for what it does not count."""

    calls: float
    """Commands (MongoDB), reads of a socket (Redis: one for a pipeline), transactions (SQL)."""
    read: float
    """Records read (Redis: HGETALL, HGET)."""
    written: float
    """Records written (Redis: scripts and commands that change)."""
    bytes_in: float | None
    """Bytes received."""
    bytes_out: float | None
    """Bytes sent."""
    log_bytes: float | None
    """Bytes of the write-ahead log."""
    cpu: float
    """Microseconds of processor time."""

    def since(self, before: Counters, requests: int) -> dict[str, float | None]:
        """Return what a request cost, by the names above."""
        return {
            name: None if now is None or then is None else round((now - then) / requests, 3)
            for name, now, then in zip(self._fields, self, before, strict=True)
        }


async def look(database: Database) -> Counters:
    """Return the counters now; PostgreSQL's lack what clients that are still connected did last."""
    assert database.server is not None
    look_at = {"mongodb": _mongodb, "redis": _redis, "postgresql": _postgresql}[database.name]
    return (await look_at(database.url))._replace(cpu=cpu_seconds(database.server.pid) * 1e6)


async def _mongodb(url: str) -> Counters:
    from pymongo import AsyncMongoClient

    async with AsyncMongoClient[dict[str, Any]](url) as client:
        status = await client.admin.command("serverStatus")
    commands, documents = status["metrics"]["commands"], status["metrics"]["document"]
    return Counters(
        calls=sum(commands[name]["total"] for name in ("find", "update", "insert", "delete")),
        read=documents["returned"],
        written=documents["updated"] + documents["inserted"] + documents["deleted"],
        bytes_in=status["network"]["bytesIn"],
        bytes_out=status["network"]["bytesOut"],
        log_bytes=status["wiredTiger"]["log"]["log bytes written"],
        cpu=0,
    )


async def _redis(url: str) -> Counters:
    import redis.asyncio

    async with redis.asyncio.Redis.from_url(url) as client:
        info = {**await client.info("stats"), **await client.info("persistence")}
        commands = await client.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in commands.items()}
    return Counters(
        calls=info["total_reads_processed"],
        read=sum(calls.get(name, 0) for name in ("hgetall", "hget")),
        written=sum(calls.get(name, 0) for name in ("evalsha", "eval", "hincrby", "unlink")),
        bytes_in=info["total_net_input_bytes"],
        bytes_out=info["total_net_output_bytes"],
        log_bytes=info.get("aof_current_size"),
        cpu=0,
    )


async def _postgresql(url: str) -> Counters:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(
            "SELECT xact_commit + xact_rollback AS calls,"
            " pg_current_wal_lsn() - '0/0'::pg_lsn AS log_bytes"
            " FROM pg_stat_database WHERE datname = current_database()"
        )
        rows = await connection.fetchrow(
            "SELECT coalesce(sum(idx_tup_fetch + seq_tup_read), 0) AS read,"
            " coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) AS written"
            " FROM pg_stat_user_tables"
        )
    finally:
        await connection.close()
    return Counters(
        calls=float(row["calls"]),
        read=float(rows["read"]),
        written=float(rows["written"]),
        bytes_in=None,
        bytes_out=None,
        log_bytes=float(row["log_bytes"]),
        cpu=0,
    )
