"""What a command of `main.py sessions` is: its flags, its help, what it is called with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from app.operating.sites import Site
from app.option_values import Origins


@dataclass(frozen=True)
class Flag:
    """A flag of a command's own; one with a *metavar* takes a value."""

    name: str
    help: str
    metavar: str = ""


COOKIE = Flag("cookie", "only the sessions of the manager of this cookie", "NAME")
"""A flag that every command takes: an application may have several managers."""

YES = Flag("yes", "do not ask")


@dataclass(frozen=True)
class Request:
    """How a command was called."""

    name: str
    words: Sequence[str]
    """What is neither a flag nor the value of one: ids, a URL."""
    flags: Mapping[str, str]
    """The flags that were given; one without a value has ""."""
    origins: Origins
    """Where the service's options come from."""
    refusals: Sequence[Callable[[Origins], object]] = ()
    """What raises `OptionError` for options that the service would refuse."""

    def has(self, flag: str) -> bool:
        """Tell whether the flag was given."""
        return flag in self.flags


@dataclass
class Work:
    """What is being done, for whoever stops it."""

    so_far: str = "nothing was changed"
    """What to say on Ctrl-C: what was done, and how to go on."""


@dataclass(frozen=True)
class Operation:
    """A command: *run* returns the exit status. It may raise `SessionUnavailable`."""

    help: str
    run: Callable[[Request, Sequence[Site], Work], Awaitable[int]]
    flags: Sequence[Flag] = ()
    words: str = ""
    """What its words are, for the help: "ID..."; "" for one that takes none."""
    least: int = 0
    """How many words it needs."""
    most: int = 0
    opens: bool = True
    """Whether the stores are opened for it beforehand."""

    @property
    def all_flags(self) -> Mapping[str, Flag]:
        return {flag.name: flag for flag in (*self.flags, COOKIE)}
