"""The files of deploy/: checked by their own programs, and the container's steps in a folder."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from tests.helpers.container import Steps
from tests.helpers.deployed import DEPLOY, HAProxy, Nginx, Proxy
from tests.helpers.process import PATIENCE, ROOT, Start, ask, run, starting, until
from tests.helpers.servers import find, free_port, missing

PROGRAM = "/opt/sessions/.venv/bin/python"
"""What the unit runs, where it is installed."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.fixture(params=[Nginx, HAProxy])
def kind(request: pytest.FixtureRequest) -> type[Proxy]:
    proxy: type[Proxy] = request.param
    if reason := missing(proxy.program, "openssl"):
        pytest.skip(reason)
    return proxy


def test_systemd_finds_no_mistake_in_the_units(tmp_path: Path) -> None:
    if reason := missing("systemd-analyze"):
        pytest.skip(reason)
    units = []
    for suffix in ("socket", "service"):
        text = (DEPLOY / f"sessions@.{suffix}").read_text().replace(PROGRAM, sys.executable)
        units.append(tmp_path / f"sessions@8801.{suffix}")
        units[-1].write_text(text)
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_the_proxies_find_no_mistake_in_their_files(kind: type[Proxy], tmp_path: Path) -> None:
    proxy = kind(tmp_path / "proxy", [free_port(), free_port()])
    try:
        said = proxy.check(*{Nginx: ["-t"], HAProxy: ["-c"]}[kind])
    finally:
        proxy.kill()
    assert "warn" not in said.lower()


def test_compose_finds_no_mistake_in_its_file(tmp_path: Path) -> None:
    if reason := missing("docker-compose"):
        pytest.skip(reason)
    result = subprocess.run(
        ["docker-compose", "--file", DEPLOY / "compose.yaml", "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_what_compose_runs_is_understood_by_the_service() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    (options,) = re.findall(r'command: (\["--port.*\])', text)
    (store,) = re.findall(r"SESSION_STORE: (.*)", text)
    result = run(*json.loads(options), "routes", SESSION_STORE=store)
    assert result.returncode == 0, result.stderr
    for member in (1, 2, 3):
        assert f"mongo-{member}:27017" in text
        assert f"mongo-{member}" in store
    assert "--replSet" in text
    assert "replicaSet=rs" in store


