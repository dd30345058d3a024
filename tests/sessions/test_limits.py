"""How large a session may be, and what is refused where it is assigned."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.client import responses
from typing import Any

import pytest
from tornado.web import RequestHandler

from app import Group, Route, SessionManager, SessionTooLarge
from app.sessions.saving import is_unsaved
from stores import MemoryStore
from tests.helpers.cookies import header_of
from tests.helpers.pages import Kept, Page, Plain
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import SpyStore

LIMIT = 1000
Serve = Callable[..., Site]


class Put(Page):
    """Keeps the request's body, JSON, under ?key=; signs in as ?user=."""

    def post(self) -> None:
        if user := self.get_argument("user", ""):
            self.session.sign_in(user)
        if key := self.get_argument("key", ""):
            self.session[key] = json.loads(self.request.body)
        self.write("done")


class PutAnyway(Put):
    """Answers by itself when there is too much."""

    async def post(self) -> None:  # type: ignore[override]
        super().post()
        try:
            await self.session.commit()
        except SessionTooLarge as error:
            self.session.clear()
            self.session["kept"] = "less"
            self.set_header("X-Sizes", f"{error.size} {error.max_bytes}")


class Empty(Page):
    def post(self) -> None:
        self.session.clear()


@pytest.fixture
def store() -> SpyStore:
    return SpyStore()


@pytest.fixture
def browser(serve: Serve, store: SpyStore) -> Browser:
    pages: dict[str, type[RequestHandler]] = {
        "put": Put,
        "put-anyway": PutAnyway,
        "empty": Empty,
        "kept": Kept,
        "plain": Plain,
    }
    routes = Group("/", *(Route(path, page) for path, page in pages.items()), sessions=True)
    return serve(routes, SessionManager(store, max_bytes=LIMIT)).browser()


async def put(browser: Browser, value: Any, query: str = "key=kept") -> int:
    """Have *value* kept; return the status of the answer."""
    body = json.dumps(value, ensure_ascii=False)
    headers = {"Content-Type": "application/json"}
    return (await browser.post(f"/put?{query}", body=body, headers=headers)).code


def text_of(size: int, letter: str = "x") -> str:
    """Return a text with which {"kept":"..."} takes *size* bytes."""
    room = size - len('{"kept":""}')
    assert room % len(letter.encode()) == 0
    return letter * (room // len(letter.encode()))


@pytest.mark.gen_test
@pytest.mark.parametrize("letter", ["x", "\N{LATIN SMALL LETTER SHARP S}"])
async def test_a_session_is_max_bytes_and_not_a_byte_larger(
    browser: Browser, store: SpyStore, letter: str
) -> None:
    largest = LIMIT - (LIMIT - len('{"kept":""}')) % len(letter.encode())
    assert await put(browser, text_of(largest, letter)) == 200
    assert store.kinds == ["Create"]
    assert await put(browser, text_of(largest, letter) + "x" * (LIMIT - largest + 1)) == 413
    assert store.kinds == ["load"]
    assert await browser.text("/kept") == text_of(largest, letter)


@pytest.mark.gen_test
async def test_too_much_is_413_without_cookie_or_write(browser: Browser, store: SpyStore) -> None:
    """Too much is 413 with a clear page, without a cookie and without a write."""
    body = json.dumps(text_of(LIMIT + 1))
    response = await browser.post("/put?key=kept", body=body)
    assert response.code == 413
    assert b"done" not in response.body
    assert response.reason.encode() in response.body
    assert "Set-Cookie" not in response.headers
    assert store.calls == []
    assert browser.cookies == {}


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("\N{EURO SIGN}" * 100, 300),
        ("\N{GRINNING FACE}" * 100, 400),
        ("\x00" * 100, 600),
        ('"' * 100, 200),
        ([], 0),
        ([0] * 100, 199),
        ({"a": None}, 8),
        (1.5, 1),
    ],
)
async def test_the_size_is_that_of_compact_json_in_utf_8(value: Any, size: int) -> None:
    size += len('{"kept":""}')
    for limit, fits in ((size, True), (size - 1, False)):
        manager = SessionManager(MemoryStore(), max_bytes=limit)
        session = await manager.load(None)
        session["kept"] = value
        if fits:
            await session.commit()
            continue
        with pytest.raises(SessionTooLarge) as raised:
            await session.commit()
        text = f"HTTP 413: {responses[413]} (the session would hold {size} bytes, "
        text += "most of it under the key 'kept'; "
        assert text in str(raised.value)
        assert f"max_bytes is {limit})" in str(raised.value)


@pytest.mark.gen_test
async def test_growth_is_refused_at_the_request_too_many(browser: Browser, store: SpyStore) -> None:
    """A session that grows by several requests is refused at the one too many."""
    statuses = [await put(browser, "x" * 200, f"key=k{i}") for i in range(7)]
    assert statuses == [200] * 4 + [413] * 3
    assert await put(browser, "small", "key=kept") == 200
    assert await browser.text("/kept") == "small"
    store.calls.clear()
    assert (await browser.post("/empty")).code == 200
    assert await put(browser, text_of(LIMIT)) == 200


