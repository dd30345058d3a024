"""Which of several routes that match a path is taken."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app import Group, Route
from tests.helpers.pages import Plain
from tests.helpers.site import Site
from tests.routing.test_routing import Echo

Serve = Callable[..., Site]


@pytest.mark.gen_test
async def test_the_first_route_that_matches_wins(serve: Serve) -> None:
    site = serve(
        Group("/", Route("me", Plain), Route("<int:id>", Echo), Route("<name>", Echo)),
    )
    assert (await site.fetch("/me")).body == b"plain"
    assert (await site.fetch("/12")).body == b"id=12"
    assert (await site.fetch("/12a")).body == b"name='12a'"


@pytest.mark.gen_test
async def test_routes_are_tried_in_their_order(serve: Serve) -> None:
    """A route with parameters comes before a fixed path that stands behind it."""
    site = serve(Group("/", Route("<int:id>", Echo), Route("5", Plain), Route("five", Plain)))
    assert (await site.fetch("/5")).body == b"id=5"
    assert (await site.fetch("/five")).body == b"plain"


@pytest.mark.gen_test
async def test_handlers_added_for_a_host_come_before_the_routes(serve: Serve) -> None:
    site = serve(Group("/", Route("me", Plain), Route("other", Plain)))
    site.application.add_handlers("elsewhere.test", [("/me", Echo)])
    elsewhere = {"Host": "elsewhere.test"}
    assert (await site.fetch("/me")).body == b"plain"
    assert (await site.fetch("/me", headers=elsewhere)).body == b"none"
    assert (await site.fetch("/other", headers=elsewhere)).body == b"plain"