def test_the_proxy_of_compose_makes_its_configuration(tmp_path: Path) -> None:
    """Its command runs in a plain folder, with the backends' names replaced by addresses."""
    if reason := missing("nginx", "openssl"):
        pytest.skip(reason)
    Nginx(tmp_path, [free_port(), free_port()]).kill()  # for its certificate
    (command,) = re.findall(
        r"- >-\n( +cd .*?)\n    volumes:", (DEPLOY / "compose.yaml").read_text(), re.DOTALL
    )
    shutil.copy(DEPLOY / "nginx.conf", tmp_path)
    command = re.sub(r"\s+", " ", command).replace("/etc/nginx/sessions", str(tmp_path))
    assert command.count("exec nginx") == 1
    for n in (1, 2):
        assert f"backend-{n}:8888" in command
        command = command.replace(f"backend-{n}:8888", f"127.0.0.2:{n}")
    checked = command.replace("exec nginx", f"exec {find('nginx')} -t")
    result = subprocess.run(["sh", "-c", checked], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    made = (tmp_path / "run/nginx.conf").read_text()
    assert "127.0.0.1:" not in made
    assert "server 127.0.0.2:1;" in made


def test_no_file_knows_the_machine_that_it_was_written_on() -> None:
    for file in DEPLOY.iterdir():
        assert str(ROOT) not in file.read_text()
        assert str(Path.home()) not in file.read_text()


# Through the proxies


@pytest.fixture
def behind(kind: type[Proxy], start: Start, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy before two backends, which are set as in the unit."""
    script = tmp_path / "service.py"
    script.write_text(SERVICE)
    unit = (DEPLOY / "sessions@.service").read_text()
    (options,) = re.findall(r"^ExecStart=.* main\.py (.*)", unit, re.MULTILINE)
    ports = [free_port(), free_port()]
    for port in ports:
        start(f"--port={port}", "--address=127.0.0.1", *options.split(), script=script)
    proxy = kind(tmp_path / "proxy", ports)
    yield proxy
    proxy.kill()


SERVICE = f'''
"""The service, with a WebSocket besides."""

import sys

sys.path.insert(0, {str(ROOT)!r})

import configure
import main
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from app import Group, Route


class Socket(WebSocketHandler):
    def open(self):
        self.write_message("open")

    def on_message(self, message):
        self.write_message(message)


class Seen(RequestHandler):
    """Answers what the service knows of the client."""

    def get(self):
        request = self.request
        self.write({{"host": request.host, "ip": request.remote_ip, "scheme": request.protocol}})


configure.ROUTES = Group(
    "/", configure.ROUTES, Route("socket", Socket), Route("seen", Seen)
)
main.main()
'''


def test_a_browsers_own_address_host_and_scheme_arrive(behind: Proxy) -> None:
    with contextlib.closing(behind.connect()) as connection:
        connection.request("GET", "/seen", headers={"X-Forwarded-For": "1.1.1.1"})
        seen = json.loads(connection.getresponse().read())
        assert seen == {
            "host": f"localhost:{behind.port}",
            "ip": "1.1.1.1",  # for the browser here is on a trusted proxy's address itself
            "scheme": "https",
        }
        answer = ask(connection, "/sessions/set/Ada")
    assert "; Secure" in answer.headers["Set-Cookie"]


def test_http_is_sent_to_https(behind: Proxy) -> None:
    connection = http.client.HTTPConnection("localhost", behind.http_port, timeout=PATIENCE)
    with contextlib.closing(connection):
        answer = ask(connection, "/sessions/get?x=1")
    assert answer.status == 301
    assert re.fullmatch(r"https://localhost(:\d+)?/sessions/get\?x=1", answer.headers["Location"])


def test_readiness_is_not_for_everybody(behind: Proxy) -> None:
    with contextlib.closing(behind.connect()) as connection:
        assert ask(connection, "/readyz").status == 403


@pytest.mark.gen_test(timeout=PATIENCE)
async def test_a_websocket_of_the_same_origin_is_let_through(behind: Proxy) -> None:
    origin = f"https://localhost:{behind.port}"
    request = HTTPRequest(
        f"wss://localhost:{behind.port}/socket",
        ca_certs=str(behind.folder / "authority/ca.pem"),
        headers={"Origin": origin},
    )
    socket = await websocket_connect(request)
    assert await socket.read_message() == "open"
    await socket.write_message("hello")
    assert await socket.read_message() == "hello"
    socket.close()


# The container's steps


@pytest.mark.faults
def test_the_containers_steps_make_a_service(tmp_path: Path) -> None:
    """The steps run where no container can: the folder is the image, and a venv its Python."""
    venv.create(tmp_path / "python", with_pip=True)
    image = tmp_path / "image"
    image.mkdir()
    port = str(free_port())
    steps = Steps(image, tmp_path / "python/bin", {"=8888": f"={port}", ":8888": f":{port}"})
    log = tmp_path / "log"
    with log.open("wb") as output:
        service = subprocess.Popen(
            [*steps.entrypoint, *steps.command],
            cwd=image,
            env=steps.variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        assert steps.run(["python", "-c", "import hypothesis"]).returncode != 0
        until(lambda: steps.run(steps.health).returncode == 0, "the container to be healthy")
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=PATIENCE)
        with contextlib.closing(connection):
            assert ask(connection, "/sessions/set/Ada").body == "Ada"
        service.send_signal(signal.SIGTERM)
        assert service.wait(PATIENCE) == 0, log.read_text()
        assert steps.run(steps.health).returncode != 0
    finally:
        service.kill()
        service.wait()
