"""Comparing the server's clock with ours."""

from __future__ import annotations

from datetime import UTC, datetime
from time import time
from typing import Any

from bson.codec_options import CodecOptions

MAX_GAP = 3.0
"""Seconds: a replaced token opens its session for ten, and the clients' time-outs are ours."""


async def gap_between_clocks(database: Any) -> str | None:
    """Say how far the server's clock is from ours, unless they are close."""
    before = time()
    answer = await database.command("hello", codec_options=CodecOptions())
    after = time()
    server = answer["localTime"].replace(tzinfo=UTC).timestamp()
    gap = max(server - after, before - server)
    if gap <= MAX_GAP:
        return None
    return (
        f"MongoDB's clock says {_text(server)}, ours {_text(after)}, which is {gap:.0f} s apart: "
        "sessions end too early or too late; keep both right by NTP"
    )


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
