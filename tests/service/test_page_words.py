"""How the page puts times, values and clients into words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from handlers.page import words

NOW = datetime(2026, 3, 5, 7, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "just now"),
        (9.9, "just now"),
        (-5, "just now"),
        (59, "59 seconds ago"),
        (60, "1 minute ago"),
        (3600 * 23.9, "23 hours ago"),
        (86400 * 2, "2 days ago"),
    ],
)
def test_the_past_is_told_in_one_unit(seconds: float, expected: str) -> None:
    assert words.ago(NOW - timedelta(seconds=seconds), NOW) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (86400 * 14 - 0.5, "in 14 days"),
        (86400, "in 1 day"),
        (3570, "in 1 hour"),
        (90, "in 2 minutes"),
    ],
)
def test_the_future_is_told_to_the_minute(seconds: float, expected: str) -> None:
    assert words.ahead(NOW + timedelta(seconds=seconds), NOW) == expected


def test_a_moment_is_told_in_utc() -> None:
    there = timezone(timedelta(hours=-8))
    assert words.moment(NOW.astimezone(there)) == "5 Mar 2026, 07:09 UTC"


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (None, "unknown client"),
        ("", "unknown client"),
        ("curl/8.5.0", "curl"),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox on Linux",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("<b>my own client</b>", "<b>my own client</b>"),
        ("x" * 300, "x" * 60 + "…"),
    ],
)
def test_a_client_is_called_in_a_few_words(agent: str | None, expected: str) -> None:
    assert words.client(agent) == expected


def test_a_long_value_is_cut() -> None:
    assert words.shown({"a": [1, None, "é"]}) == '{"a": [1, null, "é"]}'
    assert words.shown("x" * 1000) == f'"{"x" * 599}… (1,002 characters)'
