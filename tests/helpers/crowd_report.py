"""What to reproduce and to understand the failure of a crowd by."""

from __future__ import annotations

from collections.abc import Sequence

from tests.helpers.crowd import Crowd
from tests.helpers.deeds import ENDING_ALL


def report(crowd: Crowd, found: Sequence[str], seed: int) -> str:
    """Return the violations that were *found*, and what the first of them is about."""
    words = {word.strip("#,") for word in found[0].split()} if found else set()
    about = [d for d in crowd.deeds if str(d.number) in words]
    ids = {word for word in words if len(word) == 22} | {d.presented for d in about}
    ids.discard(None)
    near = [d for d in crowd.deeds if d in about or {d.presented, d.id_set, d.target} & ids]
    users = {d.user for d in near if d.user is not None}
    near += [
        d
        for d in crowd.deeds
        if d.user in users
        and d not in near
        and (d.kind in ENDING_ALL or d.signs_in)
        and any(d.start < o.end and d.end > o.start for o in near if o.signs_in or o in about)
    ]
    lines = [f"seed {seed}: {len(found)} violations", *found[:20], "", "history:"]
    return "\n".join([*lines, *map(str, sorted(near, key=lambda d: d.start))])
