"""What is left of a crowd when all is quiet, and what must not be left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.helpers.crowd_history import CrowdHistory


@dataclass
class Quiet:
    """What is there when all is quiet."""

    open: Mapping[str, str | None]
    """The sessions that a token opens, each with its user."""
    devices: Sequence[Mapping[str, Sequence[str]]]
    """Of each process, what it lists of each user."""
    kept: Mapping[str, Sequence[str]]
    """The sessions in the store, of each user."""


def wrong_when_quiet(quiet: Quiet, history: CrowdHistory) -> Iterator[str]:
    """Tell what must not be then."""
    is_calm, max_per_user = history.is_calm, history.max_per_user
    for process, devices in enumerate(quiet.devices):
        for user, listed in devices.items():
            live = {id for id, whose in quiet.open.items() if whose == user}
            for id in live.difference(listed):
                yield f"{id} is signed in and not listed by process {process}"
            for id in set(listed) - live:
                if is_calm or _is_whole(id, history):
                    yield f"{id} is listed by process {process} and does not open"
            if len(live) > max_per_user or (is_calm and len(listed) > max_per_user):
                yield f"{user} has {len(listed)} sessions, {len(live)} of which open"
    for user, ids in quiet.kept.items():
        for id in ids:
            if quiet.open.get(id) != user and (is_calm or _is_whole(id, history)):
                yield f"the store keeps {id} of {user}, which nothing opens"


def _is_whole(id: str, history: CrowdHistory) -> bool:
    """Tell whether a client has the last token of the session.

    It has none where the answer to its first sign-in was lost. Of two sign-ins at once, the one
    that is overtaken sends no cookie; where the other's answer is lost, neither does.
    """
    known = history.known.get(id)
    return known is not None and all(o.token_set or not o.done for o in known.sign_ins)
