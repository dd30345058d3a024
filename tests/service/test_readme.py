"""What the README and the pages behind it say, done: a transcript, examples, options."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.helpers.process import ROOT, Service, Start, run, starting
from tests.helpers.site import Site

PAGES = ("README.md", "docs/handlers.md")
"""Whose examples are run."""


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language."""
    text = "\n".join((ROOT / page).read_text() for page in PAGES)
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def example(words: str) -> str:
    """Return the one Python block that has these words."""
    (block,) = (block for block in blocks("python") if words in block)
    return block


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


def transcript() -> list[tuple[str, str]]:
    """Return the commands of the README's transcript, each with what it answers."""
    (text,) = blocks("console")
    return re.findall(r"\$ (.+)\n((?:[^$].*\n)*)", text)


def test_the_transcript_is_true(start: Start, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not on PATH")
    service = start("--port=0")
    assert len(transcript()) == 5
    for command, answer in transcript():
        words = command.replace("localhost:8888", f"localhost:{service.port}").split()
        result = subprocess.run(
            [*words, "--silent"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert f"{result.stdout}\n" == answer, command


class Visitor:
    """Keeps the session cookie, as a browser does."""

    def __init__(self, service: Service) -> None:
        self.service, self.cookie = service, ""

    def ask(self, method: str, path: str, **form: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=10)
        headers = {"Cookie": self.cookie, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, path, urlencode(form), headers)
        response = connection.getresponse()
        body = response.read().decode()
        if cookie := response.getheader("Set-Cookie"):
            self.cookie = cookie.partition(";")[0]
        connection.close()
        return body if response.status == 200 else str(response.status)


def test_the_counter_works_when_pasted(start: Start, tmp_path: Path) -> None:
    counter = example("listen(8000)")
    script = tmp_path / "counter.py"
    # Only the port differs, and it is told, for 8000 may be taken.
    served = ".add_sockets(sockets); print('serving on http://localhost:%d' % port, flush=True)"
    head = "from tornado.netutil import bind_sockets\nfrom tornado.httpserver import HTTPServer\n"
    head += "sockets = bind_sockets(0, '127.0.0.1')\nport = sockets[0].getsockname()[1]\n"
    script.write_text(
        head + re.sub(r"(make_app\(.*\))\.listen\(8000\)", rf"HTTPServer(\1){served}", counter)
    )
    visitor = Visitor(start(script=script))
    assert visitor.ask("GET", "/") == "visit 1 of somebody"
    assert visitor.ask("GET", "/") == "visit 2 of somebody"
    assert visitor.ask("POST", "/login", user="ada") == "302"
    assert visitor.ask("GET", "/") == "visit 3 of ada"
    assert visitor.ask("POST", "/login", user="<script>alert(1)</script>") == "302"
    assert visitor.ask("GET", "/") == "visit 1 of &lt;script&gt;alert(1)&lt;/script&gt;"
    assert visitor.ask("POST", "/logout") == "302"
    assert visitor.ask("GET", "/") == "visit 1 of somebody"


@pytest.mark.gen_test
async def test_a_value_has_a_type_of_its_own_as_shown() -> None:
    from tornado.web import RequestHandler

    import app
    from stores import MemoryStore

    names: dict[str, Any] = {"SessionMixin": app.SessionMixin, "RequestHandler": RequestHandler}
    exec(example("class AddToCart"), names)
    routes = app.Group("/", app.Route("add", names["AddToCart"]), sessions=True)
    site = Site(app.make_app(app.Config(routes, app.SessionManager(MemoryStore()))))
    try:
        browser = site.browser()
        bodies = [(await browser.post("/add", {"item": item})).body for item in ("tea", "cup")]
        assert bodies == [b"1 items", b"2 items"]
    finally:
        await site.close()


@pytest.mark.gen_test
async def test_a_handler_of_uploads_raises_its_limits_as_shown() -> None:
    from tornado.web import RequestHandler

    import app
    from stores import MemoryStore

    names: dict[str, Any] = {"SessionMixin": app.SessionMixin, "RequestHandler": RequestHandler}
    exec(example("class Upload"), names)

    class Upload(names["Upload"]):  # type: ignore[valid-type,misc]
        def put(self) -> None:
            self.write("taken")

    routes = app.Group("/", app.Route("upload", Upload), sessions=True)
    application = app.make_app(app.Config(routes, app.SessionManager(MemoryStore())))
    site = Site(application, max_body_size=1000, body_timeout=10)
    try:
        assert (await site.fetch("/upload", method="PUT", body="x" * 50_000)).body == b"taken"
    finally:
        await site.close()


def test_the_groups_are_declared_as_shown() -> None:
    from tornado.web import RequestHandler

    import app
    from stores import MemoryStore

    class Page(app.SessionMixin, RequestHandler):
        def get(self, **arguments: object) -> None: ...

    def manager(_: object) -> app.SessionManager:
        return app.SessionManager(MemoryStore(), cookie=app.Cookie("admin"))

    pages = dict.fromkeys(("About", "Cart", "Orders", "Password", "Feed", "Admin"), Page)
    names = {"Group": app.Group, "Route": app.Route, "SessionManager": manager, **pages}
    names["timedelta"] = timedelta
    routes = eval(example('Group("admin"'), names)
    application = app.make_app(app.Config(routes, app.SessionManager(MemoryStore())))
    flags = {
        e.path: (
            *(e.policy.manager is not None, e.policy.authenticated, e.policy.read_only),
            e.policy.fresh,
        )
        for e in application.endpoints
    }
    assert flags == {
        "/about": (False, False, False, None),
        "/shop/cart/<int:item>": (True, False, False, None),
        "/account/orders": (True, True, False, None),
        "/account/password": (True, True, False, timedelta(minutes=15)),
        "/feed/<path:rest>": (True, False, True, None),
        "/admin": (True, False, False, None),
    }


def test_a_handler_is_tested_as_shown(tmp_path: Path) -> None:
    (tmp_path / "test_name.py").write_text(example("class TestName"))
    command = [sys.executable, "-m", "unittest", "test_name"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "Ran 1 test" in result.stderr


def test_the_store_is_swapped_as_shown(start: Start, tmp_path: Path) -> None:
    shown = example("def configure(")
    original = (ROOT / "configure.py").read_text()
    configured, _, _ = original.partition("def configure(")
    for name in ("main.py", "app", "handlers", "stores"):
        (tmp_path / name).symlink_to(ROOT / name)
    # The program's own folder comes first on its path: a copy stands for an edited checkout.
    (tmp_path / "configure.py").write_text(configured + shown)
    (tmp_path / "main.py").unlink()
    shutil.copy(ROOT / "main.py", tmp_path / "main.py")
    service = start("--port=0", script=tmp_path / "main.py", PYTHONPATH=str(tmp_path))
    service.wait_for("sessions in mongodb://localhost/myapp")
    assert 'cookie=Cookie(name="__Host-session")' in shown


@pytest.mark.gen_test
async def test_devices_are_listed_and_ended_as_shown() -> None:
    from tornado.web import RequestHandler

    import app
    from stores import MemoryStore

    names: dict[str, Any] = {"SessionMixin": app.SessionMixin, "RequestHandler": RequestHandler}
    exec(example("class Devices"), names)
    route = app.Route("devices", names["Devices"])
    routes = app.Group("/", route, sessions=True, authenticated=True)
    config = app.Config(routes, app.SessionManager(MemoryStore()))
    async with Site(config) as site:
        laptop, phone, tablet = (site.browser() for _ in range(3))
        for browser in (laptop, phone, tablet):
            await browser.sign_in("ada")
        lines = (await laptop.text("/devices")).splitlines()
        assert sorted(line.rpartition(" ")[2] for line in lines) == ["False", "False", "True"]
        (of_phone,) = (
            line for line in (await phone.text("/devices")).splitlines() if "True" in line
        )
        await laptop.post("/devices", form={"id": of_phone.split()[0]})
        assert (await phone.get("/devices")).code == 401
        assert (await laptop.get("/devices", method="DELETE")).code == 200
        assert (await tablet.get("/devices")).code == 401
        assert (await laptop.get("/devices")).code == 200


def test_every_option_is_there_with_its_default() -> None:
    shown = re.sub(r"\s+", " ", run("--help").stdout)
    page = (ROOT / "docs" / "service.md").read_text()
    rows = re.findall(r"^\| (`--.*?) \| (.*?) \|", page, re.MULTILINE)
    listed = [(re.findall(r"`--([\w-]+)`", options), default) for options, default in rows]
    assert sum(len(options) for options, _ in listed) > 10
    for options, default in listed:
        for option in options:
            entry = re.search(rf" --{option}\b.*?(?= --[a-z]|$)", shown)
            assert entry, option
            if default.isdigit() or "`" in default:
                assert f"(default {default.strip('`')})" in entry[0]
            if default in ("off", "none"):
                told = "(default false)" if default == "off" else "(default"
                assert (told in entry[0]) == (default == "off"), option
    (own,) = re.findall(r"Service options: (.*) Tornado options:", shown)
    assert (
        set(re.findall(r" --([\w-]+)", own)) - {o for options, _ in listed for o in options}
        == set()
    )
