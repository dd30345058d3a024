"""What `main.py --help` and `main.py options` print."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from app.option_values import Origins
from app.options import FURTHER, TORNADO, Declared, declared, options
from app.printable import printable
from app.secret_texts import shown

COLUMN = 34
WIDTH = 100

ALSO = """\
Each option is also taken from the environment (--port from SERVICE_PORT or PORT, --store from
SERVICE_STORE or SESSION_STORE, any other as SERVICE_ and its name), or from a file that such a
variable with _FILE behind it names; and from the file that --config names, in which a line is
"port = 9000". The command line goes first, then the environment, then that file.
"""


class Described(Protocol):
    """A command, as far as --help tells of it."""

    @property
    def help(self) -> str: ...


def help_page(commands: Mapping[str, Described]) -> str:
    """Return what there is to write after `main.py`."""
    lines = ["Usage: main.py [OPTIONS]           serves"]
    lines += ["       main.py [OPTIONS] COMMAND   does that and ends", "", "Commands:", ""]
    for name, command in commands.items():
        lines += _entry(name, command.help)
    lines += _entry("-h, --help", "prints this")
    lines += _entry("--version", "prints the version")
    groups: dict[str, list[Declared]] = {}
    for option in declared().values():
        groups.setdefault(option.group, []).append(option)
    for name in sorted(groups, key=_place):
        lines += ["", f"{name[0].upper()}{name[1:]} options:", ""]
        for option in groups[name]:
            value = f"={option.metavar}" if option.metavar else ""
            lines += _entry(f"--{option.name}{value}", f"{option.help}{_default(option)}")
    return "\n".join([*lines, "", ALSO])


def options_page(origins: Origins) -> str:
    """Return a table of the options: each with its value, without passwords, and its origin."""
    rows = [("OPTION", "VALUE", "FROM")]
    for option in sorted(declared().values(), key=lambda option: _place(option.group)):
        value = options[option.name]
        text = "" if value is None else printable(shown(option.name, _text(value), option.metavar))
        rows.append((f"--{option.name}", text, printable(origins.origin(option.name))))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(
        f"{option:{widths[0]}}  {value:{widths[1]}}  {origin}" for option, value, origin in rows
    )


def _place(group: str) -> int:
    """Return where a group comes; those of the service stay in the order of their declaration."""
    return [FURTHER, TORNADO].index(group) + 1 if group in (FURTHER, TORNADO) else 0


def _entry(name: str, text: str) -> list[str]:
    lines = textwrap.wrap(text, WIDTH - COLUMN) or [""]
    head = f"  {name}"
    if len(head) >= COLUMN:
        return [head, *(" " * COLUMN + line for line in lines)]
    return [f"{head:{COLUMN}}{lines[0]}", *(" " * COLUMN + line for line in lines[1:])]


def _default(option: Declared) -> str:
    if option.default is None or option.default == "":
        return ""
    return f" (default {_text(option.default)})"


def _text(value: object) -> str:
    """Return *value* as it would be written after an option."""
    if isinstance(value, list):
        return ",".join(map(_text, value))
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, timedelta):
        return f"{value:g}" if isinstance(value, float) else str(value)
    rest = value.total_seconds()
    parts = []
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60)):
        count, rest = divmod(rest, seconds)
        if count:
            parts.append(f"{count:g}{unit}")
    if rest or not parts:
        parts.append(f"{rest:g}s")
    return "".join(parts)
