"""The words of the command line: which are options, and what command is meant."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.option_sources import OptionError, missing_equals
from app.option_values import Origins
from app.options import declared


@dataclass(frozen=True)
class Call:
    """How `main.py` was called."""

    words: Sequence[str]
    """What is behind the command's name."""
    origins: Origins
    broken: Exception | None
    """Why `configure.py` cannot be imported."""


@dataclass(frozen=True)
class Command:
    """Something to do in the place of serving."""

    help: str
    run: Callable[[Call], None]
    arguments: Sequence[str] = ()
    """What the word behind it may be; where this is empty, none may be there."""
    own: OwnWords | None = None
    """Where it has flags of its own: who reads what is behind its name."""


class OwnWords(Protocol):
    """Flags and words of one command."""

    def split(self, line: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return the service's options, and all else. Raises `OptionError`."""

    def help(self, line: Sequence[str]) -> str:
        """Return the page of what *line* asks for."""


def owner(line: Sequence[str], commands: Mapping[str, Command]) -> tuple[int, OwnWords] | None:
    """Return where in *line* a command is that has flags of its own, and who reads them."""
    for place, word in enumerate(line):
        if not word.startswith("-"):
            command = commands.get(word)
            return None if command is None or command.own is None else (place, command.own)
    return None


def split(line: Sequence[str], commands: Mapping[str, Command]) -> tuple[list[str], list[str]]:
    """Return the options and the other words of *line*, which may be mixed.

    Raises `OptionError` for an option whose value is a word of its own.
    """
    if (found := owner(line, commands)) is not None:
        place, own = found
        options, words = own.split(line[place + 1 :])
        return [*line[:place], *options], [line[place], *words]
    for word, following in itertools.pairwise(line):
        if word.startswith("-") and not following.startswith("-"):
            mend = missing_equals(word, following, declared())
            if mend:
                raise OptionError(f"a value follows its option after =: {mend}")
    return (
        [word for word in line if word.startswith("-")],
        [word for word in line if not word.startswith("-")],
    )


def check(words: Sequence[str], commands: Mapping[str, Command]) -> None:
    """Raise `OptionError` unless *words* are a command, or nothing."""
    if not words:
        return
    command = commands.get(words[0])
    if command is not None and command.own is not None:
        return  # which has looked at them
    known = command is not None and (not words[1:] or words[1] in command.arguments)
    if not known:
        there_is = ", ".join(
            " ".join([name, " | ".join(command.arguments)]).rstrip()
            for name, command in commands.items()
        )
        raise OptionError(f"unknown command {' '.join(words)!r}; there is: {there_is}")
    if command is not None and command.arguments and not words[1:]:
        raise OptionError(f"write {words[0]} and one of: {', '.join(command.arguments)}")
