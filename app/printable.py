"""Texts of clients, made fit for a line of the log or of a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return *text* with each character escaped that a terminal or a reader of lines might obey.

    These are the control characters (U+009B begins a terminal's commands), line separators, what
    turns the direction of writing, and halves of surrogate pairs, which no file can hold.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
