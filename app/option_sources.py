"""What the command line, the environment and the file of `--config` say of the options.

`SERVICE_PORT` gives `--port`; `SERVICE_PORT_FILE` names a file whose content is the value, as
container platforms hand over secrets. An empty variable counts as none.
"""

from __future__ import annotations

import difflib
import runpy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType

from app.code_errors import sentence
from app.options import Declared, dashed
from app.printable import printable
from app.secret_texts import is_secret, without_credentials

PREFIX = "SERVICE_"

SHORT = {"port": "PORT", "store": "SESSION_STORE", "session-keys": "SESSION_KEYS"}
"""Variables that hosting services set, and those of secrets; the longer ones go first."""

FILE = "_FILE"


class OptionError(Exception):
    """An option, a variable or a line of the file is wrong; the text names it and the mend."""


@dataclass(frozen=True)
class Given:
    """A value that was given."""

    value: object
    label: str
    """What its user would change."""
    written: str
    """The same with the value, but a secret one is left out."""
    origin: str
    """Where it is from, for a table."""


def nearest(name: str, names: Iterable[str], otherwise: str) -> str:
    """Return a question after the nearest of *names*."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.7)
    return f"did you mean {found[0]}?" if found else otherwise


def from_flag(flag: str, known: Mapping[str, Declared]) -> tuple[str, Given]:
    """Return the option that one word of the command line gives. Raises `OptionError`."""
    word, equals, value = flag.partition("=")
    name = dashed(word.lstrip("-"))
    if name not in known:
        near = nearest(f"--{name}", (f"--{n}" for n in known), "see --help")
        raise OptionError(f"unknown option {word}; {near}")
    option = known[name]
    if not equals:
        if option.type is not bool:
            raise OptionError(f"write --{name}={option.metavar or 'VALUE'}; see --help")
        value = "true"
    label = f"--{name}"
    return name, Given(value, label, _written(option, label, f"{label}={value}"), "command line")


def missing_equals(flag: str, following: str, known: Mapping[str, Declared]) -> str:
    """Return how to write *flag* with the word behind it as its value; "" if it takes none."""
    option = known.get(dashed(flag.lstrip("-")))
    if option is None or (option.type is bool and following not in ("true", "false")):
        return ""
    secret = is_secret(option.name, option.metavar)
    return f"write {flag}={option.metavar or 'VALUE' if secret else following}"


def variables_of(name: str) -> list[str]:
    """Return the variables that give option *name*, the first one first."""
    long = PREFIX + name.replace("-", "_").upper()
    return [long, SHORT[name]] if name in SHORT else [long]


def from_environment(
    environment: Mapping[str, str], known: Mapping[str, Declared]
) -> tuple[dict[str, Given], list[str]]:
    """Return what the variables give, and a warning for each that looks like one and is none.

    Raises `OptionError`.
    """
    environment = {name: value for name, value in environment.items() if value != ""}
    variables = {v: option for name, option in known.items() for v in variables_of(name)}
    given: dict[str, Given] = {}
    for variable, option in variables.items():
        found = _from_variable(environment, variable, option)
        if variable + FILE in environment and variable + FILE not in variables:
            found = _from_named_file(environment, variable, option)
        if found is not None:
            given.setdefault(option.name, found)
    names = {*variables, *(f"{variable}{FILE}" for variable in variables)}
    strangers = sorted(v for v in environment if v.startswith(PREFIX) and v not in names)
    return given, [
        f"the variable {v} is no option; {nearest(v, names, 'see main.py options')}"
        for v in strangers
    ]


def from_file(config: Given, known: Mapping[str, Declared]) -> tuple[dict[str, Given], list[str]]:
    """Return what the file that *config* names gives, and warnings of names close to an option's.

    It is Python, as Tornado has it: `port = 9000`. Raises `OptionError`.
    """
    path = str(config.value)
    try:
        with open(path, "rb"):  # an error of the code within is told in another way
            pass
    except OSError as error:
        raise OptionError(f"{config.written}: {error.strerror}") from None
    try:
        names = runpy.run_path(path)
    except Exception as error:
        raise OptionError(f"{config.written}: {sentence(error)}") from None
    given: dict[str, Given] = {}
    warnings = []
    options = {name.replace("-", "_"): option for name, option in known.items()}
    for name, value in names.items():
        if name in options:
            option = options[name]
            label = f"{name} in {path}"
            written = _written(option, label, f"{name} = {value!r} in {path}")
            given[option.name] = Given(value, label, written, path)
        elif not name.startswith("_") and not isinstance(value, ModuleType | FunctionType | type):
            near = nearest(name, options, "")
            if near:
                warnings.append(f"{name} in {path} is no option; {near}")
    return given, warnings


def _from_variable(environment: Mapping[str, str], variable: str, option: Declared) -> Given | None:
    if variable not in environment:
        return None
    value = environment[variable]
    return Given(value, variable, _written(option, variable, f"{variable}={value}"), variable)


def _from_named_file(environment: Mapping[str, str], variable: str, option: Declared) -> Given:
    file = environment[variable + FILE]
    if option.metavar in ("FILE", "PATH"):
        raise OptionError(f"{variable}{FILE}: write {variable}, which names the file itself")
    if variable in environment:
        raise OptionError(f"{variable} and {variable}{FILE} are both set: keep one of them")
    try:
        text = Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise OptionError(f"{variable}{FILE} names {file}: {error.strerror}") from None
    except ValueError:
        raise OptionError(f"{variable}{FILE} names {file}: it is not text in UTF-8") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if text == "":
        raise OptionError(f"{variable}{FILE} names {file}, which is empty")
    origin = f"{variable}{FILE} ({file})"
    return Given(text, origin, origin, origin)


def _written(option: Declared, label: str, text: str) -> str:
    """Return *text*, or *label* where the value may be secret, as one line."""
    secret = is_secret(option.name, option.metavar)
    return label if secret else printable(without_credentials(text))
