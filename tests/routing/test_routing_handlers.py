"""Handlers that cannot work with sessions are found when the application is built."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
from collections.abc import Callable
from typing import Any, cast

import pytest
from tornado.web import RequestHandler, authenticated

from app import Config, ConfigurationError, Group, Route, SessionManager, SessionMixin, make_app
from stores import MemoryStore
from tests.helpers.pages import Page
from tests.helpers.site import Site


def build(handler: type[RequestHandler], **flags: Any) -> None:
    group = Group("shop", Route("cart", handler), **{"sessions": True, **flags})
    make_app(Config(Group("/", group), SessionManager(MemoryStore())))


# Names that the mixin keeps for itself


def clashing(where: str, member: object, name: str) -> type[RequestHandler]:
    """Return a handler of which the class *where* has *member* under *name*."""
    own = {name: member}
    between = type("Between", (SessionMixin,), own if where == "Between" else {})
    behind = type("Behind", (RequestHandler,), own if where == "Behind" else {})
    return type("Cart", (between, behind), own if where == "Cart" else {})


@pytest.mark.parametrize("where", ["Cart", "Between", "Behind"])
@pytest.mark.parametrize(
    "member",
    [lambda self: None, None, property(lambda self: None), staticmethod(print)],
    ids=["method", "value", "property", "static method"],
)
def test_a_name_that_the_mixin_keeps_for_itself_is_refused(where: str, member: object) -> None:
    handler = clashing(where, member, "_session_save")
    for flags in ({}, {"sessions": False}):
        with pytest.raises(ConfigurationError) as raised:
            build(handler, **flags)
        text = str(raised.value)
        assert text.startswith(f"group /shop: {where}")
        assert "defines _session_save" in text
        assert where == "Cart" or "a base of Cart" in text


@pytest.mark.parametrize("name", ["session_check", "_sessions", "__session_save", "save_session_"])
def test_other_names_are_the_handlers_own(name: str) -> None:
    build(clashing("Cart", 5.0, name))


def test_a_handler_without_the_mixin_may_have_them() -> None:
    build(type("Cart", (RequestHandler,), {"_session_save": None}))


def test_a_guarded_handler_may_not_have_them() -> None:
    handler = type("Cart", (RequestHandler,), {"_session_defaults": None})
    with pytest.raises(ConfigurationError) as raised:
        build(handler, authenticated=True)
    assert str(raised.value) == (
        "group /shop: Cart defines _session_defaults, but authenticated=True keeps the names that "
        "begin with _session_ for itself; rename it"
    )


@pytest.mark.parametrize("where", ["Cart", "Between", "Behind"])
@pytest.mark.parametrize("name", ["session", "session_policy"])
def test_what_the_mixin_offers_is_not_redefined(where: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"defines {name}, but SessionMixin keeps that"):
        build(clashing(where, "own", name))


@pytest.mark.parametrize("check", ["30", None, float("nan")])
def test_a_session_check_is_a_number(check: object) -> None:
    with pytest.raises(ConfigurationError, match=r"Cart\.session_check is .*; it is a number"):
        build(clashing("Cart", check, "session_check"))


def test_every_name_of_the_mixin_is_looked_for() -> None:
    own = {name for base in SessionMixin.__mro__ for name in vars(base)}
    names = sorted(name for name in own if name.startswith("_session_"))
    assert names
    for name in names:
        with pytest.raises(ConfigurationError, match=f"defines {name},"):
            build(type("Cart", (Page,), {name: None}))


def test_every_name_of_the_mixin_is_documented_or_its_own() -> None:
    """A handler's author meets no name that neither a docstring nor Tornado explains."""
    parts = [base for base in SessionMixin.__mro__ if base is not object]
    assert len(parts) > 1
    for part in parts:
        documented = attributes_with_a_docstring(part)
        for name, value in vars(part).items():
            if name.startswith("_session_") or name in ("__module__", "__doc__", "__dict__"):
                continue
            if name in ("__weakref__", "__annotations__", "__firstlineno__"):
                continue
            if name == "__static_attributes__":
                continue
            assert not name.startswith("_"), f"{part.__name__}.{name}"
            explained = (
                getattr(value, "__doc__", None)
                if callable(value) or isinstance(value, property)
                else name in documented
            )
            assert explained or hasattr(RequestHandler, name), f"{part.__name__}.{name}"


def attributes_with_a_docstring(cls: type) -> set[str]:
    """Return the attributes of *cls* that have a string behind them in its source."""
    body = cast(ast.ClassDef, ast.parse(inspect.getsource(cls)).body[0]).body
    return {
        node.target.id
        for node, behind in itertools.pairwise(body)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        if isinstance(behind, ast.Expr) and isinstance(behind.value, ast.Constant)
        if isinstance(behind.value.value, str)
    }


