"""A cookie that browsers refuse, cut or never send is found when it is made; so are time-outs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app import ConfigurationError, Cookie, SessionManager
from app.sessions import token
from stores import MemoryStore
from tests.helpers.cookies import token_of
from tests.helpers.records import load_record

BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "characters a name cannot have"),
    ({"name": "a b"}, "characters a name cannot have"),
    ({"name": "a;b"}, "characters a name cannot have"),
    ({"name": "a=b"}, "characters a name cannot have"),
    ({"name": "sessiön"}, "characters a name cannot have"),
    ({"name": "a\r\nX: y"}, "characters a name cannot have"),
    ({"name": "n" * 4043}, "pass 4096 bytes"),
    ({"domain": "a;b"}, "is not a domain"),
    ({"domain": ""}, "is not a domain"),
    ({"domain": "a\nb"}, "is not a domain"),
    ({"domain": "a\n"}, "is not a domain"),
    ({"domain": "."}, "is not a domain"),
    ({"domain": "..example.org"}, "is not a domain"),
    ({"domain": "shop..example.org"}, "is not a domain"),
    ({"domain": "example.org."}, "is not a domain"),
    ({"domain": "-a.example.org"}, "is not a domain"),
    ({"domain": "*.example.org"}, "is not a domain"),
    ({"domain": "example.org:8888"}, "is not a domain"),
    ({"domain": "https://example.org"}, "is not a domain"),
    ({"domain": "münchen.example"}, "in ASCII (xn--...)"),
    ({"domain": f"{'a' * 64}.org"}, "is not a domain"),
    ({"domain": "a." * 127 + "org"}, "is not a domain"),
    ({"domain": "::1"}, "is not a domain"),
    ({"domain": "127.0.0.1"}, "leave domain=None"),
    ({"domain": "localhost"}, "leave domain=None"),
    ({"domain": ".localhost"}, "leave domain=None"),
    ({"domain": "com"}, "leave domain=None"),
    ({"domain": "co.uk"}, "no cookie for a public suffix"),
    ({"domain": ".COM.au"}, "no cookie for a public suffix"),
    ({"domain": "127.1"}, "leave domain=None"),
    ({"domain": "0x7f.1"}, "leave domain=None"),
    ({"domain": "example.0x"}, "leave domain=None"),
    ({"domain": 5}, "domain is 5; it takes str or None"),
    ({"name": None}, "name is None; it takes str"),
    ({"path": None}, "path is None; it takes str"),
    ({"secure": "no"}, "secure is 'no'; it takes bool or None"),
    ({"httponly": "no"}, "httponly is 'no'; it takes bool"),
    ({"httponly": None}, "httponly is None; it takes bool"),
    ({"partitioned": 1}, "partitioned is 1; it takes bool"),
    ({"persistent": "no"}, "persistent is 'no'; it takes bool"),
    ({"path": "/%zz"}, "percent-encode other characters"),
    ({"path": "/100%"}, "percent-encode other characters"),
    ({"path": ""}, "must begin with /"),
    ({"path": "app"}, "must begin with /"),
    ({"path": "/a;b"}, "must begin with /"),
    ({"path": "/a\n"}, "must begin with /"),
    ({"path": "/my shop"}, "percent-encode other characters"),
    ({"path": "/shop "}, "percent-encode other characters"),
    ({"path": "/é"}, "percent-encode other characters"),
    ({"path": "/shop?x"}, "percent-encode other characters"),
    ({"path": "/shop#x"}, "percent-encode other characters"),
    ({"path": '/"shop"'}, "percent-encode other characters"),
    ({"path": "/<id>"}, "percent-encode other characters"),
    ({"path": "/shop/../admin"}, "resolve before they send"),
    ({"path": "/./shop"}, "resolve before they send"),
    ({"path": "/shop/%2E%2e"}, "resolve before they send"),
    ({"path": "/" + "a" * 1024}, "more than 1024 bytes"),
    ({"samesite": "lax"}, "not one of Lax, Strict, None"),
    ({"samesite": "bogus"}, "not one of Lax, Strict, None"),
    ({"samesite": "None", "secure": False}, "requires Secure"),
    ({"partitioned": True}, "write samesite='None'"),
    ({"partitioned": True, "samesite": "Strict"}, "write samesite='None'"),
    ({"partitioned": True, "samesite": "None", "secure": False}, "requires Secure"),
    ({"name": "__Secure-id", "secure": False}, "requires Secure"),
    ({"name": "__Host-id", "secure": False}, "requires Secure"),
    ({"name": "__Host-id", "domain": "example.org"}, "allows no Domain"),
    ({"name": "__HOST-id", "domain": "example.org"}, "allows no Domain"),
    ({"name": "__Host-id", "path": "/app"}, "requires path='/'"),
    ({"name": "__secure-id", "secure": False}, "requires Secure"),
    ({"name": "__Http-id", "secure": False}, "requires Secure"),
    ({"name": "__HTTP-id", "secure": False}, "requires Secure"),
    ({"name": "__Http-id", "httponly": False}, "requires HttpOnly"),
    ({"name": "__hTTP-id", "httponly": False}, "requires HttpOnly"),
    ({"name": "__Host-Http-id", "secure": False}, "requires Secure"),
    ({"name": "__Host-Http-id", "httponly": False}, "requires HttpOnly"),
    ({"name": "__Host-Http-id", "domain": "example.org"}, "allows no Domain"),
    ({"name": "__host-http-id", "path": "/app"}, "requires path='/'"),
]


@pytest.mark.parametrize(("settings", "text"), BAD)
def test_settings_that_no_browser_takes_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Cookie(**settings)
    assert text in str(raised.value)


FINE: list[dict[str, Any]] = [
    {"name": "n" * 4042},
    {"name": "__Host-id", "httponly": False},
    {"name": "__Http-id", "domain": "example.org", "path": "/app"},
    {"name": "__Hosting", "domain": "example.org"},
    {"domain": "example.org"},
    {"domain": ".example.org"},
    {"domain": "EXAMPLE.co.uk"},
    {"domain": "co.example"},
    {"domain": "xn--mnchen-3ya.de"},
    {"domain": "1.example.org"},
    {"path": "/%C3%A9/a.b/~c/d:e@f/..g"},
    {"path": "/" + "a" * 1023},
    {"samesite": "None", "partitioned": True},
]


@pytest.mark.parametrize("settings", FINE, ids=str)
def test_settings_that_browsers_take_are_fine(settings: dict[str, Any]) -> None:
    Cookie(**settings)


TIMES: list[tuple[dict[str, Any], str]] = [
    ({"lifetime": timedelta(days=400, seconds=1)}, "400 days, 0:00:01; browsers keep"),
    ({"lifetime": timedelta.max}, "for 400 days at most"),
    ({"lifetime": timedelta(0)}, "above zero"),
    ({"lifetime": timedelta(days=-1)}, "above zero"),
    ({"lifetime": timedelta(milliseconds=999)}, "counts whole seconds"),
    ({"idle_timeout": timedelta(0)}, "above zero"),
    ({"idle_timeout": timedelta.min}, "above zero"),
    ({"idle_timeout": 3600}, "must be a timedelta"),
]


@pytest.mark.parametrize(("times", "text"), TIMES)
def test_time_outs_that_nobody_keeps_are_refused(times: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        SessionManager(MemoryStore(), **times)
    assert text in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"cookie": "session"}, "cookie is 'session'; write cookie=Cookie(name="),
        ({"cookie": Cookie}, "write cookie=Cookie(name="),
        ({"max_bytes": 1}, "max_bytes is 1: give a whole number, 2 at least"),
        ({"max_bytes": 2.5}, "max_bytes is 2.5: give a whole number"),
        ({"max_bytes": float("nan")}, "max_bytes is nan: give a whole number"),
        ({"max_bytes": "64"}, "max_bytes is '64': give a whole number"),
    ],
)
def test_a_managers_settings_of_another_type_are_refused(
    settings: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        SessionManager(MemoryStore(), **settings)
    assert text in str(raised.value)


@pytest.mark.gen_test
async def test_an_idle_time_without_end_is_the_lifetime() -> None:
    store = MemoryStore()
    manager = SessionManager(
        store, idle_timeout=timedelta.max, lifetime=timedelta(days=400), clock=lambda: 1e9
    )
    session = await manager.load(None)
    session["a"] = 1
    cookie = await session.commit()
    assert f"Max-Age={400 * 24 * 3600};" in str(cookie)
    record = await load_record(store, token.decode(token_of(cookie))[0])
    assert record.expires == 1e9 + 400 * 24 * 3600
