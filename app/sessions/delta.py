"""A mapping of JSON values over a base that is never changed: it knows what differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Self

from app.sessions import values
from stores.contract import JSON


class _Removed:
    """Stands in `_local` for a key that was deleted."""


_REMOVED: Any = _Removed()
_NOTHING: Mapping[str, JSON] = {}

RESERVED = "_flash:"
"""What the keys begin with that `flash()` keeps for its messages: they are none of the user's."""


class DeltaMapping(MutableMapping[str, "JSON"]):
    """What a session is as a mapping. Nested lists and dicts are handed out as copies, watched."""

    # _base is the record's own mapping, shared between requests; _local has what this request
    # assigned, removed, or was handed out as a list or dict that it may change from within.
    def _rebase(self, base: Mapping[str, JSON] | None) -> None:
        """Start from *base*, without any change."""
        self._base: Mapping[str, JSON] = _NOTHING if base is None else base
        self._local: dict[str, JSON] = {}

    def _refuse_change(self, *, begins: bool) -> None:
        """Raise unless a change is allowed now; *begins* when it may begin a session."""

    def __getitem__(self, key: str) -> JSON:
        local = self._local
        if key in local:
            value = local[key]
            if value is _REMOVED:
                raise KeyError(key)
            return value
        value = self._base[key]
        if type(value) is list or type(value) is dict:
            value = local[key] = values.copy(value)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of *key*, or *default* where there is none."""
        try:
            return self[key]
        except KeyError:
            return default

    def __setitem__(self, key: str, value: JSON) -> None:
        self._refuse_change(begins=True)
        values.check_item(key, value)
        if key.startswith(RESERVED):
            raise ValueError(f"session[{key!r:.60}]: flash() keeps the keys that begin like that")
        self._local[key] = value

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self._refuse_change(begins=False)
        self._remove(key)

    def _remove(self, key: str) -> None:
        """Remove *key* if it is there."""
        if key in self._base:
            self._local[key] = _REMOVED
        else:
            self._local.pop(key, None)

    def clear(self) -> None:
        """Remove all keys; messages of `flash()` stay."""
        keys = list(self)
        if keys:
            self._refuse_change(begins=False)
            for key in keys:
                self._remove(key)

    # What a dict has besides a MutableMapping

    def copy(self) -> dict[str, JSON]:
        """Return a dict of what is here; it is no session, so that a change of it is not saved."""
        return dict(self)

    __copy__ = copy

    def __deepcopy__(self, memo: object) -> dict[str, JSON]:
        return {key: values.copy(value) for key, value in self.items()}

    def __or__(self, other: Mapping[str, JSON]) -> dict[str, JSON]:
        return {**self, **other} if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Mapping[str, JSON]) -> dict[str, JSON]:
        return {**other, **self} if isinstance(other, Mapping) else NotImplemented

    def __ior__(self, other: Mapping[str, JSON] | Iterable[tuple[str, JSON]]) -> Self:
        self.update(other)
        return self

    def __contains__(self, key: object) -> bool:
        if key in self._local:
            return self._local[key] is not _REMOVED
        return key in self._base

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._keys() if not key.startswith(RESERVED))

    def _keys(self) -> Iterable[str]:
        """Return all keys, the reserved ones, too."""
        local = self._local
        if not local:
            return self._base
        kept = [key for key in self._base if local.get(key) is not _REMOVED]
        return kept + [key for key in local if key not in self._base]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _delta(self) -> tuple[dict[str, JSON], list[str]]:
        """Return (keys set, keys removed) against the base; the values are copies.

        Raises `TypeError` or `ValueError` for what a list or dict holds and cannot be kept.
        """
        base = self._base
        changed: dict[str, JSON] = {}
        removed: list[str] = []
        for key, value in self._local.items():
            if value is _REMOVED:
                if key in base:
                    removed.append(key)
                continue
            nested = type(value) is list or type(value) is dict
            if nested:
                values.check_item(key, value)
            if key not in base or not values.same(value, base[key]):
                changed[key] = values.copy(value) if nested else value
        return changed, removed

    def _advance(self, base: Mapping[str, JSON] | None) -> None:
        """Go on from *base*, which has what was changed so far.

        What was changed since is kept, and so are the nested values that were handed out.
        """
        local = self._local
        self._rebase(base)
        base = self._base
        for key, value in local.items():
            if value is _REMOVED:
                keep = key in base
            else:
                nested = type(value) is list or type(value) is dict
                keep = nested or key not in base or not values.same(value, base[key])
            if keep:
                self._local[key] = value
