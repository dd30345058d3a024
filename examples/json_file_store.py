"""A complete store of your own: all sessions in one JSON file, for one process."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from stores.applying import apply_change
from stores.contract import Change, Outcome, Page, Record, Store, StoreUnavailable
from stores.cursor import id_after, page_of


class JSONFileStore(Store):
    shared = False  # two processes would overwrite each other's changes

    def __init__(self, path: Path) -> None:
        self.path, self.records = path, dict[bytes, Record]()

    @property
    def name(self) -> str:
        return f"file:{self.path.name}"

    async def open(self) -> None:
        for row in json.loads(self.path.read_text()) if self.path.exists() else []:
            for key in ("id", "secret_hash", "former_hash"):
                row[key] = row[key] and bytes.fromhex(row[key])
            self.records[row["id"]] = Record(**row)

    async def close(self) -> None:
        self.records = {}

    async def ping(self) -> None:
        await self.write([])

    async def load(self, ids: Sequence[bytes]) -> Mapping[bytes, Record]:
        return {id: self.records[id] for id in ids if id in self.records}

    async def write(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        records, outcomes = dict(self.records), []
        for change in changes:
            outcome, record = apply_change(records.pop(change.id, None), change)
            outcomes.append(outcome)
            if record is not None:
                records[change.id] = record
        self.replace(records)
        return outcomes

    async def sweep(self, now: float, limit: int) -> int:
        expired = [id for id, record in self.records.items() if record.expires < now][:limit]
        self.replace({id: r for id, r in self.records.items() if id not in expired})
        return len(expired)

    async def scan(self, after: str | None = None, limit: int = 500) -> Page:
        behind = id_after(after)
        ids = sorted(id for id in self.records if id > behind)[:limit]
        return page_of({id: self.records[id] for id in ids}, limit)

    def replace(self, records: dict[bytes, Record]) -> None:
        draft = self.path.with_suffix(".new")
        try:
            draft.write_text(json.dumps([r._asdict() for r in records.values()], default=bytes.hex))
            draft.replace(self.path)  # the old file is whole until the new one is
        except OSError as error:
            raise StoreUnavailable(f"cannot write: {error.strerror}") from None
        self.records = records
