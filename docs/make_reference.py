"""Write docs/reference.md from the docstrings: `python -m docs.make_reference`."""

from __future__ import annotations

import ast
import enum
import functools
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MODULES = ("app", "stores", "stores.contract", "app.testing")
"""What each lists in `__all__`, or defines; the contract is for those who write a store."""

GIVEN = ("Session", "Device", "SessionEvent")
"""Classes whose objects users are given, and do not make."""

STARS: dict[Any, str] = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}

FILE = Path(__file__).with_name("reference.md")

HEAD = """\
# Reference

Every public name, as its docstring says it. `make docs` writes this page anew. What is not on it,
and every name with an underscore in front, may change without notice.
"""


def main() -> None:
    FILE.write_text(reference())


def reference() -> str:
    """Return the whole page."""
    parts = [HEAD]
    shown: set[int] = set()
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        parts.append(f"## `{module_name}`\n\n{doc_of(module)}\n")
        for name in names_of(module):
            value = getattr(module, name)
            if id(value) in shown:
                continue
            shown.add(id(value))
            parts.extend(_entry(name, value))
    return "\n".join(parts)


def names_of(module: Any) -> list[str]:
    """Return what *module* offers, in the alphabet's order."""
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
    names = getattr(module, "__all__", [name for name in own if not name.startswith("_")])
    return sorted(names, key=str.lower)


def members_of(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that *cls* has from this project."""
    for name in sorted(dir(cls)):
        definer = next((base for base in cls.__mro__ if name in vars(base)), None)
        if name.startswith("_") or definer is None or not _is_ours(definer):
            continue
        member = vars(definer)[name]
        if not doc_of_member(member) and _is_documented_above(cls, definer, name):
            continue  # it does what the base says
        if inspect.isroutine(member) or isinstance(member, property | classmethod | staticmethod):
            yield name, member


def fields_of(cls: type) -> Iterator[tuple[str, str, str]]:
    """Yield name, type and docstring of the public fields that *cls* declares."""
    for base in cls.__mro__:
        if not _is_ours(base):
            continue
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(node, ast.ClassDef)
        for statement, after in zip(node.body, [*node.body[1:], None], strict=True):
            match statement:
                case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                    kind = ast.unparse(annotation)
                case ast.Assign(targets=[ast.Name(id=name)]) if issubclass(cls, enum.Enum):
                    kind = ""
                case _:
                    continue
            if not name.startswith("_"):
                yield name, kind, _string(after)


def doc_of(value: Any) -> str:
    """Return the docstring of *value*; "" where it has none of its own."""
    if isinstance(value, type) and "__doc__" not in vars(value):
        return ""
    return inspect.cleandoc(getattr(value, "__doc__", None) or "")


def doc_of_member(member: Any) -> str:
    """Return the docstring of a method or a property."""
    return doc_of(_function_of(member))


def _is_documented_above(cls: type, definer: type, name: str) -> bool:
    bases = [base for base in cls.__mro__ if base is not definer and name in vars(base)]
    return any(doc_of_member(vars(base)[name]) for base in bases)


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] in ("app", "stores")


def _string(statement: ast.stmt | None) -> str:
    match statement:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return inspect.cleandoc(text)
    return ""


def _entry(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, type):
        if callable(value):
            yield f"### {name}\n\n{_code(name + _signature(value))}\n\n{doc_of(value)}\n"
        return
    made = "" if name in GIVEN else _made_by(value)
    yield f"### {name}\n\n{_code(name + made)}\n\n{doc_of(value)}\n"
    fields = [
        f"- `{field}{kind and f': {kind}'}`{doc and f' - {_line(doc)}'}"
        for field, kind, doc in fields_of(value)
    ]
    if fields:
        yield "\n".join(fields) + "\n"
    for member_name, member in members_of(value):
        function = _function_of(member)
        is_property = isinstance(member, property | functools.cached_property)
        kind = "" if is_property else _signature(function, skip_first=True)
        prefix = "await " if inspect.iscoroutinefunction(function) else ""
        yield f"#### {name}.{member_name}\n"
        yield f"{_code(f'{prefix}{name_of_one(name)}.{member_name}{kind}')}\n\n{doc_of(function)}\n"


def name_of_one(class_name: str) -> str:
    """Return what a variable with an object of that class is called: `session`, `store`."""
    words = re.findall("[A-Z]+(?![a-z])|[A-Z][a-z]+", class_name)
    return str(words[-1]).lower()


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def _function_of(member: Any) -> Any:
    """Return the function behind a method or a property."""
    if isinstance(member, property):
        return member.fget
    if isinstance(member, functools.cached_property):
        return member.func
    return inspect.unwrap(getattr(member, "__func__", member))


def _made_by(cls: type) -> str:
    if issubclass(cls, enum.Enum | BaseException) or inspect.isabstract(cls):
        return ""
    return _signature(cls)


def _signature(function: Any, *, skip_first: bool = False) -> str:
    signature = inspect.signature(function)
    parts: list[str] = []
    named_only = False
    for parameter in list(signature.parameters.values())[skip_first:]:
        if parameter.name.startswith("_"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not named_only:
            parts.append("*")
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL):
            named_only = True
        text = STARS.get(parameter.kind, "") + parameter.name
        if isinstance(parameter.annotation, str):
            text += f": {parameter.annotation}"
        elif parameter.annotation is not parameter.empty:
            text += f": {getattr(parameter.annotation, '__name__', parameter.annotation)}"
        if parameter.default is not parameter.empty:
            text += f" = {_shown(parameter.default)}"
        parts.append(text)
    returned = signature.return_annotation
    arrow = f" -> {returned}" if isinstance(returned, str) and returned != "None" else ""
    return f"({', '.join(parts)}){arrow}"


def _shown(default: Any) -> str:
    if callable(default):
        module = getattr(default, "__module__", None)
        name = getattr(default, "__name__", "...")
        return f"{module}.{name}" if module not in (None, "builtins") else name
    text = repr(default)
    return "..." if text.startswith("<") else text.removeprefix("datetime.")


def _line(doc: str) -> str:
    return " ".join(doc.split())


if __name__ == "__main__":
    main()
