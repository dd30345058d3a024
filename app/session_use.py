"""Finds a handler that uses `self.session` but has none: by its source, or else when it is used.

An attribute can come from anywhere, and a source can be missing. A handler is accused only where
all its methods can be read, none sets the attribute or hands the handler to other code, and none
looks whether the attribute is there.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import NoReturn

from tornado.web import RequestHandler

SETS_ANY_ATTRIBUTE = {"setattr", "vars", "__dict__"}
FINDS_ANY_ATTRIBUTE = {"__getattr__", "__getattribute__"}


class MissingSession:
    """Explains, as `self.session` of a handler without the mixin, why there is none.

    What the handler assigns takes its place, and `hasattr` says that there is nothing.
    """

    def __get__(self, handler: object, owner: type) -> NoReturn:
        raise AttributeError(
            f"{owner.__qualname__} has no session, which only SessionMixin gives; "
            f"write class {owner.__name__}(SessionMixin, RequestHandler)"
        )


def missing_session(handler: type[RequestHandler]) -> str | None:
    """Return the method, as "Class.method()", in which *handler* misses a session, or `None`."""
    if hasattr(handler, "session"):
        return None
    classes = [
        base
        for base in handler.__mro__
        if base is not object and not base.__module__.startswith("tornado.")
    ]
    methods = [method for base in classes for method in _methods(base)]
    if not any("session" in _names(_innermost(function)) for _, function in methods):
        return None  # most handlers: no source need be read
    if any(
        FINDS_ANY_ATTRIBUTE & {*vars(base)} or "session" in vars(base).get("__annotations__", ())
        for base in classes
    ):
        return None
    uses = [(name, _uses_session(function)) for name, function in methods]
    if any(use is None for _, use in uses):
        return None
    return next((name for name, use in uses if use), None)


def _methods(cls: type) -> Iterator[tuple[str, FunctionType]]:
    for name, value in vars(cls).items():
        if isinstance(value, FunctionType):
            yield f"{cls.__name__}.{name}()", value


def _innermost(function: FunctionType) -> CodeType:
    inner = inspect.unwrap(function)
    return inner.__code__ if isinstance(inner, FunctionType) else function.__code__


def _names(code: CodeType) -> set[str]:
    inner = [_names(part) for part in code.co_consts if isinstance(part, CodeType)]
    return {*code.co_names}.union(*inner)


def _uses_session(function: FunctionType) -> bool | None:
    """Tell whether *function* reads `self.session`; `None` if there is any doubt."""
    while hasattr(function, "__wrapped__"):
        if not function.__globals__["__name__"].startswith("tornado."):
            return None  # another decorator may set it
        function = function.__wrapped__
        if not isinstance(function, FunctionType):
            return None
    code = function.__code__
    if not code.co_argcount:
        return False
    itself = code.co_varnames[0]
    if SETS_ANY_ATTRIBUTE & _names(code):
        return None
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    nodes = list(ast.walk(tree))
    own = [node for node in nodes if isinstance(node, ast.Attribute) and _is(node.value, itself)]
    if sum(_is(node, itself) for node in nodes) > len(own):
        return None  # other code gets the handler, and may set it
    session = [node for node in own if node.attr == "session"]
    if any(not isinstance(node.ctx, ast.Load) for node in session):
        return None
    expects_none = any(isinstance(node, ast.Try) for node in nodes)
    return None if session and expects_none else bool(session)


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
