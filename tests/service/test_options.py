"""Where options come from: the command line, the environment, files; and what is said of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.process import ROOT, Start, run, run_script, starting, with_configure

PASSWORD = "hunter2"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "service.conf"


def listed(*arguments: str, **variables: str) -> dict[str, tuple[str, str]]:
    """Return value and origin of each option, as `main.py options` prints them."""
    result = run(*arguments, "options", **variables)
    assert (result.returncode, result.stderr) == (0, "")
    head, *lines = result.stdout.splitlines()
    value, origin = head.index("VALUE"), head.index("FROM")
    return {line[2:value].rstrip(): (line[value:origin].rstrip(), line[origin:]) for line in lines}


def refused(*arguments: str, **variables: str) -> str:
    result = run(*arguments, "options", **variables)
    assert result.returncode == 2, result.stdout
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def test_the_command_line_then_the_environment_then_the_file(config: Path) -> None:
    config.write_text("port = 1\naddress = 'file'\nprocesses = 3\n")
    options = listed("--port=5", f"--config={config}", SERVICE_PORT="4", SERVICE_ADDRESS="variable")
    assert options["port"] == ("5", "command line")
    assert options["address"] == ("variable", "SERVICE_ADDRESS")
    assert options["processes"] == ("3", str(config))
    assert options["xheaders"] == ("false", "default")


@pytest.mark.parametrize(
    ("variables", "option", "shown"),
    [
        ({"PORT": "1"}, "port", ("1", "PORT")),
        ({"PORT": "1", "SERVICE_PORT": "2"}, "port", ("2", "SERVICE_PORT")),
        ({"SESSION_STORE": "sqlite:///f"}, "store", ("sqlite:///f", "SESSION_STORE")),
        ({"SERVICE_STORE": "sqlite:///f"}, "store", ("sqlite:///f", "SERVICE_STORE")),
        ({"SERVICE_LOG_FILE_PREFIX": "/dev/null"}, "log-file-prefix", ("/dev/null", None)),
        ({"SERVICE_BODY_TIMEOUT": "5"}, "body-timeout", ("5", "SERVICE_BODY_TIMEOUT")),
        ({"SERVICE_SESSION_LIFETIME": "90m"}, "session-lifetime", ("1h30m", None)),
        ({"SERVICE_DEBUG": "No"}, "debug", ("false", "SERVICE_DEBUG")),
        ({"SERVICE_DEBUG": "yes"}, "debug", ("true", "SERVICE_DEBUG")),
        ({"PORT": "", "SERVICE_PORT": ""}, "port", ("8888", "default")),
        ({"SESSION_STORE": "", "SESSION_STORE_FILE": ""}, "store", ("memory:", "default")),
    ],
)
def test_a_variable_gives_an_option(
    variables: dict[str, str], option: str, shown: tuple[str, str | None]
) -> None:
    value, origin = listed(**variables)[option]
    assert value == shown[0]
    assert origin == shown[1] or (shown[1] is None and origin in variables)


@pytest.mark.parametrize("content", ["sqlite:///a b", "sqlite:///a b\n", "sqlite:///a b\r\n"])
def test_a_variable_may_name_a_file_with_the_value(tmp_path: Path, content: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(content.encode())
    shown = ("sqlite:///a b", f"SESSION_STORE_FILE ({secret})")
    assert listed(SESSION_STORE_FILE=str(secret))["store"] == shown


def test_only_the_last_newline_is_no_part_of_the_value(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a\n\n")
    assert listed(SERVICE_ADDRESS_FILE=str(secret))["address"][0] == r"a\n"


def test_the_file_of_a_variable_is_refused_in_words(tmp_path: Path) -> None:
    absent, empty, binary = tmp_path / "absent", tmp_path / "empty", tmp_path / "binary"
    empty.write_text("\n")
    binary.write_bytes(b"\xff" + PASSWORD.encode())
    for file, text in (
        (absent, "No such file"),
        (tmp_path, "Is a directory"),
        (empty, "is empty"),
        (binary, "not text in UTF-8"),
    ):
        line = refused(SESSION_STORE_FILE=str(file))
        assert f"SESSION_STORE_FILE names {file}" in line
        assert text in line
        assert PASSWORD not in line
    binary.write_text(PASSWORD)
    line = refused(SESSION_STORE_FILE=str(binary), SESSION_STORE="memory:")
    assert "SESSION_STORE and SESSION_STORE_FILE are both set" in line
    line = refused(SERVICE_PORT_FILE=str(binary))
    assert f"bad value: SERVICE_PORT_FILE ({binary}); it takes a whole number" in line
    assert PASSWORD not in line
    line = refused(SERVICE_CONFIG_FILE=str(binary))
    assert "write SERVICE_CONFIG, which names the file itself" in line


FILE = """
from datetime import timedelta
import os
workers = 4  # no option, and like none
port = 9000
body_timeout = 5
debug = True
session_idle_timeout = "15m"
session_lifetime = timedelta(hours=3)
store = "mongodb://ada:" + "hunter" + "2@localhost/" + os.path.basename(__file__)
"""


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_file_gives_options_as_tornado_has_it(config: Path, by: str) -> None:
    config.write_text(FILE)
    given = listed(f"--config={config}") if by == "option" else listed(SERVICE_CONFIG=str(config))
    for name, value in {
        "port": "9000",
        "body-timeout": "5",
        "debug": "true",
        "session-idle-timeout": "15m",
        "session-lifetime": "3h",
        "store": "mongodb://***@localhost/service.conf",
    }.items():
        assert given[name] == (value, str(config))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("port = 'x'", "bad value: port = 'x' in {}; it takes a whole number"),
        ("port = 1.5", "bad value: port = 1.5 in {}"),
        ("port = True", "bad value: port = True in {}"),
        ("debug = 1.5", "bad value: debug = 1.5 in {}; it takes true or false"),
        ("store = ['hunter2']", "bad value: store in {}; it takes a text"),
        ("session_lifetime = 'soon'", "it takes a length of time: 90s, 15m, 12h or 1d"),
        ("port = ", "{}, line 1: invalid syntax"),
        ("\nport = int('x')", "{}, line 2: ValueError: invalid literal"),
        ("import no.such.module", "{}, line 1: ModuleNotFoundError"),
        ("open('/no/such/file')", "{}, line 1: FileNotFoundError"),
    ],
)
def test_a_bad_file_is_one_line(config: Path, content: str, text: str) -> None:
    config.write_text(content)
    line = refused(f"--config={config}")
    assert text.format(config) in line
    assert PASSWORD not in line


def test_a_file_that_is_not_there_is_one_line(config: Path) -> None:
    assert refused(f"--config={config}") == f"main.py: --config={config}: {NO_FILE}\n"
    assert refused(SERVICE_CONFIG=str(config)) == f"main.py: SERVICE_CONFIG={config}: {NO_FILE}\n"


NO_FILE = "No such file or directory"


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"SERVICE_PORT": "x"}, "bad value: SERVICE_PORT=x; it takes a whole number"),
        ({"PORT": "tcp://10.0.0.1:80"}, "bad value: PORT=tcp://10.0.0.1:80;"),
        ({"PORT": "a://b:hunter2@c"}, "bad value: PORT=a://***@c;"),
        ({"PORT": "1\n2\x9b"}, r"bad value: PORT=1\n2\x9b;"),
        ({"SERVICE_DEBUG": "maybe"}, "bad value: SERVICE_DEBUG=maybe; it takes true or false"),
        ({"SERVICE_LOGGING": "loud"}, "SERVICE_LOGGING=loud is none of debug, info"),
        ({"SERVICE_LOG_FORMAT": "xml"}, "SERVICE_LOG_FORMAT=xml is none of text, json"),
    ],
)
def test_a_bad_value_says_which_variable(variables: dict[str, str], text: str) -> None:
    line = refused(**variables)
    assert text in line
    assert PASSWORD not in line


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"PORT": "70000"}, "PORT=70000 is not a port"),
        ({"SERVICE_BODY_TIMEOUT": "0"}, "SERVICE_BODY_TIMEOUT takes 0.1 or more"),
        ({"SERVICE_PROCESSES": "2"}, "SERVICE_PROCESSES=2 needs a store"),
        ({"SESSION_STORE": "a://hunter2"}, "(configure() has --store from SESSION_STORE)"),
        ({"SERVICE_SESSION_LIFETIME": "500d"}, "--session-lifetime from SERVICE_SESSION_LIFETIME"),
        ({"SERVICE_SESSION_COOKIE": "a b"}, "--session-cookie from SERVICE_SESSION_COOKIE"),
    ],
)
def test_a_value_that_cannot_work_says_so_too(variables: dict[str, str], text: str) -> None:
    result = run(**variables)
    assert result.returncode == 2
    assert text in result.stderr
    assert result.stderr.count("\n") == 1
    assert PASSWORD not in result.stderr


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("mongodb://ada:hunter2@one,two/db", "mongodb://***@one,two/db"),
        ("redis://:hunter2@host", "redis://***@host"),
        ("mongodb://ada:hunter2/x@y@host/db", "mongodb://***@host/db"),
        ("mongodb://ada:hunter2?x#y@host/db", "mongodb://***@host/db"),
        ("redis://host?password=hunter2&db=1", "redis://host?password=***&db=1"),
        (
            "mongodb://host/?authMechanismProperties=AWS_SESSION_TOKEN:hunter2",
            "mongodb://host/?authMechanismProperties=***",
        ),
        ("mongodb://h/?tlsCertificateKeyFilePassword=hunter2", None),
        ("hunter2", "(hidden)"),
        ("ada:hunter2@host/db", "(hidden)"),
    ],
)
def test_options_shows_no_password(value: str, shown: str | None) -> None:
    result = run("options", SESSION_STORE=value)
    assert PASSWORD not in result.stdout + result.stderr
    if shown is not None:
        assert listed(SESSION_STORE=value)["store"] == (shown, "SESSION_STORE")


OWN = """
from app import Config, Group, SessionManager
from app.options import define
from stores import MemoryStore
define("api_key", default="", help="of the shop", group="shop")
define("shop_url", default="", metavar="URL")

