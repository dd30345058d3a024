"""Values of one's own types: kept as JSON, given back as what they were."""

from __future__ import annotations

import datetime as dt
import enum
import logging
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypedDict, assert_type
from uuid import UUID

import msgspec
import pytest

from app import ConfigurationError, Key, Route, Session, SessionManager, SessionReadOnly
from app.routing import Group
from app.sessions.pending import Presented
from app.sessions.stage import Stage
from stores import MemoryStore, Store
from tests.helpers.pages import Page
from tests.helpers.process import environment
from tests.helpers.records import make_record
from tests.helpers.site import Site

MORNING = dt.datetime(2026, 5, 4, 8, 30, tzinfo=dt.UTC)


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Rank(enum.IntEnum):
    LOW = 1


@dataclass
class Item:
    sku: UUID
    price: Decimal
    size: Size = Size.SMALL


@dataclass
class Cart:
    items: list[Item] = field(default_factory=list)
    opened: dt.datetime | None = None
    by_day: dict[dt.date, int] = field(default_factory=dict)
    corner: tuple[int, float] = (0, 0.5)
    tags: set[str] = field(default_factory=set)


class Point(msgspec.Struct):
    x: int
    of: Cart | None = None


class Address(TypedDict):
    town: str
    since: dt.date


ITEM = Item(UUID(int=7), Decimal("9.50"), Size.LARGE)
CART = Cart([ITEM], MORNING, {dt.date(2026, 5, 4): 2}, (1, 2.5), {"a"})
ADDRESS: Address = {"town": "Zürich", "since": dt.date(2020, 1, 2)}

cart = Key("cart", Cart, default=Cart)


def new_session(data: dict[str, Any] | None = None, stage: Stage = Stage.OPEN) -> Session:
    record = None if data is None else make_record(data=data)
    return Session(SessionManager(MemoryStore()), record, Presented(at=0.0), stage)


# What it is for


@pytest.mark.parametrize(
    ("type", "value", "kept"),
    [
        (Point, Point(3, CART), None),
        (Item, ITEM, {"sku": str(UUID(int=7)), "price": "9.50", "size": "l"}),
        (Address, ADDRESS, {"town": "Zürich", "since": "2020-01-02"}),
        (dt.datetime, MORNING, "2026-05-04T08:30:00Z"),
        (dt.datetime, MORNING.replace(tzinfo=None), "2026-05-04T08:30:00"),
        (dt.timedelta, dt.timedelta(hours=1), "PT3600S"),
        (UUID, UUID(int=1), str(UUID(int=1))),
        (Decimal, Decimal("1.10"), "1.10"),
        (Size, Size.LARGE, "l"),
        (Rank, Rank.LOW, 1),
        (int, -(2**63), -(2**63)),
        (float, -0.0, -0.0),
        (list[Cart], [CART, Cart()], None),
        (dict[str, Point], {"a": Point(1)}, {"a": {"x": 1, "of": None}}),
        (dict[int, Size], {5: Size.SMALL}, {"5": "s"}),
        (tuple[int, ...], (1, 2), [1, 2]),
        (int | None, None, None),
        (Cart | None, CART, None),
        (str | int, 5, 5),
    ],
    ids=str,
)
def test_a_value_comes_back_as_what_it_was(type: Any, value: object, kept: object) -> None:
    session = new_session()
    key = Key[Any]("v", type)
    key.set(session, value)
    if kept is not None:
        assert session["v"] == kept
    # As a store gives it to the next request.
    changed, _ = session._delta()
    assert key.get(new_session(changed)) == value
    assert isinstance(key.get(session), value.__class__)


@pytest.mark.gen_test
async def test_every_store_gives_a_cart_back(any_store: Store) -> None:
    manager = SessionManager(any_store)
    session = await manager.load(None)
    cart.set(session, CART)
    cookie = await session.commit()
    assert cookie is not None
    again = await manager.load(cookie.partition(";")[0])
    assert cart.get(again) == CART
    again.destroy()
    await again.commit()
    await manager.close()


