"""The size of a record's data is that of its JSON text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stores.json_text import encode, size_of

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
