"""Paths in another notation are refused; what only resembles one is served."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app import Config, ConfigurationError, Group, Route, make_app
from tests.helpers.site import Site
from tests.routing.test_routing import Echo

Serve = Callable[..., Site]

FOREIGN = [
    "x/([0-9]+)",
    "x/:name",
    ":name/x",
    "x/{id}",
    "{id:int}",
    "x/.*",
    "x/.+",
    "x/*",
    "*",
    "**",
    "*.html",
    "<name",
    "name>",
    "<re:[0-9]+:name>",
    "(?P<id>x)",
    r"(?P<id>\d+)",
    r"\d+",
    "^x$",
    "x$",
    "x$/y",
    "x/[id]",
    "(x)",
    "a|b",
    "x?",
    "x#y",
    "%s",
    "%(name)s",
    "100%",
    "user-:id",
    "user_:id",
    "report.:format",
    "<id>/:name",
    "<id>.:format",
    "x/::name",
    "<id>(.json)",
    "<id>(/more)",
    "user(s)",
    "x2(y)",
    "<id>+",
    "<id>+/x",
    "http://a/b",
    "x/https://<name>",
]


@pytest.mark.parametrize("path", FOREIGN)
@pytest.mark.parametrize("where", ["route", "group"])
def test_another_notation_is_refused_and_this_one_shown(path: str, where: str) -> None:
    child = Route(path, Echo) if where == "route" else Group(path, Route("end", Echo))
    with pytest.raises(ConfigurationError) as raised:
        make_app(Config(Group("/top", child)))
    text = str(raised.value)
    assert text.startswith("group /top")
    assert "cannot stand there" in text
    assert "a parameter is written <name>, <int:name>, <uuid:name> or <path:name>" in text


SERVED = [
    ("a:b", "/a:b"),
    ("v1.0", "/v1.0"),
    ("@user", "/@user"),
    ("c++", "/c++"),
    ("Foo_(bar)", "/Foo_(bar)"),
    ("$metadata", "/$metadata"),
    ("a::b", "/a::b"),
    ("v1:cancel", "/v1:cancel"),
    ("Foo_(bar):x", "/Foo_(bar):x"),
    ("10:30", "/10:30"),
    ("x-:5", "/x-:5"),
    ("Users(<id>)", "/Users(5)"),
    ("Users('<id>')", "/Users('ada')"),
    ("all()", "/all()"),
    ("<id>+<other>", "/1+2"),
    ("a+", "/a+"),
    ("user%28s%29", "/user(s)"),
    ("user-%3Aid", "/user-:id"),
    ("a;b=c,d&e'!~", "/a;b=c,d&e'!~"),
    ("<id>:publish", "/5:publish"),
    ("%3Aname", "/:name"),
    ("%28x%29", "/(x)"),
    ("%2A", "/*"),
    ("x%24", "/x$"),
    ("%2E+", "/.+"),
    ("100%25", "/100%25"),
    ("%7bid%7d", "/%7Bid%7D"),
    ("a%2fb", "/a%2Fb"),
    ("é b", "/%C3%A9%20b"),
    (".well-known/x", "/.well-known/x"),
    ("...", "/..."),
]


@pytest.mark.gen_test
@pytest.mark.parametrize(("template", "path"), SERVED)
async def test_a_literal_is_served_as_browsers_send_it(
    serve: Serve, template: str, path: str
) -> None:
    assert (await serve(Group("/", Route(template, Echo))).fetch(path)).code == 200


@pytest.mark.parametrize("path", [".", "..", "x/../y", "./x", "x/%2e%2E", "<a>/./x"])
def test_a_segment_that_browsers_leave_out_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^group /: .* browsers leave the segments"):
        make_app(Config(Group("/", Route(path, Echo))))


def test_a_literal_and_its_encoded_form_are_one_path() -> None:
    routes = Group("/", Route("a%62", Echo), Route("ab", Echo))
    with pytest.raises(ConfigurationError, match="/ab is declared twice"):
        make_app(Config(routes))


def test_a_converter_behind_the_name_is_turned_round() -> None:
    with pytest.raises(ConfigurationError, match="unknown converter 'id'; write <int:id>"):
        make_app(Config(Group("/", Route("<id:int>", Echo))))


REPEATED = [
    Group("/shop", Route("/shop/x", Echo)),
    Group("/shop", Route("/shop", Echo)),
    Group("shop/", Route("/shop/x", Echo)),
    Group("/shop", Group("/shop/cart", Route("x", Echo))),
    Group("/a", Group("b", Route("/a/b/x", Echo))),
    Group("/a", Group("/b", Route("/b/x", Echo))),
    Group("/a/<id>", Route("/a/<id>/x", Echo)),
]


@pytest.mark.parametrize("routes", REPEATED)
def test_an_absolute_path_below_its_group_is_refused(routes: Group) -> None:
    with pytest.raises(ConfigurationError, match=r"^group /.* begins with the path of its group"):
        make_app(Config(routes))


def test_the_message_says_how_to_write_both_paths() -> None:
    with pytest.raises(ConfigurationError) as raised:
        make_app(Config(Group("/shop", Route("/shop/x", Echo))))
    assert "write 'x' for /shop/x, or 'shop/x' for /shop/shop/x" in str(raised.value)


@pytest.mark.gen_test
async def test_a_relative_path_may_repeat_its_groups(serve: Serve) -> None:
    site = serve(Group("/shop", Route("shop/x", Echo), Route("/shopping", Echo)))
    assert (await site.fetch("/shop/shop/x")).code == 200
    assert (await site.fetch("/shop/shopping")).code == 200


@pytest.mark.parametrize("path", [5, None, b"x", Echo])
def test_a_path_that_is_no_text_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a path"):
        make_app(Config(Group("/", Route(path, Echo))))
    with pytest.raises(ConfigurationError, match="is not a path"):
        make_app(Config(Group(path, Route("x", Echo))))