def test_type_checkers_see_the_type() -> None:
    session = new_session()
    assert_type(cart, Key[Cart])
    assert_type(cart.get(session), Cart)
    assert_type(Key("n", int, default=0).get(session), int)
    assert_type(Key("n", int).get(session), int | None)
    assert_type(Key("a", Address, default=ADDRESS).get(session), Address)
    assert_type(Key("l", list[Item], default=list[Item]).get(session), list[Item])
    assert_type(Key[Cart | int]("u", Cart | int, default=5).get(session), Cart | int)
    with cart.edit(session) as mine:
        assert_type(mine, Cart)
    with pytest.raises(TypeError):
        cart.set(session, 5)  # type: ignore[arg-type]


# Defaults


def test_a_default_is_shared_by_nobody() -> None:
    session = new_session()
    for key in (cart, Key("c", Cart, default=Cart([ITEM])), Key("c", Cart, default=lambda: Cart())):
        first, second = key.get(session), key.get(session)
        assert first == second
        assert first is not second
        first.items.append(ITEM)
        assert key.get(session) == second
    assert not session
    assert Key("n", int, default=5).get(session) == 5
    assert Key("n", int).get(session) is None


def test_what_is_there_is_not_changed_by_who_gets_it() -> None:
    key = Key("l", list[Any], default=list)
    session = new_session({"l": [[1]]})
    key.get(session)[0].append(2)
    assert session._delta() == ({}, [])
    assert key.get(session) == [[1]]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Key("n", int, default="x"),  # type: ignore[arg-type]
        lambda: Key("n", Point | Address | Item),
        lambda: Key("c", float, default=math.nan),
        lambda: Key(5, int),  # type: ignore[call-overload]
    ],
)
def test_a_key_that_cannot_work_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError, match=r"Key\((5|'[nc]'), "):
        make()


# What no longer converts


@pytest.mark.parametrize(
    "there",
    [
        {"items": [{"sku": "private", "price": "1"}]},
        {"items": 5},
        "private",
        None,
        {"items": [{"sku": str(UUID(int=1)), "price": "1", "size": "private"}]},
        {"opened": "private"},
        {"by_day": {"private": 1}},
    ],
)
def test_what_no_longer_converts_is_the_default(
    there: Any, caplog: pytest.LogCaptureFixture
) -> None:
    key = Key("cart", Cart, default=Cart)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            session = new_session({"cart": there, "kept": 1}, Stage.READ_ONLY)
            assert key.get(session) == Cart()
            assert session._delta() == ({}, [])
    (warning,) = caplog.records
    assert "session's value 'cart' is no Cart" in warning.getMessage()
    assert "private" not in warning.getMessage()


