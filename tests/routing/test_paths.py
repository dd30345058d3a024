"""Path templates: which split is taken, in how much time, and the way back."""

from __future__ import annotations

import itertools
import random
import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import Config, ConfigurationError, Group, Route, make_app
from app.paths import PathTemplate
from tests.helpers.site import Site
from tests.routing.test_routing import Echo

Serve = Callable[..., Site]

NAMES = "abcd"


def write(literals: list[str], paths: list[bool]) -> str:
    """Return the template with a parameter between each two literals, `<path:...>` where so."""
    text = f"/t{literals[0]}"
    for name, path, literal in zip(NAMES, paths, literals[1:], strict=False):
        text += f"<path:{name}>{literal}" if path else f"<{name}>{literal}"
    return text


def pieces(alphabet: str, *, least: int = 0) -> st.SearchStrategy[tuple[list[str], list[bool]]]:
    """Return literals of *alphabet*, and what stands between them."""
    return st.lists(st.booleans(), min_size=1, max_size=4).flatmap(
        lambda paths: st.tuples(
            st.tuples(
                st.text(alphabet, max_size=2),
                *(st.text(alphabet, min_size=least, max_size=2) for _ in paths[1:]),
                st.text(alphabet, max_size=2),
            ).map(list),
            st.just(paths),
        )
    )


@given(pieces("/-x"), st.text("/-xy", max_size=12))
def test_a_path_is_split_as_a_greedy_expression_does(
    template: tuple[list[str], list[bool]], rest: str
) -> None:
    literals, paths = template
    expression = re.escape(f"/t{literals[0]}") + "".join(
        ("(.+)" if path else "([^/]+)") + re.escape(literal)
        for path, literal in zip(paths, literals[1:], strict=True)
    )
    match = re.fullmatch(expression, f"/t{rest}", re.DOTALL)
    expected = None if match is None else dict(zip(NAMES, match.groups(), strict=False))
    assert PathTemplate(write(literals, paths)).arguments(f"/t{rest}") == expected


SPLITS = [
    ("<name>.<ext>", "/a.tar.gz", "name='a.tar', ext='gz'"),
    ("report/<year>-<month>-<day>", "/report/2024-01-02", "year='2024', month='01', day='02'"),
    ("<a>-<b>", "/1-2-3", "a='1-2', b='3'"),
    ("<a>-<b>", "/1%2D2-3", "a='1-2', b='3'"),  # an encoded one separates nothing
    ("<path:a>/<b>", "/1/2/3", "a='1/2', b='3'"),
    ("<a>/<path:b>", "/1/2/3", "a='1', b='2/3'"),
    ("<path:a>/x/<path:b>", "/1/x/2/x/3", "a='1/x/2', b='3'"),
    ("<a>-<int:b>", "/1--2", "a='1-', b=2"),  # not -2: converters choose no split
]


@pytest.mark.gen_test
@pytest.mark.parametrize(("template", "path", "answer"), SPLITS)
async def test_the_first_parameter_takes_the_most(
    serve: Serve, template: str, path: str, answer: str
) -> None:
    response = await serve(Group("/", Route(template, Echo))).fetch(path)
    assert (response.code, response.body.decode()) == (200, answer)


@pytest.mark.gen_test
async def test_a_split_that_does_not_convert_is_not_found(serve: Serve) -> None:
    site = serve(Group("/", Route("<name>-<int:id>", Echo)))
    assert (await site.fetch("/a-5")).body == b"name='a', id=5"
    assert (await site.fetch("/a-5-b")).code == 404


def templates(count: int) -> list[str]:
    """Return templates that no hand would write, the same ones each time."""
    choose = random.Random(11)
    found = ["/report/<a>-<b>-<c>", "/<a>.<b>", "/<path:a>/x/<path:b>/x/<path:c>/y"]
    while len(found) < count:
        paths = [choose.random() < 0.4 for _ in range(choose.randint(2, 4))]
        literals = ["".join(choose.choices("/-,x", k=choose.randint(0, 2))) for _ in [0, *paths]]
        found.append(write(literals, paths))
    return found


def hostile(template: PathTemplate, length: int) -> list[str]:
    """Return paths of this length that repeat what the template looks for, and then fail it."""
    start = template.template.partition("<")[0]
    literals = re.split("<[^>]*>", template.template)[1:]
    units = {"-", "/", ",", "x", "-/", "x/", *filter(None, literals), f"y{'y'.join(literals)}"}
    return [
        f"{start}{unit * (length // len(unit))}{end}" for unit in sorted(units) for end in "/!-"
    ]


