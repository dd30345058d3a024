"""Finding the session's token in a Cookie header, among whatever clients send."""

from __future__ import annotations

import time

import pytest

from app import Cookie
from app.sessions.cookie import MAX_CANDIDATES

A, B = "A" * 54, "b-_0" * 13 + "9g"
assert len(B) == 54

FOUND = [
    (f"session={A}", [A]),
    (f"session={B}", [B]),
    (f"theme=dark; session={A}", [A]),
    (f"session={A}; theme=dark", [A]),
    (f"a=1; session={A}; b=2", [A]),
    (f"theme=dark;session={A}", [A]),
    (f"session={A};", [A]),
    (f"  session = {A}  ", [A]),
    (f"\tsession={A}\t; x=y", [A]),
    (f"session={A}; session={A}", [A]),
    (f"session={A}; session={B}", [A, B]),
    (f"session=; session={A}", [A]),
    (f"session=garbage; session={A}", [A]),
    (f"xsession={B}; session={A}", [A]),
    (f"session2={B}; session={A}", [A]),
    (f"session-old={B}; session={A}", [A]),
    (f'a="; session={A}; b="', [A]),
    (f"=; ;; session={A}", [A]),
    (f"flag; session={A}", [A]),
]


@pytest.mark.parametrize(("header", "tokens"), FOUND)
def test_a_token_is_found(header: str, tokens: list[str]) -> None:
    assert Cookie().find(header) == (True, tokens)


PRESENT_BUT_NO_TOKEN = [
    "session=",
    "session=   ",
    f'session="{A}"',
    f"session='{A}'",
    f"session={A}A",
    f"session={A[:-1]}",
    f"session={A[:-1]}B",  # bits beyond the token's bytes: a second spelling of the same token
    f"session={A}=",
    f"session={A[:-1]}=",
    f"session={A[:20]} {A[20:-1]}",
    f"session={A[:-1]}+",
    f"session={A[:-1]}/",
    f"session={A},",
    f"session={A}\xa0",
    f"session={A}\xa0; session=",  # beside others of the name, too
    f"session={A}\n",
    f"session={A[:-1]}é",
    f"session={A[:-1]}Ａ",  # noqa: RUF001 - a full-width letter
    f"session=={A}",
    "session=" + "A" * 10_240,
    "session=" + "%41" * 18,
    "session=\x00",
]


@pytest.mark.parametrize("header", PRESENT_BUT_NO_TOKEN)
def test_a_value_of_another_form_is_no_token(header: str) -> None:
    assert Cookie().find(header) == (True, [])


ABSENT = [
    "",
    ";",
    "session",
    f"xsession={A}",
    f"session2={A}",
    f"session-id={A}",
    f"my.session={A}",
    f"SESSION={A}",
    f"Session={A}",
    f"other=session={A}",
    f"other= session={A}",
    f"{A}=session",
]


@pytest.mark.parametrize("header", ABSENT)
def test_a_cookie_of_another_name_is_not_ours(header: str) -> None:
    assert Cookie().find(header) == (False, [])


def test_a_name_with_the_signs_of_a_pattern_is_taken_literally() -> None:
    cookie = Cookie(name="a.b*c+d|e^f$g")
    assert cookie.find(f"a.b*c+d|e^f$g={A}") == (True, [A])
    assert cookie.find(f"axb*c+d|e^f$g={A}") == (False, [])


def test_more_different_tokens_than_a_browser_sends_are_none() -> None:
    tokens = [f"{i:053d}A" for i in range(MAX_CANDIDATES + 1)]
    most = "; ".join(f"session={token}" for token in tokens[:-1])
    assert Cookie().find(most) == (True, tokens[:-1])
    assert Cookie().find(f"{most}; session={tokens[-1]}") == (True, [])


@pytest.mark.parametrize("piece", ["session", ";session ", "; ", "session=;", "\t", "session\t"])
def test_a_header_of_64_kilobytes_is_searched_in_no_time(piece: str) -> None:
    begun = time.perf_counter()
    Cookie().find(";" + piece * (65_536 // len(piece)))
    assert time.perf_counter() - begun < 0.5  # a pattern that goes back and forth takes minutes
