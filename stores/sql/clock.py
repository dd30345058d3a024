"""Comparing this machine's clock with the database's."""

from __future__ import annotations

import logging
import time

from sqlalchemy import select

from stores.sql.attempt import Attempt
from stores.sql.statements import Statements

log = logging.getLogger(__name__)

TOLERANCE = 5.0
"""Seconds; a token that was replaced is known for ten."""


def compare_clocks(attempt: Attempt, statements: Statements, database: str) -> None:
    """Warn when the clocks differ by more than a few seconds."""
    for expression in statements.server_time():
        before = time.time()
        with attempt.transaction():
            there = float(attempt.connection.scalar(select(expression)) or 0)
        here = time.time()
        # Between the two looks at this clock, any difference is none; some servers tell whole
        # seconds.
        difference = there - here if there > here else min(there + 1 - before, 0.0)
        if abs(difference) > TOLERANCE:
            log.warning(
                "this machine's clock is about %.0f s %s that of %s: sessions may end early and "
                "replaced tokens be taken for unknown ones; set both clocks by NTP",
                abs(difference),
                "behind" if difference > 0 else "before",
                database,
            )
