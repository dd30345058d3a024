"""The words behind `main.py sessions`: a command, flags of its own, options of the service."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence

from app.operating.operation import Flag, Operation, Request
from app.option_sources import OptionError, nearest
from app.option_values import Origins
from app.options import dashed, declared
from app.sessions import token

COLUMN, WIDTH = 34, 100


class CommandLine:
    """The commands there are, by their names."""

    def __init__(self, operations: Mapping[str, Operation]) -> None:
        self._operations = operations
        self._flags = {n: flag for o in operations.values() for n, flag in o.all_flags.items()}

    def split(self, line: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return the service's options in *line*, and all else, in which no value stands alone.

        Raises `OptionError`.
        """
        options: list[str] = []
        rest: list[str] = []
        words = iter(line)
        for word in words:
            name, equals, _ = word.removeprefix("--").partition("=")
            if word == "--":
                rest += [word, *words]
            elif not word.startswith("-"):
                rest.append(word)
            elif word.startswith("--") and name in self._flags:
                if self._flags[name].metavar and not equals:
                    word = f"{word}={_value(word, self._flags[name], words)}"
                rest.append(word)
            elif token.record_id(word) is not None and name not in declared():
                rest += ["--", word, *words] if "--" in line else [word]
            else:
                options.append(self._option(word, name))
        return options, rest

    def parse(
        self,
        rest: Sequence[str],
        origins: Origins,
        refusals: Sequence[Callable[[Origins], object]] = (),
    ) -> tuple[Operation, Request]:
        """Return the command, and how it is called. Raises `OptionError`."""
        if not rest or rest[0] not in self._operations:
            near = nearest(rest[0], self._operations, "") if rest else ""
            there_is = f"there is: {', '.join(self._operations)}"
            raise OptionError(f"write sessions and a command; {near or there_is}")
        name, operation = rest[0], self._operations[rest[0]]
        words: list[str] = []
        flags: dict[str, str] = {}
        following = iter(rest[1:])
        for word in following:
            flag, equals, value = word.removeprefix("--").partition("=")
            if word == "--":
                words += following
            elif not word.startswith("--") or flag not in self._flags:
                words.append(word)
            elif flag not in operation.all_flags:
                takes = ", ".join(f"--{each}" for each in operation.all_flags)
                raise OptionError(f"sessions {name} takes no --{flag}; it takes {takes}")
            elif equals and not operation.all_flags[flag].metavar:
                raise OptionError(f"--{flag} of sessions {name} takes no value")
            elif operation.all_flags[flag].metavar and not value:
                raise OptionError(f"--{flag} of sessions {name} needs a value that is not empty")
            else:
                flags[flag] = value
        _check_number(name, operation, len(words))
        return operation, Request(name, words, flags, origins, refusals)

    def help(self, line: Sequence[str]) -> str:
        """Return the page of the command in *line*, or of all."""
        names = [word for word in line if word in self._operations][:1]
        lines = []
        for name in names or self._operations:
            operation = self._operations[name]
            usage = f"main.py [OPTIONS] sessions {name}"
            lines += ["", f"{usage} {operation.words}".rstrip()]
            lines += (f"    {line}" for line in textwrap.wrap(operation.help, WIDTH - 4))
            for flag in operation.flags:
                lines += _entry(flag)
        lines += ["", "Each also takes", *_entry(self._flags["cookie"]), "", _ALSO]
        return "\n".join(lines[1:])

    def _option(self, word: str, name: str) -> str:
        if word.startswith("--") and dashed(name) in declared():
            return word
        names = (*(f"--{each}" for each in self._flags), *(f"--{each}" for each in declared()))
        shown = word.partition("=")[0]
        near = nearest(shown, names, "see main.py sessions --help")
        raise OptionError(f"unknown option {shown} of sessions; {near}")


_ALSO = """\
It takes the options of the service as well, --store=URL above all; main.py --help lists them.
Exit status: 0 if all is well, 1 if something was found or not found, 2 if it cannot be done, 130
after Ctrl-C."""


def _value(word: str, flag: Flag, words: Iterator[str]) -> str:
    value = next(words, None)
    if value is None:
        raise OptionError(f"write {word}={flag.metavar}")
    return value


def _check_number(name: str, operation: Operation, number: int) -> None:
    if operation.least <= number <= operation.most:
        return
    usage = f"sessions {name} {operation.words}".rstrip()
    if number < operation.least:
        raise OptionError(f"write {usage}")
    if operation.most:
        raise OptionError(f"too many words: write {usage}")
    raise OptionError(f"sessions {name} takes no words but flags; see main.py sessions --help")


def _entry(flag: Flag) -> list[str]:
    head = f"        --{flag.name}{f'={flag.metavar}' if flag.metavar else ''}"
    lines = textwrap.wrap(flag.help, WIDTH - COLUMN) or [""]
    return [f"{head:{COLUMN}}{lines[0]}", *(" " * COLUMN + line for line in lines[1:])]
