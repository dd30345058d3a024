"""What no honest client sends: a clear answer, no store call without need, never a foreign id."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from app import SessionManager
from app.sessions import token
from configure import ROUTES
from stores.contract import Create
from tests.helpers.raw import raw_request
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import SpyStore

A, B = "A" * 54, "b-_0" * 13 + "9g"
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.fixture
def store() -> SpyStore:
    return SpyStore()


@pytest.fixture
def site(serve: Callable[..., Site], store: SpyStore) -> Site:
    return serve(ROUTES, SessionManager(store))


NOT_A_TOKEN: dict[str, bytes] = {
    "empty": b"",
    "blanks": b"   ",
    "quoted": b'"' + A.encode() + b'"',
    "quoted once": b'"' + A.encode(),
    "one short": A[:-1].encode(),
    "one long": A.encode() + b"A",
    "short": b"A",
    "10 kB": b"A" * 10_240,
    "10 kB of quotes": b'"' * 10_240,
    "Latin-1": A[:-1].encode() + b"\xe9",
    "UTF-8": A[:-2].encode() + "é".encode(),
    "not UTF-8": b"\xff" * 54,
    "standard base64": A[:-2].encode() + b"+/",
    "padded": A[:-2].encode() + b"==",
    "percent-encoded": b"%41" * 18,
    "another spelling of a token": A[:-1].encode() + b"B",
    "blank inside": A[:20].encode() + b" " + A[21:].encode(),
    "comma": A.encode() + b"," + B.encode(),
    "a path": b"../../../../etc/passwd",
    "JSON": b'{"$gt":""}',
    "a backslash": b"\\101" * 13 + b"AA",
    "17 tokens": b"; session=".join(b"%053dA" % i for i in range(17)),
    "200 of them": b"; session=".join([b"a"] * 200),
    "another name": b"; xsession=" + A.encode(),
    "a longer name": b"; session2=" + A.encode(),
    "dollar attributes": b"x; $Path=/; $Version=1",
}


@pytest.mark.gen_test
@pytest.mark.parametrize("value", NOT_A_TOKEN.values(), ids=NOT_A_TOKEN)
async def test_a_cookie_that_is_no_token_makes_no_store_call(
    site: Site, store: SpyStore, value: bytes
) -> None:
    """A cookie that is no token is a new client, without a store call."""
    header = b"Cookie: session=" + value
    status, head, body = await raw_request(site, "GET", "/sessions/get", header)
    assert (status, body) == (200, b"n/a")
    assert "Set-Cookie" not in head
    assert store.calls == []


@pytest.mark.gen_test
@pytest.mark.parametrize("value", NOT_A_TOKEN.values(), ids=NOT_A_TOKEN)
async def test_a_cookie_that_is_no_token_is_replaced_by_one(
    site: Site, store: SpyStore, value: bytes
) -> None:
    header = b"Cookie: session=" + value
    status, head, body = await raw_request(site, "GET", "/sessions/set/Ada", header)
    assert (status, body) == (200, b"Ada")
    assert fresh_token(head) not in value.decode("latin-1")
    assert store.kinds == ["Create"]


@pytest.mark.gen_test
@pytest.mark.parametrize("value", NOT_A_TOKEN.values(), ids=NOT_A_TOKEN)
async def test_ending_no_session_asks_the_store_for_nothing(
    site: Site, store: SpyStore, value: bytes
) -> None:
    header = b"Cookie: session=" + value
    status, _, body = await raw_request(site, "GET", "/sessions/del", header)
    assert (status, body) == (200, b"done")
    assert store.calls == []


@pytest.mark.gen_test
@pytest.mark.parametrize("value", [A, B, f"{A}; session={B}"])
async def test_an_unknown_token_is_a_new_client_and_never_adopted(
    site: Site, store: SpyStore, value: str
) -> None:
    status, head, body = await raw_request(site, "GET", "/sessions/get", f"Cookie: session={value}")
    assert (status, body) == (200, b"n/a")
    assert "Set-Cookie" not in head
    store.calls.clear()

    _, head, _ = await raw_request(site, "GET", "/sessions/set/Ada", f"Cookie: session={value}")
    given = fresh_token(head)
    changes = [change for _, items in store.calls for change in items]
    created = [change.record for change in changes if isinstance(change, Create)]
    assert len(created) == 1
    for presented in re.findall(r"[\w-]{54}", value):
        assert token.decode(given)[0] == created[0].id != token.decode(presented)[0]
        assert token.decode(given)[1] != token.decode(presented)[1]

    _, _, body = await raw_request(site, "GET", "/sessions/get", f"Cookie: session={value}")
    assert body == b"n/a"


@pytest.mark.gen_test
async def test_a_known_id_with_another_secret_opens_nothing(site: Site) -> None:
    browser = site.browser()
    await browser.text("/sessions/set/Ada")
    id, secret = token.decode(browser.cookies["session"])
    forged = [
        token.encode(id, bytes(24)),
        token.encode(id, token.hash_secret("session", secret)[:24]),
        token.encode(id, secret[:-1] + bytes([secret[-1] ^ 1])),
        token.encode(bytes(16), secret),
    ]
    for text in forged:
        thief = site.browser()
        thief.cookies["session"] = text
        assert await thief.text("/sessions/get") == "n/a"
        assert await thief.text("/sessions/set/Mallory") == "Mallory"
        assert token.decode(thief.cookies["session"])[0] != id
        thief.cookies["session"] = text
        assert await thief.text("/sessions/del") == "done"
    assert await browser.text("/sessions/get") == "Ada"


@pytest.mark.gen_test
async def test_every_letter_changed_in_a_token_opens_nothing(site: Site) -> None:
    browser = site.browser()
    await browser.text("/sessions/set/Ada")
    good = browser.cookies["session"]
    for i, letter in enumerate(good):
        other = BASE64[(BASE64.index(letter) + 16) % 64]
        thief = site.browser()
        thief.cookies["session"] = good[:i] + other + good[i + 1 :]
        assert await thief.text("/sessions/get") == "n/a", i
    assert await browser.text("/sessions/get") == "Ada"


@pytest.mark.gen_test
async def test_a_good_token_is_found_behind_a_planted_cookie(site: Site) -> None:
    browser = site.browser()
    await browser.text("/sessions/set/Ada")
    good = browser.cookies["session"]
    for planted in (f"session={A}; session={good}", f'session="x"; session={good}'):
        _, _, body = await raw_request(site, "GET", "/sessions/get", f"Cookie: {planted}")
        assert body == b"Ada"


@pytest.mark.gen_test
async def test_two_tokens_that_both_open_a_session_open_none(site: Site) -> None:
    victim, attacker = site.browser(), site.browser()
    await victim.text("/sessions/set/Ada")
    await attacker.text("/sessions/set/Mallory")
    one, two = victim.cookies["session"], attacker.cookies["session"]
    for pair in ((one, two), (two, one)):
        header = "Cookie: session={}; session={}".format(*pair)
        _, _, body = await raw_request(site, "GET", "/sessions/get", header)
        assert body == b"n/a"


@pytest.mark.gen_test
async def test_two_cookie_headers_are_no_error(site: Site) -> None:
    headers = (f"Cookie: session={A}", f"Cookie: session={B}")
    status, _, body = await raw_request(site, "GET", "/sessions/get", *headers)
    assert (status, body) == (200, b"n/a")


@pytest.mark.gen_test
@pytest.mark.parametrize("sign", [b"\x00", b"\x07", b"\x7f"])
async def test_a_control_character_is_refused_or_a_new_client(
    site: Site, store: SpyStore, sign: bytes
) -> None:
    header = b"Cookie: session=" + A[:-1].encode() + sign
    status, _, _ = await raw_request(site, "GET", "/sessions/get", header)
    assert status in (200, 400)  # Tornado refuses the first two
    assert store.calls == []


PATHS = [
    ("/sessions/set/%2F", 200, "/"),
    ("/sessions/set/a%2Fb%2F..", 200, "a/b/.."),
    ("/sessions/set/%00", 200, "\0"),
    ("/sessions/set/%0D%0ASet-Cookie:%20a=b", 200, "\r\nSet-Cookie: a=b"),
    ("/sessions/set/%C3%A9%E2%82%AC%F0%9F%98%80", 200, "é€😀"),
    ("/sessions/set/%3Cscript%3E", 200, "<script>"),
    ("/sessions/set/%24where.x", 200, "$where.x"),
    ("/sessions/set/" + "x" * 10_240, 200, "x" * 10_240),
    ("/sessions/set/" + "%E2%82%AC" * 1_100, 200, "€" * 1_100),
    ("/sessions/set/%", 200, "%"),
    ("/sessions/set/Ada?name=%FF", 200, "Ada"),
    ("/sessions/set/Ada;x=y", 200, "Ada;x=y"),
    ("/sessions/set/..", 200, ".."),
    ("/sessions/set/", 404, None),
    ("/sessions/set", 404, None),
    ("/sessions/set/a/b", 404, None),
    ("/sessions/set/%FF", 404, None),
    ("/sessions/set/%C0%AF", 404, None),
    ("/sessions/set/%ED%A0%80", 404, None),
    ("/sessions/get/", 404, None),
    ("//sessions/get", 404, None),
    ("/sessions%2Fget", 404, None),
    ("/SESSIONS/get", 404, None),
    ("/sessions/../healthz", 404, None),
    ("/" + "x" * 10_240, 404, None),
    ("/%00", 404, None),
]


@pytest.mark.gen_test
@pytest.mark.parametrize(("path", "status", "name"), PATHS)
async def test_any_path_is_answered_and_the_name_comes_back(
    site: Site, path: str, status: int, name: str | None
) -> None:
    """A path gets a clear answer, and the name comes back as it was."""
    browser = site.browser()
    response = await browser.get(path)
    assert response.code == status
    if name is not None:
        assert response.body.decode() == name
        assert await browser.text("/sessions/get") == name
    assert set(browser.cookies) == ({"session"} if name else set())


RAW_PATHS = [b"/sessions/set/\xff", "/sessions/set/é".encode(), b"*", b"http://x/y", b"x"]


@pytest.mark.gen_test
@pytest.mark.parametrize("path", RAW_PATHS)
async def test_a_target_that_is_no_path_is_no_server_error(site: Site, path: bytes) -> None:
    status, _, _ = await raw_request(site, "GET", path)
    assert status < 500


@pytest.mark.gen_test
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_a_method_that_the_example_lacks_is_405(
    site: Site, store: SpyStore, method: str
) -> None:
    status, head, _ = await raw_request(site, method, "/sessions/set/Ada")
    assert status == 405
    assert "\r\nAllow: GET\r\n" in head + "\r\n"
    assert "Set-Cookie" not in head
    assert store.calls == []


def fresh_token(head: str) -> str:
    """Return the token that a response's head sets, which must be well-formed."""
    given: str
    (given,) = re.findall(r"\r\nSet-Cookie: session=([^;]*);", head)
    assert re.fullmatch(token.FORM, given)
    return given