@pytest.mark.gen_test
async def test_what_the_mixin_keeps_of_a_request_is_its_own(serve: Callable[..., Site]) -> None:
    """What a request leaves on the handler has the prefix, too."""
    left: set[str] = set()

    class Fails(Page):
        def get(self) -> None:
            self.session["kept"] = 1
            if self.get_argument("fail", ""):
                raise KeyError("bug")
            self.write(str(self.current_user))

        def on_finish(self) -> None:
            left.update(vars(self))

    class Bare(RequestHandler):
        def get(self) -> None:
            if self.get_argument("fail", ""):
                raise KeyError("bug")

        def on_finish(self) -> None:
            own.update(vars(self))

    own: set[str] = set()
    site = serve(
        Group("/", Route("page", Fails), Route("bare", Bare), sessions=True),
        SessionManager(MemoryStore()),
    )
    for query in ("", "?fail=1"):
        await site.fetch(f"/page{query}")
        await site.fetch(f"/bare{query}")
    assert "_session_own" in left
    assert {name for name in left - own if not name.startswith("_session_")} == set()


# self.session without the mixin


class Reads(RequestHandler):
    def get(self) -> None:
        self.write(self.session["name"])  # type: ignore[attr-defined]


class ReadsInHelper(RequestHandler):
    def get(self) -> None:
        self.write(self.name())

    def name(self) -> str:
        return ", ".join(self.session[key] for key in ("name", "word"))  # type: ignore[attr-defined]


class ReadsBelowItself(Reads):
    def post(self) -> None:
        pass


class Helper:
    def name(self) -> str:
        return self.session["name"]  # type: ignore[attr-defined,no-any-return]


class ReadsInBase(Helper, RequestHandler):
    def get(self) -> None:
        self.write(self.name())


class ReadsBehindDecorator(RequestHandler):
    @authenticated
    async def get(self) -> None:
        this = self.session  # type: ignore[attr-defined]
        this["seen"] = True


@pytest.mark.parametrize(
    ("handler", "method"),
    [
        (Reads, "Reads.get()"),
        (ReadsInHelper, "ReadsInHelper.name()"),
        (ReadsBelowItself, "Reads.get()"),
        (ReadsInBase, "Helper.name()"),
        (ReadsBehindDecorator, "ReadsBehindDecorator.get()"),
    ],
)
def test_a_session_without_the_mixin_is_refused(handler: type[RequestHandler], method: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        build(handler)
    assert str(raised.value) == (
        f"group /shop: {method} uses self.session, which only SessionMixin gives; "
        f"write class {handler.__name__}(SessionMixin, RequestHandler)"
    )
    build(handler, sessions=False)


class HasClassAttribute(Reads):
    session = {"name": "own"}  # noqa: RUF012


class HasProperty(Reads):
    @property
    def session(self) -> dict[str, str]:
        return {}


class Sets(Reads):
    def prepare(self) -> None:
        self.session = {"name": "own"}


class SetsByName(Reads):
    def prepare(self) -> None:
        setattr(self, "session", {})  # noqa: B010


class SetsAll(Reads):
    def initialize(self, **values: object) -> None:
        self.__dict__.update(values)


class Declares(Reads):
    session: dict[str, str]


class Finds(Reads):
    def __getattr__(self, name: str) -> object:
        raise AttributeError(name)


class IsHandedOver(Reads):
    def prepare(self) -> None:
        give_session(self)


class Expects(RequestHandler):
    def get(self) -> None:
        try:
            self.session  # type: ignore[attr-defined]  # noqa: B018
        except AttributeError:
            self.write("none")


def give_session(handler: Any) -> None:
    handler.session = {"name": "own"}


def with_session(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapper(self: Any) -> Any:
        give_session(self)
        return method(self)

    return wrapper


class IsDecorated(RequestHandler):
    @with_session
    def get(self) -> None:
        self.write(self.session["name"])  # type: ignore[attr-defined]


class UsesAnothers(RequestHandler):
    def get(self) -> None:
        self.write(self.application.session)  # type: ignore[attr-defined]


DOUBTFUL = [
    HasClassAttribute,
    HasProperty,
    Sets,
    SetsByName,
    SetsAll,
    Declares,
    Finds,
    IsHandedOver,
    Expects,
    IsDecorated,
    UsesAnothers,
]


@pytest.mark.parametrize("handler", DOUBTFUL)
def test_a_handler_that_may_have_its_own_session_is_left_alone(
    handler: type[RequestHandler],
) -> None:
    build(handler)


def test_a_handler_without_a_source_is_left_alone() -> None:
    members: dict[str, Any] = {}
    exec("def get(self): self.write(self.session['name'])", members)
    build(type("Cart", (RequestHandler,), {"get": members["get"]}))