@pytest.mark.gen_test
async def test_a_list_that_grows_inside_is_measured_too(serve: Serve) -> None:
    class Append(Page):
        def get(self) -> None:
            self.session.setdefault("kept", []).append("x" * 90)  # type: ignore[union-attr]

    routes = Group("/", Route("append", Append), Route("kept", Kept), sessions=True)
    manager = SessionManager(MemoryStore(), max_bytes=LIMIT)
    browser = serve(routes, manager).browser()
    statuses = [(await browser.get("/append")).code for _ in range(12)]
    assert statuses == [200] * 10 + [413] * 2
    assert (await browser.text("/kept")).count("x") == 900


@pytest.mark.gen_test
async def test_the_users_name_has_a_bound_of_its_own(browser: Browser, store: SpyStore) -> None:
    """The user's name does not count to the session's size and has a bound of its own."""
    assert await put(browser, text_of(LIMIT), f"key=kept&user={'u' * 255}") == 200
    assert store.kinds == ["Create", "Update", "load"]  # the second lists it
    assert await put(browser, None, f"user={'v' * 256}") == 500
    assert store.kinds == ["load"]
    session = await SessionManager(store).load(None)
    with pytest.raises(ValueError, match="a user of at most 255 characters"):
        session.sign_in("\N{GRINNING FACE}" * 256)
    assert not is_unsaved(session)


@pytest.mark.gen_test
async def test_a_handler_can_make_do_with_less(browser: Browser) -> None:
    body = json.dumps(text_of(LIMIT + 1))
    response = await browser.post("/put-anyway?key=kept", body=body)
    assert response.code == 200
    assert response.headers["X-Sizes"] == f"{LIMIT + 1} {LIMIT}"
    assert await browser.text("/kept") == "less"


@pytest.mark.gen_test
async def test_a_session_over_a_lowered_limit_stays_usable() -> None:
    """A session from before a lower limit can be read, renewed and emptied."""
    store = MemoryStore()
    before = SessionManager(store, max_bytes=LIMIT)
    session = await before.load(None)
    session["kept"] = text_of(LIMIT)
    session["small"] = 1
    session.pop("small")
    cookie = header_of(await session.commit())

    now = SessionManager(store, max_bytes=LIMIT // 2)
    session = await now.load(cookie)
    assert session["kept"] == text_of(LIMIT)
    session.regenerate()
    cookie = header_of(await session.commit())
    session = await now.load(cookie)
    session["more"] = 1
    with pytest.raises(SessionTooLarge):
        await session.commit()
    session = await now.load(cookie)
    del session["kept"]
    session["more"] = 1
    await session.commit()
    assert dict(await now.load(cookie)) == {"more": 1}


# What is refused at the assignment, with the text that says why

REFUSED: list[tuple[Any, Any, type[Exception], str]] = [
    (1, 0, TypeError, "session: a key must be str, not int"),
    (None, 0, TypeError, "session: a key must be str, not NoneType"),
    (
        "\ud800",
        0,
        ValueError,
        r"session: the key '\ud800' has a lone surrogate, which is not Unicode",
    ),
    ("k", 2**63, ValueError, "session['k']: the integer does not fit in 64 bits"),
    ("k", float("nan"), ValueError, "session['k']: nan is not a finite number"),
    ("k", [0, {"a": float("inf")}], ValueError, "session['k'][1]['a']: inf is not a finite number"),
    ("k", {"a": "\udfff"}, ValueError, "session['k']['a']: a lone surrogate is not Unicode text"),
    (
        "k",
        {"a": [b""]},
        TypeError,
        "session['k']['a'][0]: a session holds None, bool, int, float, str, list and dict, "
        "not bytes; assign text: base64, or what .decode() returns",
    ),
    ("k", {"a": {2: 3}}, TypeError, "session['k']['a']: a key must be str, not int"),
    (
        "a'b",
        (1,),
        TypeError,
        'session["a\'b"]: a session holds None, bool, int, float, str, list and dict, '
        "not tuple; assign list(value)",
    ),
]


@pytest.mark.gen_test
@pytest.mark.parametrize(("key", "value", "error", "text"), REFUSED)
async def test_what_is_refused_is_told_with_its_path(
    key: Any, value: Any, error: type[Exception], text: str
) -> None:
    manager = SessionManager(MemoryStore())
    session = await manager.load(None)
    for change in (
        lambda: session.__setitem__(key, value),
        lambda: session.setdefault(key, value),
        lambda: session.update({key: value}),
    ):
        with pytest.raises(error) as raised:
            change()
        assert str(raised.value) == text
    assert not is_unsaved(session)


@pytest.mark.gen_test
async def test_a_refused_nested_value_is_500_and_writes_nothing(
    serve: Serve, store: SpyStore
) -> None:
    class Nested(Page):
        def get(self) -> None:
            self.session["beside"] = 1
            inside: list[Any] = ["fine"]
            self.session["kept"] = inside
            inside.append(b"not fine")

    routes = Group("/", Route("nested", Nested), sessions=True)
    response = await serve(routes, SessionManager(store)).browser().get("/nested")
    assert response.code == 500
    assert "Set-Cookie" not in response.headers
    assert store.calls == []


def test_an_errors_repr_has_its_text() -> None:
    shown = repr(SessionTooLarge(9, 5, "cart"))
    assert shown.startswith('SessionTooLarge("HTTP 413: ')
    assert "the session would hold 9 bytes, most of it under the key" in shown
