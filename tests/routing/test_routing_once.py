"""Routes are compiled once, whoever asks for them."""

from __future__ import annotations

from app import Config, Group, Route, SessionManager, make_app
from stores import MemoryStore
from tests.helpers.pages import Page


def test_routes_are_compiled_once_for_all_applications() -> None:
    config = Config(Group("/", Route("", Page), sessions=True), SessionManager(MemoryStore()))
    first, second = make_app(config), make_app(config)
    assert first.endpoints is second.endpoints is config.endpoints
    (endpoint,) = config.endpoints
    assert endpoint.rule is endpoint.rule
