"""A complete store of your own: all sessions in one JSON file, for one process."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from stores.contract import Change, Create, Delete, Outcome, Record, Store, StoreUnavailable


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
        records = dict(self.records)  # replaces self.records after the file is written
        outcomes = [apply(records, change) for change in changes]
        draft = self.path.with_suffix(".new")
        try:
            draft.write_text(json.dumps([r._asdict() for r in records.values()], default=bytes.hex))
            draft.replace(self.path)
        except OSError as error:
            raise StoreUnavailable(f"cannot write the file: {error.strerror}") from None
        self.records = records
        return outcomes


def apply(records: dict[bytes, Record], change: Change) -> Outcome:
    if isinstance(change, Create):
        added = records.setdefault(change.id, change.record) is change.record
        return Outcome.DONE if added else Outcome.EXISTS
    if isinstance(change, Delete):
        records.pop(change.id, None)
        return Outcome.DONE
    record = records.get(change.id)
    if record is None or (change.rotation and change.rotation.expected_hash != record.secret_hash):
        return Outcome.CONFLICT if record else Outcome.MISSING
    records[change.id] = change.applied_to(record)
    return Outcome.DONE
