"""Values of one's own types in a session: `Key("cart", Cart, default=Cart)`."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Generic, TypeAlias, TypeVar, cast, overload

import msgspec

from app.sessions import values
from app.sessions.errors import ConfigurationError
from stores.contract import JSON

log = logging.getLogger(__name__)

T = TypeVar("T")

Values: TypeAlias = MutableMapping[str, "JSON"]
"""A session, or what is like one in a test."""

NOT_JSON = (bytes, bytearray, memoryview)
"""What would become text of its own and not come back as it was: the session refuses it."""


class Key(Generic[T]):
    """A key of a session whose value has a type: get, set and edit it as that.

    The types are those of msgspec: dataclasses, its own structs, `TypedDict`, `datetime`, `UUID`,
    `Decimal`, enums, and lists, dictionaries, tuples and sets of these. The session holds JSON.

    *default* is what `get` returns where there is no value, or none that converts any more, as
    after a deployment that changed the type. What can be called, as a class, is called each time;
    any other value is copied. Without it, that is `None`. Raises `ConfigurationError` for a type or
    a default that cannot work.
    """

    @overload
    def __init__(
        self, name: str, type: type[T] | UnionType, *, default: T | Callable[[], T]
    ) -> None: ...

    @overload
    def __init__(self: Key[T | None], name: str, type: type[T] | UnionType) -> None: ...

    def __init__(self, name: str, type: Any, *, default: Any = None) -> None:
        self.name = name
        self._type = type
        self._type_name = getattr(type, "__name__", str(type))
        self._warned = False
        try:
            values.check_item(name, None)
            msgspec.json.Decoder(type)
            self._default: JSON = None
            self._make: Callable[[], Any] | None = default if callable(default) else None
            if default is not None and self._make is None:
                self._default = self._encoded(default)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"{self!r}: {error}") from None

    def __repr__(self) -> str:
        return f"Key({self.name!r}, {self._type_name})"

    def get(self, session: Values) -> T:
        """Return the value, which is the caller's own: a change of it changes no session."""
        if self.name not in session:
            return self._fresh()
        kept = session[self.name]
        try:
            return self._decoded(values.copy(kept))
        except Exception as error:  # a type's own code may raise anything
            if not self._warned:
                self._warned = True
                log.warning(
                    "a session's value %r is no %s%s: it counts as absent (told once)",
                    self.name,
                    self._type_name,
                    _place(error),
                )
            return self._fresh()

    def set(self, session: Values, value: T) -> None:
        """Put *value* into the session.

        Raises `TypeError` or `ValueError`, which name the place, for what is not of the type or
        cannot be kept: bytes, integers over 64 bits, NaN. Raises what an assignment raises.
        """
        session[self.name] = self._encoded(value)

    @contextmanager
    def edit(self, session: Values) -> Iterator[T]:
        """Return a context with the value to change in place; it is saved at the end if it was.

        After an exception, nothing is. Raises what `set` raises.
        """
        value = self.get(session)
        before = _builtins(value)
        yield value
        if not values.same(_builtins(value), before):
            self.set(session, value)

    def _fresh(self) -> T:
        if self._make is not None:
            return cast("T", self._make())
        if self._default is None:
            return cast("T", None)
        return self._decoded(values.copy(self._default))

    def _decoded(self, value: JSON) -> T:
        return cast("T", msgspec.convert(value, self._type, str_keys=True))

    def _encoded(self, value: object) -> JSON:
        refused = f"{self!r} takes no such {type(value).__name__}"
        try:
            encoded = _builtins(value)
        except TypeError as error:  # it names a type, and no value
            raise TypeError(f"{self!r}: {error}") from None
        except Exception as error:
            raise TypeError(f"{refused}{_place(error)}") from None
        values.check_item(self.name, encoded)
        try:
            came_back = _came_back(value, self._decoded(values.copy(encoded)))
        except Exception as error:
            raise TypeError(f"{refused}{_place(error)}") from None
        if not came_back:
            raise TypeError(f"{refused}: it would not come back as it is")
        return cast("JSON", encoded)


def _builtins(value: object) -> Any:
    """Return *value* as the JSON that it becomes, but for what a session refuses."""
    return _with_lists(msgspec.to_builtins(value, str_keys=True, builtin_types=NOT_JSON))


def _with_lists(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {key: _with_lists(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [_with_lists(item) for item in value]
    return value


def _came_back(value: Any, decoded: Any) -> bool:
    """Tell whether *decoded* has the classes and the keys of *value*; the rest was checked."""
    if isinstance(decoded, dict):
        # Of two keys with one text, one is lost.
        return not isinstance(value, dict) or (
            value.keys() == decoded.keys()
            and all(_came_back(value[key], item) for key, item in decoded.items())
        )
    if isinstance(decoded, list | tuple):
        return not isinstance(value, list | tuple) or all(map(_came_back, value, decoded))
    if is_dataclass(decoded):
        names = [field.name for field in fields(decoded)]
    elif isinstance(decoded, msgspec.Struct):
        names = [*decoded.__struct_fields__]
    else:
        return True
    return isinstance(value, dict) or (
        type(value) is type(decoded)
        and all(_came_back(getattr(value, name), getattr(decoded, name)) for name in names)
    )


def _place(error: Exception) -> str:
    """Return where in a value the error is; all else that it says may quote the value."""
    found = re.search(r" - at `(?:key in )?\$(.*?)`$", str(error))
    return f" (at {found[1]})" if found and found[1] else ""
