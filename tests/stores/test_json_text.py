"""JSON text: what is read of it, and the size of a record's data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.json_text import MAX_DEPTH, decode, encode, size_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=8,
)


@given(st.dictionaries(TEXT, VALUES))
def test_the_size_is_that_of_the_text(data: dict[str, object]) -> None:
    assert size_of(data) == len(encode(data).encode())  # type: ignore[arg-type]


@given(st.dictionaries(TEXT, VALUES))
def test_what_was_written_is_read(data: dict[str, object]) -> None:
    assert decode(encode(data)) == data


def nested(levels: int) -> str:
    return (
        '[{"k":' * (levels // 2)
        + "[]" * (levels % 2)
        + "1" * (1 - levels % 2)
        + "}]" * (levels // 2)
    )


NOT_FINITE = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 400 + ".0"]


@pytest.mark.parametrize("text", NOT_FINITE)
def test_a_number_that_is_not_finite_is_refused(text: str) -> None:
    for outer in (text, f'{{"x":{text}}}', f"[1,[{text}]]"):
        with pytest.raises(ValueError, match="finite"):
            decode(outer)


@pytest.mark.parametrize("text", [r'"\ud800"', r'{"\uDFFF":1}', r'["\ud83d", "\ude00"]'])
def test_a_lone_surrogate_is_refused(text: str) -> None:
    with pytest.raises(UnicodeEncodeError):
        decode(text)


def test_a_pair_of_surrogates_is_a_character() -> None:
    assert decode(r'"\ud83d\ude00 \\ud800"') == "\U0001f600 \\ud800"


def test_values_nested_deeper_than_a_session_holds_are_refused() -> None:
    for levels in (MAX_DEPTH - 1, MAX_DEPTH):
        decode(f"[{nested(levels)}]")
        decode(f'{{"x":{nested(levels)},"y":{nested(levels)}}}')
    for levels in (MAX_DEPTH + 1, MAX_DEPTH + 2, 600, 60_000):
        with pytest.raises(RecursionError):
            decode(f"[{nested(levels)}]")
        with pytest.raises(RecursionError):
            decode(f'{{"y":[1],"x":{nested(levels)}}}')
    decode("[" + ",".join(["[{}]"] * 1000) + "]")