def configure(options):
    print("key", options.api_key)
    return Config(Group("/"), SessionManager(MemoryStore()))
"""


def test_configure_may_have_options_of_its_own(tmp_path: Path) -> None:
    script = with_configure(tmp_path, OWN)
    variables = {"SERVICE_API_KEY": PASSWORD, "SERVICE_SHOP_URL": "https://a:hunter2@host"}
    assert f"key {PASSWORD}" in run_script(script, "routes", **variables).stdout
    table = run_script(script, "options", **variables).stdout
    assert re.search(r"--api-key +\(hidden\) +SERVICE_API_KEY\n", table)
    assert re.search(r"--shop-url +https://\*\*\*@host +SERVICE_SHOP_URL\n", table)
    text = run_script(script, "--help").stdout
    assert re.search(r"Shop options:\n\n  --api-key +of the shop\n", text)


@pytest.mark.parametrize(
    ("by", "what"), [("variable", "SESSION_STORE"), ("option", "--store"), ("none", "")]
)
def test_a_store_that_configure_leaves_unread_is_told(
    start: Start, tmp_path: Path, by: str, what: str
) -> None:
    script = with_configure(tmp_path, OWN)
    arguments = ["--store=sqlite:///f"] if by == "option" else []
    variables = {"SESSION_STORE": "sqlite:///f"} if by == "variable" else {}
    output = start("--port=0", *arguments, script=script, **variables).output
    told = [line for line in output.splitlines() if "is not used" in line]
    assert len(told) == bool(what)
    assert all(f"{what} is not used: configure() does not read options.store" in t for t in told)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("SERVICE_PROT", "the variable SERVICE_PROT is no option; did you mean SERVICE_PORT?"),
        ("SERVICE_BODYTIMEOUT", "did you mean SERVICE_BODY_TIMEOUT?"),
        ("SERVICE_XYZ", "the variable SERVICE_XYZ is no option; see main.py options"),
        ("SERVICES", ""),
        ("SERVICE_PORT", ""),
    ],
)
def test_an_unknown_variable_is_told_with_the_nearest(variable: str, text: str) -> None:
    result = run("options", **{variable: "1"})
    assert result.returncode == 0
    assert text in result.stderr
    assert result.stderr.count("\n") == bool(text)


def test_a_name_in_the_file_that_is_nearly_an_option_is_told(config: Path) -> None:
    config.write_text("prot = 9000\n_port_ = 1\ndef ports(): ...\n")
    result = run("options", f"--config={config}")
    assert result.returncode == 0
    assert result.stderr.count("\n") == 1
    assert f"prot in {config} is no option; did you mean port?" in result.stderr


def test_what_environments_differ_in_is_no_second_configure(start: Start) -> None:
    service = start(
        "--port=0",
        "--session-lifetime=1h",
        SERVICE_SESSION_COOKIE="staging",
        SERVICE_SESSION_MAX_BYTES="20",
    )
    cookie = service.get("/sessions/set/Ada").headers["Set-Cookie"]
    assert re.match(r"staging=[\w-]+; Max-Age=3600;", cookie)
    assert service.get("/sessions/set/far-too-long-a-name").status == 413


def test_help_names_every_option_of_the_service_once() -> None:
    text = run("--help").stdout
    for name in listed():
        assert len(re.findall(rf"^  --{name}\b[ =\n]", text, re.MULTILINE)) == 1, name


def test_configure_reads_every_option_of_its_group() -> None:
    """Else the service would say of its own `configure.py` that an option is not used."""
    text = (ROOT / "configure.py").read_text()
    session = [name for name in listed() if name.startswith("session-") or name == "store"]
    assert len(session) == 8
    assert all(f"options.{name.replace('-', '_')}" in text for name in session)
