"""Whether a server may drop sessions that have not expired."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


def warn_of_eviction(store: str, infos: list[object]) -> None:
    """Log a warning for each eviction policy in the servers' answers to INFO memory."""
    policies = {_eviction_policy(info) for info in infos if isinstance(info, bytes)}
    for policy in sorted(policies - {""}):
        log.warning(
            "store %s: with maxmemory-policy %s, the server ends sessions when its memory is "
            "full; set noeviction",
            store,
            policy,
        )


def _eviction_policy(info: bytes) -> str:
    """Return the policy by which the server evicts keys; "" when it evicts none."""
    lines = (line.partition(":") for line in info.decode().splitlines())
    memory = {name: value for name, _, value in lines}
    policy = memory.get("maxmemory_policy", "noeviction")
    return "" if policy == "noeviction" or memory.get("maxmemory") == "0" else policy
