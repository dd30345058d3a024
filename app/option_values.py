"""Gives the options their values: the command line first, then the environment, then the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from app.option_sources import Given, OptionError, from_environment, from_file, from_flag
from app.options import Declared, dashed, declared, options

BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "on", "1"), "true"),
    **dict.fromkeys(("false", "f", "no", "off", "0"), "false"),
}
"""How a switch is written; Tornado would take any other word for true."""

KINDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    timedelta: "a length of time: 90s, 15m, 12h or 1d",
}
"""What an option of each type takes, in words."""


class Origins:
    """Where each option that was given has its value from, and what is to be warned of."""

    def __init__(self, given: Mapping[str, Given], warnings: Sequence[str]) -> None:
        self.given = given
        self.warnings = warnings

    def label(self, name: str) -> str:
        """Return what a user would change, `--port` or `SERVICE_PORT` for example."""
        given = self.given.get(dashed(name))
        return given.label if given else f"--{dashed(name)}"

    def shown(self, name: str) -> str:
        """Return the option with its value, as its user wrote it."""
        given = self.given.get(dashed(name))
        return given.written if given else f"--{dashed(name)}={options[name]}"

    def origin(self, name: str) -> str:
        """Return where the value is from, for a table."""
        given = self.given.get(dashed(name))
        return given.origin if given else "default"


def read_options(flags: Sequence[str], environment: Mapping[str, str]) -> Origins:
    """Give each option its value; *flags* are the words of the command line that begin with "-".

    Raises `OptionError`.
    """
    known = declared()
    by_flag = dict(from_flag(flag, known) for flag in flags)
    by_variable, warnings = from_environment(environment, known)
    config = by_flag.get("config") or by_variable.get("config")
    by_file: dict[str, Given] = {}
    if config is not None:
        by_file, more = from_file(config, known)
        warnings += more
    given = {**by_file, **by_variable, **by_flag}
    for name, value in given.items():
        _assign(known[name], value)
    return Origins(given, warnings)


def _assign(option: Declared, given: Given) -> None:
    """Give *option* its value; a text is left to Tornado's own parser."""
    value = given.value
    if isinstance(value, int | float):
        value = str(value)  # 60 is good for a float, and is seconds for a length of time
    try:
        if not isinstance(value, str):
            options[option.name] = value
            return
        if option.type is bool:
            value = BOOLEANS[value.lower()]
        if value == "" and option.type is not str:
            raise ValueError(value)
        options.parse_command_line(["", f"--{option.name}={value}"], final=False)
    except Exception:  # Tornado has no class of its own for all of these
        what = KINDS.get(option.type, option.type.__name__)
        raise OptionError(f"bad value: {given.written}; it takes {what}") from None


__all__ = ["KINDS", "OptionError", "Origins", "read_options"]
