"""Master keys: what is one, how a text lists them, and that nothing shows them."""

from __future__ import annotations

import base64
import os
import traceback
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from stores import ConfigurationError, EncryptedStore, MemoryStore, open_store
from stores.encrypted.keys import MasterKeys, read_keys

KEY = bytes(range(100, 132))
OTHER = bytes(range(200, 232))
BASE64 = base64.b64encode(KEY).decode()


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        BASE64,
        BASE64.rstrip("="),
        f" {BASE64}\n",
        KEY.hex(),
        KEY.hex().upper(),
        base64.urlsafe_b64encode(KEY).decode(),
    ],
)
def test_a_key_is_bytes_or_text(key: bytes | str) -> None:
    assert MasterKeys({1: key}).key_of(1, b"id") == MasterKeys({1: KEY}).key_of(1, b"id")


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({}, "keys are missing"),
        (None, "keys are missing"),
        (BASE64, "keys are missing"),
        ({1: KEY[:31]}, "key 1 is 31 bytes long: give 32 random bytes"),
        ({1: KEY + b"x"}, "key 1 is 33 bytes long"),
        ({1: ""}, "key 1 is 0 bytes long"),
        ({1: KEY, 2: base64.b64encode(KEY[:16]).decode()}, "key 2 is 16 bytes long"),
        ({1: KEY.hex()[:-2]}, "key 1 is 46 bytes long"),
        ({1: "not base64, surely"}, "key 1 is neither base64 nor hexadecimal digits"),
        ({1: "\xe9" * 44}, "key 1 is neither base64"),
        ({1: 12345}, "key 1 is of type int"),
        ({1: bytearray(KEY)}, "key 1 is of type bytearray"),
        ({1: bytes(32)}, "key 1 is not random"),
        ({1: "A" * 43 + "="}, "key 1 is not random"),
        ({0: KEY}, "the number of a key is 0: give a whole one, 1 to 9999"),
        ({-1: KEY}, "the number of a key is -1"),
        ({10_000: KEY}, "the number of a key is 10000"),
        ({True: KEY}, "the number of a key is of another kind"),
        ({"1": KEY}, "the number of a key is of another kind"),
        ({BASE64: 1}, "the number of a key is of another kind"),
        ({1: KEY, 2: KEY.hex()}, "the keys 1 and 2 are the same"),
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(keys: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{sentence}") as caught:
        EncryptedStore(MemoryStore(), keys)
    text = "".join(traceback.format_exception(caught.value))
    assert not any(secret in text for secret in (BASE64[:12], KEY.hex()[:12], repr(KEY[:8])))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("number", [3, 0, True, "1", BASE64])
def test_the_key_that_seals_must_be_there(number: Any) -> None:
    with pytest.raises(ConfigurationError, match="there is no such key"):
        MasterKeys({1: KEY, 2: OTHER}, seal_with=number)


def test_the_highest_seals_unless_another_is_named() -> None:
    assert MasterKeys({2: OTHER, 10: KEY}).seals == 10
    assert MasterKeys({2: OTHER, 10: KEY}, seal_with=2).seals == 2


def test_nothing_shows_a_key() -> None:
    store = EncryptedStore(MemoryStore(), {2: OTHER, 10: KEY.hex()}, seal_with=2)
    assert repr(store) == "<EncryptedStore memory (sealed), <MasterKeys 10, 2; 2 seals>>"
    for thing in (store, store.keys, store.sealer, store.name):
        for text in (repr(thing), str(thing)):
            assert not any(secret in text for secret in (KEY.hex(), BASE64, str(KEY), str(OTHER)))


def test_each_record_has_a_key_by_hkdf() -> None:
    id = os.urandom(16)
    info = b"session values, key of a record, 1\0" + id
    expected = HKDFExpand(SHA256(), 32, info).derive(KEY)
    keys = MasterKeys({1: KEY, 2: OTHER})
    assert keys.key_of(1, id) == expected
    assert len({expected, keys.key_of(2, id), keys.key_of(1, os.urandom(16))}) == 3


@pytest.mark.parametrize(
    "text",
    [
        "2:b\n1:a\n",
        "# since May\n2:b  # the new one\n\n 1:a",
        "2:b,1:a",
        "2:b 1:a",
        "2:b\r\n1:a\r\n",
        "0002:b, 01:a",
    ],
)
def test_keys_are_listed_in_lines_or_one(text: str) -> None:
    assert read_keys(text) == {2: "b", 1: "a"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"1:{BASE64}\n{BASE64}", "line 2 of the keys is not NUMBER:KEY"),
        (f"{BASE64}:1", "line 1 of the keys is not NUMBER:KEY"),
        (f"1: {BASE64}", "line 1 of the keys is not NUMBER:KEY"),
        (f"-1:{BASE64}", "line 1 of the keys is not NUMBER:KEY"),
        (f"\u0661:{BASE64}", "line 1 of the keys is not NUMBER:KEY"),
        (f"1=\n\n{BASE64}", "line 1 of the keys is not NUMBER:KEY"),
        (f"1:{BASE64}\n1:{OTHER.hex()}", "key 1 is there twice, again in line 2"),
        (f"1:{BASE64[:-4]}", "key 1 is 30 bytes long"),
        (f"99999:{BASE64}", "the number of a key is 99999"),
        ("# none yet\n", "the keys are an empty list"),
        (" \n", "the keys are an empty list"),
    ],
)
def test_a_malformed_list_is_told_by_its_line(text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{sentence}") as caught:
        open_store("memory:", text)
    shown = "".join(traceback.format_exception(caught.value))
    assert BASE64[:12] not in shown
    assert OTHER.hex()[:12] not in shown


def test_a_url_and_keys_make_a_sealed_store() -> None:
    text = f"2:{BASE64} 1:{OTHER.hex()}"
    assert repr(open_store("memory:", text)).endswith("<MasterKeys 2, 1; 2 seals>>")
    assert repr(open_store("memory:", text, seal_with=1)).endswith("<MasterKeys 2, 1; 1 seals>>")
    assert isinstance(open_store("memory:", ""), MemoryStore)


@pytest.mark.parametrize("options", [{"seal_with": 1}, {"accept_plain": True}])
def test_what_concerns_keys_is_refused_without_them(options: Any) -> None:
    """Who wrote it believes that values are sealed."""
    with pytest.raises(ConfigurationError, match="mean nothing without keys"):
        open_store("memory:", **options)


def test_only_a_plain_store_is_sealed() -> None:
    with pytest.raises(ConfigurationError, match="takes a store, not str"):
        EncryptedStore("memory:", {1: KEY})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="sealed already"):
        EncryptedStore(EncryptedStore(MemoryStore(), {1: KEY}), {1: KEY})
