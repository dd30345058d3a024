"""Path templates: `users/<int:id>` as a Tornado matcher that also builds the path back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes
from uuid import UUID

from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher

from app.path_notation import parse
from app.path_split import Splitter
from stores.contract import ConfigurationError

_INTEGER = re.compile(r"-?[0-9]{1,4000}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError
    return int(text)


def _uuid(text: str) -> UUID:
    if not _UUID.fullmatch(text):
        raise ValueError
    return UUID(text)


CONVERTERS: Mapping[str, Callable[[str], object] | None] = {
    "": None,
    "int": _integer,
    "uuid": _uuid,
    "path": None,
}
"""What becomes of a parameter's decoded text. All but `path` take no slash."""

_SAMPLES = {name: chr(number) for number, name in enumerate(CONVERTERS)}
"""A character that no literal has, for the text of each kind of parameter."""


class PathTemplate(Matcher):
    """Matches a whole path, in time linear in its length. Raises `ConfigurationError`.

    Each parameter takes one character or more. Of several ways to split a path the one is taken
    that gives the most to the first parameter, then to the second, and so on, whether it converts
    or not. Arguments are then percent-decoded. What is not UTF-8, or does not convert, does not
    match.
    """

    def __init__(self, template: str) -> None:
        self.template = template
        self.converters: dict[str, Callable[[str], object]] = {}
        self.parameters: list[str] = []
        self._literals: list[str] = []
        self._kinds: list[str] = []  # of the parameters: names of converters
        shape = ""
        for literal, converter, name in parse(template):
            shape += literal
            self._literals.append(literal)
            if name is None:
                continue
            self._add_parameter(converter, name)
            shape += f"<{converter}>"
        self.shape = shape
        """The template without its parameters' names: equal for two that match the same paths."""
        self._prefix = self._literals[0]
        self._longest = max(self._literals, key=len)
        self._sample = self._join([_SAMPLES[kind] for kind in self._kinds])
        takes_slashes = [kind == "path" for kind in self._kinds]
        self._splitter = Splitter(["", *self._literals[1:]], takes_slashes)

    def _add_parameter(self, converter: str, name: str) -> None:
        if converter not in CONVERTERS:
            known = ", ".join(f"<{key}:...>" for key in CONVERTERS if key)
            mend = f"write <{name}:{converter}>" if name in CONVERTERS else f"use <...>, {known}"
            raise ConfigurationError(f"{self.template}: unknown converter {converter!r}; {mend}")
        if not name.isidentifier():
            raise ConfigurationError(f"{self.template}: {name!r} is not a parameter name")
        if name in self.parameters:
            raise ConfigurationError(f"{self.template}: the parameter {name!r} is declared twice")
        self.parameters.append(name)
        self._kinds.append(converter)
        convert = CONVERTERS[converter]
        if convert is not None:
            self.converters[name] = convert

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        path = request.path
        if not self.parameters:
            return {} if path == self._prefix else None
        arguments = self.arguments(path)
        return None if arguments is None else {"path_args": [], "path_kwargs": arguments}

    def arguments(self, path: str) -> dict[str, str] | None:
        """Return the arguments, decoded but not converted, or `None` if *path* does not match."""
        texts = self._texts(path)
        if texts is None:
            return None
        arguments = {}
        try:
            for name, text in zip(self.parameters, texts, strict=True):
                decoded = unquote_to_bytes(text).decode()
                if name in self.converters:
                    self.converters[name](decoded)
                arguments[name] = decoded
        except ValueError:  # UnicodeDecodeError, too
            return None
        return arguments

    def covers(self, other: PathTemplate) -> bool:
        """Tell whether this template takes every path that *other* takes.

        Always right when it says so, but it does not say so of all.
        """
        if self._longest not in other._sample:  # of most pairs: all are compared when built
            return False
        if self.converters and not self._splitter.is_simple:
            return False  # other values of the same kind may be split at another place
        texts = self._texts(other._sample)
        return texts is not None and all(map(_takes_all, self._kinds, texts))

    def reverse(self, *args: Any) -> str:
        """Return the path for these arguments, in the template's order.

        It leads back to them. Raises `ValueError` where none does.
        """
        if len(args) != len(self.parameters):
            raise TypeError(
                f"{self.template} takes {len(self.parameters)} arguments, not {len(args)}"
            )
        values = [str(value) for value in args]
        separators = {character for literal in self._literals[1:] for character in literal}
        for encoded in ("", "".join(separators)):
            path = self._join(
                [
                    _quote(value, "/" if kind == "path" else "", encoded)
                    for value, kind in zip(values, self._kinds, strict=True)
                ]
            )
            # To a browser, what begins with two slashes is the name of another site.
            path = f"/%2F{path[2:]}" if path.startswith("//") else path
            if self.arguments(path) == dict(zip(self.parameters, values, strict=True)):
                return path
        raise ValueError(f"{self.template}: no path leads to these arguments")

    def _texts(self, path: str) -> list[str] | None:
        if not path.startswith(self._prefix):
            return None
        return self._splitter.split(path[len(self._prefix) :])

    def _join(self, texts: list[str]) -> str:
        return self._literals[0] + "".join(
            text + literal for text, literal in zip(texts, self._literals[1:], strict=True)
        )


def _takes_all(kind: str, sample: str) -> bool:
    """Tell whether a parameter of this kind takes whatever stands where *sample* does."""
    if kind == "":
        return _SAMPLES["path"] not in sample
    return kind == "path" or sample == _SAMPLES[kind]


def _quote(text: str, safe: str, encoded: str) -> str:
    """Percent-encode *text*, the characters of *encoded* too, though a path may have them."""
    if not encoded:
        return quote(text, safe=safe)
    return "".join(
        f"%{ord(character):02X}" if character in encoded else quote(character, safe=safe)
        for character in text
    )