def seconds(template: PathTemplate, paths: list[str]) -> float:
    """Return the least processor time that matching took, of three times."""
    times = []
    for _ in range(3):
        start = time.process_time()
        for path in paths:
            template.arguments(path)
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize("text", templates(40))
def test_matching_takes_time_linear_in_the_path(text: str) -> None:
    """Four times the path takes four times as long; squared it would be 16 times."""
    template = PathTemplate(text)
    once = seconds(template, hostile(template, 1000))
    assert seconds(template, hostile(template, 4000)) < 8 * once + 0.005


@pytest.mark.gen_test
@pytest.mark.parametrize("path", ["/report/" + "-" * 50_000 + "/", "/" + "a." * 25_000 + "/"])
async def test_a_hostile_path_keeps_nobody_waiting(serve: Serve, path: str) -> None:
    site = serve(
        Group("/", Route("report/<a>-<b>-<c>", Echo), Route("<a>.<b>.<c>", Echo), Route("x", Echo))
    )
    start = time.process_time()
    assert (await site.fetch(path)).code == 404
    assert (await site.fetch("/x")).code == 200
    assert time.process_time() - start < 1


# Which template takes all that another one takes


@given(pieces("/-x"), pieces("/-x"))
def test_a_template_is_covered_only_if_all_its_paths_are(
    first: tuple[list[str], list[bool]], second: tuple[list[str], list[bool]]
) -> None:
    one, other = PathTemplate(write(*first)), PathTemplate(write(*second))
    if one.covers(other):
        values = itertools.product(["y", "-", "y-x", "x/y"], repeat=len(second[1]))
        for texts in values:
            path = f"/t{second[0][0]}" + "".join(
                map("".join, zip(texts, second[0][1:], strict=True))
            )
            if other.arguments(path) is not None:
                assert one.arguments(path) is not None, path


COVERED = [
    ("users/<int:id>/<tab>", "users/<int:id>/me"),
    ("v<int:a>/<b>", "v<int:c>/<int:d>"),
    ("<uuid:a>/<b>", "<uuid:c>/<b>-<d>"),
    ("<path:a>", "<int:b>/<uuid:c>"),
    ("<a>-<b>", "<c>-x-<int:d>"),
]


@pytest.mark.parametrize(("first", "second"), COVERED)
def test_a_route_that_takes_no_more_may_not_come_later(first: str, second: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"/{second} is never reached: ")):
        make_app(Config(Group("/", Route(first, Echo), Route(second, Echo))))


NOT_COVERED = [
    ("<int:a>", "<b>"),
    ("<int:a>", "<uuid:b>"),
    ("<int:a>", "5<int:b>"),
    ("<a>-<uuid:b>", "x-<uuid:c>"),  # splits a UUID at its last dash
    ("<path:a>/<int:b>", "<path:c>"),
    ("<a>/<b>", "<path:c>"),  # takes "x" as well
    ("<a>0", "<b>"),
    ("<a><b>", "<c>"),
    ("<a>-<path:b>", "<path:c>-<path:d>"),
]


@pytest.mark.parametrize(("first", "second"), NOT_COVERED)
def test_a_route_that_takes_more_may_come_later(serve: Serve, first: str, second: str) -> None:
    serve(Group("/", Route(first, Echo), Route(second, Echo)))


# The way back


@given(pieces("/-,", least=1), st.data())
def test_a_reversed_path_leads_back(
    template: tuple[list[str], list[bool]], data: st.DataObject
) -> None:
    matcher = PathTemplate(write(*template))
    values = [
        data.draw(st.text("a-./ é%", min_size=1, max_size=5), label=name)
        for name in matcher.parameters
    ]
    path = matcher.reverse(*values)
    assert matcher.arguments(path) == dict(zip(matcher.parameters, values, strict=True))


@pytest.mark.parametrize(
    ("template", "values"),
    [("/<a>", [""]), ("/<int:a>", ["x"]), ("/<a><b>", ["1", "23"]), ("/<uuid:a>", [7])],
)
def test_a_value_that_no_path_leads_to_is_refused(template: str, values: list[object]) -> None:
    with pytest.raises(ValueError, match="no path leads to"):
        PathTemplate(template).reverse(*values)
