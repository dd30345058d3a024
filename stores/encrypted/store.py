"""Records with sealed values, in any other store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from stores.contract import (
    MAX_DATA,
    Change,
    ConfigurationError,
    Count,
    Create,
    Delete,
    Outcome,
    Page,
    Record,
    Resealed,
    Store,
    StoreUnavailable,
    Unopened,
    Unreadable,
    Update,
)
from stores.encrypted.expectations import write_expecting
from stores.encrypted.keys import MasterKeys
from stores.encrypted.resealing import reseal
from stores.encrypted.sealing import ADDED, CannotOpen, Sealer
from stores.json_text import NOT_JSON, size_of

Answer = TypeVar("Answer")


class EncryptedStore(Store):
    """Keeps records in *inner*, each of their values sealed.

    *keys* are master keys by their numbers (1 to 9999): 32 random bytes each, as bytes or as text
    in base64 or hexadecimal digits. The one of the highest number seals, or that of *seal_with*;
    all of them open. With *accept_plain*, a value that is not sealed is read as it is, for the time
    of moving in; without it, it does not open.

    A record with a value that does not open is `Unopened`: 503 for who presents it. Raises
    `ConfigurationError` for keys that cannot be used.
    """

    def __init__(
        self,
        inner: Store,
        keys: Mapping[int, bytes | str],
        *,
        seal_with: int | None = None,
        accept_plain: bool = False,
    ) -> None:
        if not isinstance(inner, Store):
            raise ConfigurationError(
                f"EncryptedStore takes a store, not {type(inner).__name__}: "
                "EncryptedStore(open_store(url), keys={1: key})"
            )
        if isinstance(inner, EncryptedStore):
            raise ConfigurationError(f"the values of {inner.name} are sealed already")
        self.inner = inner
        self.keys = MasterKeys(keys, seal_with)
        self.sealer = Sealer(self.keys, accept_plain)
        self.timeout = inner.timeout
        self.shared = inner.shared
        self.expires_itself = inner.expires_itself

    @property
    def name(self) -> str:
        return f"{self.inner.name} (sealed)"

    @property
    def on_evict(self) -> set[Callable[[Record], None]] | None:
        return self.inner.on_evict  # who is called looks at no value

    def __repr__(self) -> str:
        return f"<EncryptedStore {self.name}, {self.keys!r}>"

    async def open(self) -> None:
        await self.inner.open()

    async def close(self) -> None:
        await self.inner.close()

    async def ping(self) -> None:
        await self.inner.ping()

    async def sweep(self, now: float, limit: int) -> int:
        return await self.inner.sweep(now, limit)

    async def scan(self, after: str | None = None, limit: int = 500) -> Page:
        page = await self.inner.scan(after, limit)
        return page._replace(found={id: self.opened(id, each) for id, each in page.found.items()})

    async def count(self, *, exact: bool = False) -> Count:
        return await self.inner.count(exact=exact)

    async def load(
        self, ids: Sequence[bytes]
    ) -> Mapping[bytes, Record | Unreadable | StoreUnavailable]:
        found = await self.inner.load(ids)
        return {id: self.opened(id, answer) for id, answer in found.items()}

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome | StoreUnavailable]:
        answers: dict[int, Outcome | StoreUnavailable] = {}
        passed: list[Change] = []
        for n, change in enumerate(changes):
            if isinstance(change, Update) and change.expected:
                answers[n] = await write_expecting(self, change)
                continue
            try:
                sealed = self.sealed(change)
            except NOT_JSON:
                answers[n] = StoreUnavailable("its data is not JSON")
                continue
            if sealed is None:
                answers[n] = Outcome.TOO_LARGE
            else:
                passed.append(sealed)
        if not answers:
            return await self.inner.write(passed)
        outcomes = await self.inner.write(passed) if passed else ()
        if len(outcomes) != len(passed):
            raise StoreUnavailable(
                f"write() returned {len(outcomes)} outcomes for {len(passed)} changes"
            )
        rest = iter(outcomes)
        return [answers[n] if n in answers else next(rest) for n in range(len(changes))]

    async def reseal(self, after: str | None = None, limit: int = 100) -> Resealed:
        """Do what `Resealing` says; with *accept_plain*, plain values are sealed as well."""
        return await reseal(self, after, limit)

    def sealed(self, change: Change) -> Change | None:
        """Return *change* with its values sealed; `None` if no store can keep so much.

        What it expects stays as it is. Raises one of `NOT_JSON`.
        """
        if isinstance(change, Delete):
            return change
        if isinstance(change, Create):
            values = self.sealer.seal(change.id, change.record.data)
            record = change.record._replace(data=values)
            return None if _is_too_large(values) else Create(record)
        if not change.set and change.or_create is None:
            return change
        values = self.sealer.seal(change.id, change.set)
        if _is_too_large(values):
            return None
        blank = change.or_create
        if blank is not None:
            blank = blank._replace(data=self.sealer.seal(change.id, blank.data))
        return change._replace(set=values, or_create=blank, uncounted=change.uncounted + ADDED)

    def opened(self, id: bytes, answer: Answer) -> Answer | Unopened:
        """Return what the inner store has of record *id*, its values opened."""
        if not isinstance(answer, Record) or not isinstance(answer.data, Mapping):
            return answer
        try:
            data = self.sealer.open(id, answer.data)
        except CannotOpen as error:
            return Unopened(str(error), answer)
        return answer._replace(data=data)


def _is_too_large(sealed: Mapping[str, str]) -> bool:
    """Tell whether *sealed* values alone take more than a store can read back."""
    return sum(map(len, sealed.values())) > MAX_DATA / 4 and size_of(sealed) > MAX_DATA
