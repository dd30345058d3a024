"""The options there are: declared here by `define`, their values in Tornado's own `options`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tornado.log
import tornado.options
from tornado.options import OptionParser
from tornado.options import options as options

TORNADO = "Tornado"
"""The group of the options that Tornado declares."""

FURTHER = "further"
"""The group of those that name none: what `configure.py` declares for itself."""


@dataclass(frozen=True)
class Declared:
    """An option as it was declared; *name* has dashes."""

    name: str
    default: Any
    type: type
    help: str
    metavar: str
    group: str


_declared: dict[str, Declared] = {}


def define(
    name: str,
    default: Any = None,
    type: type | None = None,
    help: str | None = None,
    metavar: str | None = None,
    multiple: bool = False,
    group: str | None = None,
    callback: Callable[[Any], None] | None = None,
) -> None:
    """Declare an option of the service, as `tornado.options.define` does.

    One that Tornado's own function declares works too, but `--help` cannot say what it is for.
    """
    tornado.options.define(name, default, type, help, metavar, multiple, group, callback)
    if type is None:
        type = str if multiple or default is None else default.__class__
    _record(name, default, type, help, metavar, group or FURTHER)


def declared() -> dict[str, Declared]:
    """Return every option by its name, in the order of their declaration."""
    for name in map(dashed, options):
        if name not in _declared and name != "help":
            _record(name, options[name], type(options[name]), None, None, FURTHER)
    return dict(_declared)


def dashed(name: str) -> str:
    """Return an option's name as the command line has it."""
    return name.replace("_", "-")


class RecordedOptions(OptionParser):
    """The same options and values, with note of which were read."""

    read: dict[str, bool]

    def __init__(self) -> None:
        vars(self).update(vars(options))
        vars(self)["read"] = {}

    def __getattr__(self, name: str) -> Any:
        self.read[dashed(name)] = True
        return super().__getattr__(name)


def _record(
    name: str, default: Any, kind: type, help: str | None, metavar: str | None, group: str
) -> None:
    name = dashed(name)
    _declared[name] = Declared(name, default, kind, help or "", metavar or "", group)


class _TornadosOwn:
    """Takes the declarations of the logging options, which Tornado has made for itself."""

    def define(
        self,
        name: str,
        default: Any = None,
        type: type = str,
        help: str | None = None,
        metavar: str | None = None,
    ) -> None:
        kind = type if default is None else default.__class__
        _record(name, default, kind, help, metavar, TORNADO)

    def add_parse_callback(self, callback: Callable[[], None]) -> None:
        """Leave it: the real options have it."""


tornado.log.define_logging_options(_TornadosOwn())
