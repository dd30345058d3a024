"""What proxies say of a client, and who is believed."""

from __future__ import annotations

import http.client
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tornado.web import RequestHandler

from app import Config, Group, Route, SessionManager, SessionMixin, make_app
from app.forwarded import TrustedProxies, warn_of_ignored
from stores import MemoryStore
from tests.helpers.process import Start, run, starting
from tests.helpers.site import Site

PROXY = "127.0.0.1"


class Client(SessionMixin, RequestHandler):
    """Answers how the client came, and starts a session."""

    def get(self) -> None:
        self.session["here"] = True
        self.write(f"{self.request.protocol} {self.request.remote_ip}")


@pytest.fixture
def site(serve: Callable[..., Site]) -> Site:
    site = serve(Group("/", Route("client", Client), sessions=True), SessionManager(MemoryStore()))
    site.application.forwarded = TrustedProxies([PROXY, "10.0.0.0/8", "fd00::/8"])
    return site


async def client(site: Site, **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await site.fetch("/client", headers=named)
    text = response.body.decode()
    assert ("; Secure" in response.headers["Set-Cookie"]) == text.startswith("https ")
    return text


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("forwarded_for", "proto", "expected"),
    [
        ("", "", "http 127.0.0.1"),
        ("9.9.9.9", "https", "https 9.9.9.9"),
        ("9.9.9.9", "http", "http 9.9.9.9"),
        ("9.9.9.9", "HTTPS", "https 9.9.9.9"),
        ("9.9.9.9", "gopher", "http 9.9.9.9"),
        # two proxies, the first of which the client reached over TLS
        ("9.9.9.9, 10.0.0.1", "https, http", "https 9.9.9.9"),
        ("9.9.9.9,10.0.0.1,10.0.0.2", "https,http,http", "https 9.9.9.9"),
        # one that the others pass on
        ("9.9.9.9, 10.0.0.1", "https", "https 9.9.9.9"),
        # what the client made up comes first
        ("1.1.1.1, 9.9.9.9", "https, http", "http 9.9.9.9"),
        ("10.0.0.7, 9.9.9.9, 10.0.0.1", "https, https, http", "https 9.9.9.9"),
        ("1.1.1.1, 9.9.9.9, 10.0.0.1", "https, http, http", "http 9.9.9.9"),
        # a client inside
        ("10.0.0.1", "https", "https 10.0.0.1"),
        ("10.0.0.2, 10.0.0.1", "https, http", "https 10.0.0.2"),
        ("2001:db8::1, fd00::1", "https, http", "https 2001:db8::1"),
        ("", "https", "https 127.0.0.1"),
        ("unknown", "https", "https 127.0.0.1"),
        ("9.9.9.9, <script>, 10.0.0.1", "https", "https 127.0.0.1"),
        (", ,", ",", "http 127.0.0.1"),
    ],
)
async def test_the_last_address_that_is_no_proxys_is_the_clients(
    site: Site, forwarded_for: str, proto: str, expected: str
) -> None:
    headers = {"X_Forwarded_For": forwarded_for, "X_Forwarded_Proto": proto}
    assert await client(site, **{n: value for n, value in headers.items() if value}) == expected


@pytest.mark.gen_test
async def test_other_headers_count_where_these_are_missing(site: Site) -> None:
    assert await client(site, X_Real_Ip="9.9.9.9", X_Scheme="https") == "https 9.9.9.9"
    made_up = {"X_Real_Ip": "1.1.1.1", "X_Scheme": "https"}
    said = {"X_Forwarded_For": "9.9.9.9", "X_Forwarded_Proto": "http"}
    assert await client(site, **made_up, **said) == "http 9.9.9.9"
    assert await client(site, X_Real_Ip="nowhere") == "http 127.0.0.1"


@pytest.mark.gen_test
async def test_nobody_else_is_believed_and_the_log_says_so_once(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.application.forwarded = TrustedProxies(["10.0.0.0/8"])
    for _ in range(3):
        said = {"X_Forwarded_For": "9.9.9.9", "X_Forwarded_Proto": "https"}
        assert await client(site, **said) == "http 127.0.0.1"
    (told,) = [m for m in caplog.messages if "X-Forwarded-Proto" in m]
    assert told.startswith(
        "X-Forwarded-Proto: https came from 127.0.0.1, which is none of --trusted-proxies: "
    )


@pytest.mark.parametrize(
    ("peer", "believed"),
    [("::ffff:10.1.2.3", True), ("0.0.0.0", True), ("10.1.2.3", True), ("fe80::1", False)],
)
def test_addresses_of_every_kind_of_socket_are_compared(peer: str, believed: bool) -> None:
    """An IPv4 client of an IPv6 socket; the peer of a Unix socket, who is on this machine."""
    assert TrustedProxies(["10.0.0.0/8"])._is_proxy(peer) is believed


@pytest.mark.gen_test
async def test_forgetting_to_believe_a_proxy_is_told_once(
    serve: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    site = serve(Group("/", Route("client", Client), sessions=True), SessionManager(MemoryStore()))
    site.application.forwarded = warn_of_ignored()
    await client(site, X_Forwarded_Proto="http")
    await client(site)
    assert caplog.messages == [m for m in caplog.messages if "200 GET" in m]
    for _ in range(3):
        await client(site, X_Forwarded_Proto="https")
    (told,) = [m for m in caplog.messages if "X-Forwarded-Proto" in m]
    assert "--xheaders is off" in told
    assert caplog.records[-1].levelno <= logging.WARNING


@pytest.mark.gen_test
async def test_it_looks_for_forgotten_proxies_no_more_than_a_while(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.forwarded.LOOKS", 2)
    site.application.forwarded = warn_of_ignored()
    for _ in range(2):
        await client(site)
    await client(site, X_Forwarded_Proto="https")
    assert "X-Forwarded-Proto" not in caplog.text


def test_an_application_of_its_own_believes_nobody() -> None:
    assert make_app(Config(Group("/", Route("", Client)))).forwarded is None


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.mark.parametrize(
    ("option", "believed"),
    [
        ("--trusted-proxies=10.0.0.0/8,127.0.0.1", True),
        ("--trusted-proxies=10.0.0.0/8", False),
        ("--xheaders", True),
        ("--debug=false", False),
    ],
)
def test_the_options_say_who_is_believed(start: Start, option: str, believed: bool) -> None:
    service = start("--port=0", "--address=127.0.0.1", option)
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    connection.request("GET", "/sessions/set/Ada", headers={"X-Forwarded-Proto": "https"})
    response = connection.getresponse()
    assert ("; Secure" in response.headers["Set-Cookie"]) is believed
    connection.close()
    assert ("X-Forwarded-Proto: https came" in service.output) is not believed


@pytest.mark.parametrize("value", ["proxy", "10.0.0.1/8", "10.0.0.300"])
def test_what_is_no_address_is_refused(value: str) -> None:
    result = run("--port=0", f"--trusted-proxies={value}")
    assert result.returncode == 2
    assert result.stderr.startswith(f"main.py: --trusted-proxies: {value!r} ") or (
        result.stderr.startswith(f"main.py: --trusted-proxies: {value} ")
    )
