"""A `Host` that is no host ends in no error, and leads nobody anywhere else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app import Group, Route, SessionManager
from stores import MemoryStore
from tests.helpers.pages import Page, Plain
from tests.helpers.raw import RawConnection
from tests.helpers.site import Site


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["page", "plain"])
@pytest.mark.parametrize("host", ["[", "a]b", "[::1", "[x]"])
async def test_a_broken_host_is_led_to_the_login_page(
    serve: Callable[..., Site], host: str, path: str
) -> None:
    routes = Group(
        "/", Route("page", Page), Route("plain", Plain), sessions=True, authenticated=True
    )
    site = serve(routes, SessionManager(MemoryStore()), login_url="/sign-in")
    async with RawConnection(site) as connection:
        head = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n"
        connection.write(f"{head}Connection: close\r\n\r\n".encode())
        answer = await connection.read_to_end()
    assert answer.split(b" ")[1] in (b"302", b"400"), answer
    assert b"Location" not in answer or f"Location: /sign-in?next=%2F{path}\r\n".encode() in answer
