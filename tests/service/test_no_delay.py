"""Small packets leave at once: TCP_NODELAY is set once a connection, and not for each answer."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from app.client_stream import ClientStream
from app.connections import Connections
from app.limits import Limits


@contextlib.contextmanager
def accepted(family: int = socket.AF_INET) -> Iterator[ClientStream]:
    """A connection as the service accepts it."""
    with contextlib.ExitStack() as stack:
        if family == socket.AF_INET:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            stack.enter_context(socket.create_connection(listening.getsockname()))
            connection, _ = listening.accept()
        else:
            connection, client = socket.socketpair()
            stack.enter_context(client)
        stream = Connections(Limits(), lambda: ()).add(connection)
        stack.callback(stream.close)
        yield stream


def sends_at_once(stream: ClientStream) -> bool:
    return bool(stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


@pytest.mark.gen_test
async def test_a_connection_sends_at_once_from_its_beginning() -> None:
    with accepted() as stream:
        assert sends_at_once(stream)
        for value in (True, False):  # as Tornado does at the end of an answer
            stream.set_nodelay(value)
            assert sends_at_once(stream)


@pytest.mark.gen_test
async def test_a_websocket_decides_for_itself() -> None:
    with accepted() as stream:
        stream.serves_http = False
        for value in (False, True):
            stream.set_nodelay(value)
            assert sends_at_once(stream) is value


@pytest.mark.gen_test
async def test_a_unix_socket_has_nothing_to_set() -> None:
    with accepted(socket.AF_UNIX) as stream:
        assert not stream.closed()
