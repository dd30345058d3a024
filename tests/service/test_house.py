"""The house: imports point one way, and a test has a short name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]

LAYERS = (
    *("main", "configure", "handlers", "app.operating"),
    *("app", "app.sessions", "stores", "stores.contract"),
)
"""Each imports what stands behind it, and nothing that stands before it."""

STORES_FOR: dict[str, tuple[str, ...]] = {
    "handlers": (),
    "app": ("stores.contract",),
    "app.sessions": ("stores.contract", "stores.json_text"),
    "stores.contract": (),
}
"""What a layer may import of the stores, where that is not all."""

DRIVERS = {
    "app.metrics": ("prometheus_client",),
    "stores.encrypted": ("cryptography",),
    "stores.mongo": ("motor", "pymongo", "bson", "gridfs"),
    "stores.redis": ("redis", "hiredis"),
    "stores.sql": ("sqlalchemy", "asyncpg", "asyncmy", "aiosqlite"),
}
"""The packages of databases and extras, and the drivers that are theirs alone."""

NOT_SERVED = ("tests", "benchmarks", "examples", "docs")


def within(module: str, *packages: str) -> bool:
    """Tell whether *module* is one of the packages or in one."""
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def innermost(module: str, packages: tuple[str, ...]) -> str:
    """Return the innermost of the packages that *module* is in, or ""."""
    return max((p for p in packages if within(module, p)), key=len, default="")


def imported(source: str, known: set[str]) -> Iterator[str]:
    """Yield what *source* imports anywhere: in functions, for type checkers, by `import_module`.

    A relative import is ".".
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=base, names=names, level=level):
                if level:
                    yield "."
                for name in names:
                    inside = f"{base}.{name.name}"
                    yield inside if inside in known else str(base)
            case ast.Call(
                func=ast.Attribute(attr="import_module")
                | ast.Name(id="import_module" | "__import__"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name


def mistake(module: str, other: str) -> str:
    """Return why *module* may not import *other*, or ""."""
    if other == ".":
        return "an import names its module in full"
    here, there = innermost(module, LAYERS), innermost(other, LAYERS)
    if there and LAYERS.index(there) < LAYERS.index(here):
        return f"{here} is behind {there}"
    if within(other, "stores") and not within(other, *STORES_FOR.get(here, ("stores",))):
        return f"of the stores, {here} imports {STORES_FOR[here] or 'nothing'}"
    if within(other, *NOT_SERVED):
        return "it is no part of the service"
    if within(other, "tornado"):
        if within(module, "stores"):
            return "a store knows nothing of HTTP"
        if here == "app.sessions" and module != "app.sessions.errors":
            return "of the sessions only their errors know Tornado"
    for package, drivers in DRIVERS.items():
        if within(other, *drivers) and not within(module, package):
            return f"the driver belongs to {package}"
        own = innermost(module, tuple(DRIVERS))
        if own and own != package and within(other, package):
            return "a database's package knows no other database's"
    return ""


def sources() -> dict[str, str]:
    """Return the text of each module of the service, by its name."""
    folders = [TOP / folder for folder in ("app", "handlers", "stores")]
    files = [TOP / "main.py", TOP / "configure.py", *(f for d in folders for f in d.rglob("*.py"))]
    return {name_of(file): file.read_text() for file in files}


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(TOP).with_suffix("").parts).removesuffix(".__init__")


def test_imports_point_one_way() -> None:
    modules = sources()
    wrong = [
        f"{module} imports {other}: {why}"
        for module, source in modules.items()
        for other in imported(source, set(modules))
        if (why := mistake(module, other))
    ]
    assert wrong == []


def test_every_module_of_the_service_is_looked_at() -> None:
    modules = sources()
    assert {*LAYERS, *STORES_FOR, *DRIVERS, "app.sessions.errors", "stores.json_text"} <= {*modules}
    assert all(innermost(module, LAYERS) for module in modules)
    edges = {innermost(o, LAYERS) for m in modules for o in imported(modules[m], set(modules))}
    assert edges >= {*LAYERS} - {"main"}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("stores.url", "import app"),
        ("stores.memory", "from configure import ROUTES"),
        ("stores.memory", "from stores.contract import Store\nimport tornado.ioloop"),
        ("stores.contract", "from stores.json_text import encode"),
        ("stores.contract", "from stores import json_text"),
        ("stores.mongo.store", "from stores.redis import RedisStore"),
        ("stores.url", "from pymongo import MongoClient"),
        ("stores.memory", "import importlib\nimportlib.import_module('redis.asyncio')"),
        ("stores.mongo.store", "if TYPE_CHECKING:\n    import sqlalchemy as sa"),
        ("app.sessions.session", "from app.mixin import SessionMixin"),
        ("app.sessions.session", "from app import SessionMixin"),
        ("app.sessions.session", "from .. import mixin"),
        ("app.sessions.session", "from ..mixin import SessionMixin"),
        ("app.sessions.gateway", "if TYPE_CHECKING:\n    from stores.memory import MemoryStore"),
        ("app.sessions.gateway", "def f() -> None:\n    from stores import MemoryStore"),
        ("app.sessions.manager", "from tornado import httputil"),
        ("app.application", "from handlers import Health"),
        ("app.application", "import configure"),
        ("app.application", "from stores import open_store"),
        ("app.application", "def f() -> None:\n    import motor.motor_tornado"),
        ("app.server", "from main import main"),
        ("app.application", "import prometheus_client"),
        ("app.testing", "from tests.helpers.site import Site"),
        ("handlers.health", "from stores.contract import Store"),
        ("handlers.health", "from configure import ROUTES"),
        ("configure", "import redis.asyncio as redis"),
    ],
)
def test_an_import_the_other_way_is_found(module: str, source: str) -> None:
    assert any(mistake(module, other) for other in imported(source, set(sources())))


def test_the_name_of_a_test_is_under_60_characters() -> None:
    names = [
        node.name
        for file in (TOP / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("test_")
    ]
    assert len(names) > 500
    assert [name for name in names if len(name) >= 60] == []
