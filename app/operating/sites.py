"""The stores of an application, each with the managers whose sessions it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.option_sources import OptionError
from app.sessions.manager import SessionManager
from app.sessions.records import Records
from stores.contract import Record, Store


@dataclass(frozen=True)
class Site:
    """One store, and the managers that share it."""

    managers: Sequence[SessionManager]
    """One at least."""
    neighbours: Sequence[str] = ()
    """The cookies of managers that share the store, and are not meant."""

    @property
    def store(self) -> Store:
        return self.managers[0].store

    @property
    def records(self) -> Records:
        return self.managers[0].records

    @property
    def label(self) -> str:
        """What a person knows it by."""
        cookies = ", ".join(manager.cookie.name for manager in self.managers)
        return f"cookie{'s' if len(self.managers) > 1 else ''} {cookies} in {self.store.name}"

    def is_alive(self, record: Record, now: float) -> bool:
        """Tell whether *record* is a live session of one of the managers; it does not say which."""
        return any(manager.timeouts.is_alive(record, now) for manager in self.managers)

    def end_of(self, record: Record) -> float:
        """Return until when it lives at most, in Unix time, unless it is presented before."""
        return max(manager.timeouts.end(record) for manager in self.managers)


def sites_of(managers: Sequence[SessionManager], cookie: str | None) -> list[Site]:
    """Return the stores of *managers*, or of the one of this *cookie*.

    Raises `OptionError`.
    """
    by_store: dict[int, list[SessionManager]] = {}
    for manager in managers:
        by_store.setdefault(id(manager.store), []).append(manager)
    sites = []
    for of_store in by_store.values():
        meant = [m for m in of_store if cookie in (None, m.cookie.name)]
        others = [m.cookie.name for m in of_store if m not in meant]
        if meant:
            sites.append(Site(meant, others))
    if cookie is not None and not sites:
        names = list(dict.fromkeys(manager.cookie.name for manager in managers))
        raise OptionError(
            f"--cookie={cookie} is no manager's; there is: {', '.join(names) or 'none'}"
        )
    return sites
