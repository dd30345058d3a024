"""A route runs a subclass of its handler, made once, when the application is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tornado.web import RequestHandler

from app import ConfigurationError, Group, Route
from tests.helpers.site import Site
from tests.routing.test_routing_handlers import build


class RefusesSubclasses(RequestHandler):
    def __init_subclass__(cls, **kwargs: Any) -> None:
        raise TypeError(f"{cls.__name__} is final")


class Registers(RequestHandler):
    """Notes the subclasses of its subclasses."""

    noted: list[type] = []  # noqa: RUF012 - emptied by the test

    def __init_subclass__(cls, **kwargs: Any) -> None:
        cls.noted.append(cls)

    def get(self) -> None:
        self.write("page")


@pytest.mark.parametrize("flags", [{}, {"sessions": False}, {"authenticated": True}])
def test_a_handler_that_refuses_subclasses_is_refused(flags: dict[str, bool]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        build(RefusesSubclasses, **flags)
    assert str(raised.value) == (
        "group /shop: a route runs a subclass of its handler, and RefusesSubclasses refuses to "
        "have one: RefusesSubclasses is final"
    )


@pytest.mark.gen_test
async def test_a_route_makes_one_subclass_when_it_is_built(serve: Callable[..., Site]) -> None:
    Registers.noted.clear()
    site = serve(Group("/", Route("page", Registers)))
    assert len(Registers.noted) == 1
    for _ in range(2):
        assert (await site.fetch("/page")).body == b"page"
    assert len(Registers.noted) == 1