@pytest.mark.parametrize(
    "error", [AssertionError, KeyError, ArithmeticError, RecursionError, AttributeError]
)
def test_an_error_of_a_types_own_code_is_a_refusal(
    error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    """What is there is the default, told once; what is to be set is a `TypeError`."""

    @dataclass
    class Even:
        n: int = 0

        def __post_init__(self) -> None:
            if self.n % 2:
                raise error("private")

    key = Key("even", Even, default=Even)
    for _ in range(2):
        assert key.get({"even": {"n": 1}}) == Even()
    (warning,) = caplog.records
    assert "private" not in warning.getMessage()
    odd = Even()
    odd.n = 1
    with pytest.raises(TypeError, match="takes no such Even") as caught:
        key.set({}, odd)
    assert "private" not in str(caught.value)


def test_an_error_of_the_session_is_no_default() -> None:
    class Closed(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            raise RuntimeError("closed")

    with pytest.raises(RuntimeError, match="closed"):
        cart.get(Closed(cart=1))


def test_what_would_not_come_back_is_refused() -> None:
    """Another class with like fields, and keys that are one text."""

    @dataclass
    class Other:
        items: list[Item] = field(default_factory=list)

    kept: dict[str, Any] = {}
    for key, value in (
        (Key[Any]("v", Cart), Other()),
        (Key[Any]("v", list[Cart]), [Other()]),
        (Key[Any]("v", dict[int | str, int]), {1: 1, "1": 2}),
        (Key[Any]("v", dict[int | str, int]), {1: 2}),
    ):
        with pytest.raises(TypeError, match="it would not come back as it is"):
            key.set(kept, value)
    assert not kept


def test_a_type_that_grew_reads_what_is_there(caplog: pytest.LogCaptureFixture) -> None:
    session = new_session({"cart": {"items": [], "gone": 1}})
    assert cart.get(session) == Cart()
    assert not caplog.records


# Editing


def test_an_edit_saves_what_was_changed() -> None:
    session = new_session({"cart": {"items": []}})
    with cart.edit(session) as mine:
        mine.items.append(ITEM)
        assert cart.get(session).items == []
    assert cart.get(session).items == [ITEM]


def test_an_edit_that_changes_nothing_saves_nothing() -> None:
    there: list[dict[str, Any]] = [{}, {"cart": {"items": []}}, {"cart": "of another type"}]
    for data in there:
        session = new_session(data)
        with cart.edit(session):
            pass
        assert session._delta() == ({}, [])


def test_an_edit_that_fails_saves_nothing() -> None:
    session = new_session({"cart": {"items": []}})
    with pytest.raises(ZeroDivisionError), cart.edit(session) as mine:
        mine.items.append(ITEM)
        raise ZeroDivisionError
    assert session._delta() == ({}, [])


def test_an_edit_begins_with_the_default() -> None:
    session = new_session({})
    with cart.edit(session) as mine:
        mine.tags |= {"b", "a"}
    assert cart.get(session).tags == {"a", "b"}


# What is refused


@pytest.mark.parametrize(
    ("type", "value", "error", "sentence"),
    [
        (int, 2**63, ValueError, r"session\['v'\]: the integer does not fit in 64 bits"),
        (list[float], [math.nan], ValueError, r"session\['v'\]\[0\]: nan is not a finite number"),
        (bytes, b"private", TypeError, r"session\['v'\]: .* not bytes; assign text"),
        (list[bytes], [b"private"], TypeError, r"session\['v'\]\[0\]: .* not bytes"),
        (Cart, 5, TypeError, r"Key\('v', Cart\) takes no such int"),
        (Cart, Cart([5]), TypeError, r"takes no such Cart \(at \.items\[0\]\)"),  # type: ignore[list-item]
        (Size, "private", TypeError, r"Key\('v', Size\) takes no such str"),
        (Any, object(), TypeError, r"Key\('v', Any\): Encoding objects of type object"),
        (str, "\ud800", ValueError, "surrogate"),
    ],
    ids=str,
)
def test_what_cannot_be_kept_is_refused(
    type: Any, value: object, error: type[Exception], sentence: str
) -> None:
    session = new_session()
    with pytest.raises(error, match=sentence) as caught:
        Key[Any]("v", type).set(session, value)
    assert "private" not in str(caught.value)
    assert not session


def test_a_read_only_session_is_read_and_not_written() -> None:
    session = new_session({"cart": {"items": []}}, Stage.READ_ONLY)
    assert cart.get(session) == Cart()
    with pytest.raises(SessionReadOnly):
        cart.set(session, CART)
    with pytest.raises(SessionReadOnly), cart.edit(session) as mine:
        mine.items.append(ITEM)


# In a handler


@pytest.mark.gen_test
async def test_a_handler_keeps_a_cart(serve: Callable[..., Site]) -> None:
    class Add(Page):
        async def get(self) -> None:
            with cart.edit(self.session) as mine:
                mine.items.append(ITEM)
            self.write(str(len(cart.get(self.session).items)))

    routes = Group("/", Route("add", Add), sessions=True)
    browser = serve(routes, SessionManager(MemoryStore())).browser()
    assert [(await browser.get("/add")).body for _ in range(3)] == [b"1", b"2", b"3"]


# Without msgspec


def test_it_is_imported_when_it_is_asked_for() -> None:
    code = (
        "import sys; sys.modules['msgspec'] = None\n"
        "import app; assert 'Key' in dir(app)\n"
        "try: from app import Key\n"
        "except app.ConfigurationError as error: print(error)\n"
    )
    printed = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed == "Key needs the package msgspec: make install EXTRAS=typed\n"


def test_another_name_is_an_import_error() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Kye' from 'app'"):
        from app import Kye  # type: ignore[attr-defined]  # noqa: F401
