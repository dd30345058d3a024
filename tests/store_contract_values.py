"""What every store must keep as it was: a part of `tests.store_contract`."""

from __future__ import annotations

from typing import Any

import pytest

from app.sessions import values
from stores.contract import JSON, Create, Outcome, Store, Update
from tests.helpers.records import load_record, load_records, make_record, make_rotation, same_record

DONE = Outcome.DONE

KEYS = [
    *(
        "",
        " ",
        ".",
        "a.b",
        "$set",
        "$",
        "%",
        "%2E",
        "\x00",
        "a\x00b",
        "'",
        '"',
        "\\",
        "`",
        "__proto__",
    ),
    *(
        "d:x",
        "user",
        "secret",
        "_id",
        "zoë",
        "日本",
        "\N{GRINNING FACE}",
        "\u2028",
        "\uffff",
        "0",
        "-1",
    ),
    *("Key", "key", "key ", "[0]", "{}", "a" * 1000),
]
"""Keys that some database takes for something else, or for each other."""

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)),
    *(0.0, -0.0, 1.0, 0.1, 1e308, 5e-324, 2.0**53, -1e-7, 1e22),
    *(
        "",
        "1",
        "null",
        "\x00",
        "a\x00",
        "\u2028\u2029",
        "\N{GRINNING FACE}",
        "\ufdd0",
        "'; --",
        "$x",
    ),
    *([], {}, [[]], [{}], {"": {}}, [None, [None]], {"a": [1, {"b": [2.5, "c"]}]}),
]
"""Values that some database or encoding changes on the way."""


def nested(depth: int) -> Any:
    """Return a list in a list in a list, *depth* deep."""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


class ValuesContract:
    """Keys, values and users that come back as they were."""

    @pytest.mark.gen_test
    @pytest.mark.parametrize("key", KEYS, ids=ascii)
    async def test_any_key_is_kept_changed_and_removed(self, opened: Store, key: str) -> None:
        others = {"x": 1, "a": {"b": 2}}
        record = make_record(data={**others, key: 0})
        await opened.write([Create(record)])
        value: JSON = {key: [{key: 1}]}
        assert await opened.write([Update(record.id, set={key: value})]) == [DONE]
        found = await load_record(opened, record.id)
        assert values.same({**others, key: value}, dict(found.data))
        assert await opened.write([Update(record.id, unset=[key])]) == [DONE]
        assert (await load_record(opened, record.id)).data == others

    @pytest.mark.gen_test
    async def test_all_keys_are_kept_beside_each_other(self, opened: Store) -> None:
        data = {key: n for n, key in enumerate(KEYS)}
        created, updated = make_record(data=data), make_record()
        await opened.write([Create(created), Create(updated)])
        await opened.write([Update(updated.id, set=data)])
        found = await load_records(opened, [created.id, updated.id])
        assert found[created.id].data == data
        assert found[updated.id].data == data

    @pytest.mark.gen_test
    @pytest.mark.parametrize("value", VALUES, ids=ascii)
    async def test_any_value_comes_back_equal_and_of_its_type(
        self, opened: Store, value: Any
    ) -> None:
        created, updated = make_record(data={"v": value, "l": [value]}), make_record()
        await opened.write([Create(created), Create(updated)])
        await opened.write([Update(updated.id, set={"v": value, "l": [value]})])
        for found in (await load_records(opened, [created.id, updated.id])).values():
            assert values.same({"v": value, "l": [value]}, dict(found.data))

    @pytest.mark.gen_test
    async def test_the_deepest_nesting_is_kept(self, opened: Store) -> None:
        deep = nested(values.MAX_DEPTH)
        values.check(deep, "deep")
        record = make_record(data={"deep": deep})
        await opened.write([Create(record)])
        await opened.write([Update(record.id, set={"again": deep})])
        assert (await load_record(opened, record.id)).data == {"deep": deep, "again": deep}

    @pytest.mark.gen_test
    async def test_a_large_session_is_kept(self, opened: Store) -> None:
        record = make_record(data={"text": "ä" * 30_000, "many": list(range(1000))})
        await opened.write([Create(record)])
        assert same_record(record, await load_record(opened, record.id))

    @pytest.mark.gen_test
    @pytest.mark.parametrize("user", ["ada", "Ada", "zoë \N{GRINNING FACE}", "'; --", "u" * 255])
    async def test_any_user_is_kept(self, opened: Store, user: str) -> None:
        created, signed_in = make_record(user=user), make_record()
        await opened.write([Create(created), Create(signed_in)])
        rotation = make_rotation(signed_in, user=user)
        assert await opened.write([Update(signed_in.id, rotation=rotation)]) == [DONE]
        found = await load_records(opened, [created.id, signed_in.id])
        assert [record.user for record in found.values()] == [user, user]
