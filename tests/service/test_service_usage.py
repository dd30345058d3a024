"""Wrong usage of the command: one line on stderr, exit status 2, no traceback, no password."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from stores import ConfigurationError, open_store
from tests.helpers.process import run


def refused(*arguments: str, **variables: str) -> str:
    """Run main.py, which must refuse; return its one line."""
    result = run(*arguments, **variables)
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.endswith("\n")
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr.rstrip()


USAGE = [
    (["--nope"], "unknown option --nope"),
    (["--nope=1"], "unknown option --nope"),
    (["-x"], "unknown option -x"),
    (["--"], "unknown option"),
    (["--prot=1"], "unknown option --prot; did you mean --port?"),
    (["serve"], "unknown command 'serve'"),
    (["routes", "more"], "unknown command 'routes more'"),
    (["--port=abc"], "bad value"),
    (["--port="], "bad value"),
    (["--port"], "write --port=VALUE"),
    (["--port", "9000"], "write --port=9000"),
    (["--port", "9000", "routes"], "write --port=9000"),
    (["--store", "mongodb://ada:secret@host"], "write --store=URL"),
    (["--debug", "false"], "write --debug=false"),
    (["--debug=maybe"], "bad value: --debug=maybe; it takes true or false"),
    (["--debug="], "bad value: --debug="),
    (["--log-to-stderr=2"], "it takes true or false"),
    (["--session-lifetime=soon"], "it takes a length of time: 90s, 15m, 12h or 1d"),
    (["--session-lifetime="], "bad value"),
    (["--session-idle-timeout=-1d"], "idle_timeout must be a timedelta above zero"),
    (["--session-max-bytes=1"], "max_bytes is 1"),
    (["--session-max-bytes=2097153"], "max_bytes is 2097153: give at most 2097152"),
    (["--session-cookie=a b"], "cookie"),
    (["--log-format=xml"], "--log-format=xml is none of text, json"),
    (["--port=65536"], "--port=65536 is not a port"),
    (["--port=-1"], "--port=-1 is not a port"),
    (["--port=99999999999999999999"], "is not a port"),
    (["--processes=x"], "bad value"),
    (["--processes=-1"], "--processes takes 0"),
    (["--max-body-size=0"], "--max-body-size takes 1 or more"),
    (["--max-body-size=1MB"], "bad value"),
    (["--body-timeout=0"], "--body-timeout takes 0.1 or more"),
    (["--header-timeout=nan"], "--header-timeout takes"),
    (["--keep-alive-timeout=inf"], "--keep-alive-timeout takes"),
    (["--max-connections=-1"], "--max-connections takes 0 or more"),
    (["--logging=loud"], "logging"),
    (["--log-rotate-mode=x", "--log-file-prefix=/dev/null"], "log"),
    (["--address=no such host"], "--address"),
    (["--address=256.1.1.1", "--port=0"], "--address"),
    (["--address=203.0.113.7", "--port=0"], "--address"),  # nobody's, RFC 5737
    (["--address=" + "x" * 300, "--port=0"], "--address"),
    (["--store="], "store's URL must begin with"),
    (["--store=memory:x"], "memory"),
    (["--store=mongodb://", "--port=0"], "not a MongoDB URL"),
    (["--store=mongodb://host/db?tlsCAFile=/no/such/file", "--port=0"], "MongoDB"),
    (["--processes=2"], "needs a store that processes share"),
    (["--processes=0", "--store=memory:"], "needs a store that processes share"),
    (["--processes=2", "--debug", "--store=mongodb://127.0.0.1:1/db"], "--debug"),
]


@pytest.mark.parametrize(("arguments", "text"), USAGE, ids=[" ".join(u[0])[:60] for u in USAGE])
def test_wrong_usage_is_one_line_and_status_2(arguments: list[str], text: str) -> None:
    assert text in refused(*arguments)


BAD_URLS = [
    "",
    "nonsense",
    "hunter2",
    "ftp://ada:hunter2@host/db",
    "postgress://ada:hunter2@host/db",
    "ada:hunter2@host/db",
    "memory://ada:hunter2@host",
    "mongodb:",
    "mongodb://",
    "mongodb://host:port/db",
    "mongodb://host:99999/db",
    "mongodb://[::1/db",
    "mongodb://host/a$b",
    "mongodb://host/db?nope",
    "mongodb://host/db?tls=perhaps",
    "mongodb://host/db?tls=true&tlsCAFile=/no/such/file",
    "mongodb://ada:hunter2@",
    "mongodb://ada:hunter2@host:port/db",
    "mongodb://ada:hunter2@[::1/db",
    "mongodb://ada:hunter2@host/db?x",
    "mongodb://ada:hunter2@extra@host/db",
    "mongodb://ada:hunter2/3@host/db",
    "mongodb://ada:hunter2:x@host/db",
    "mongodb://ada:hunter2%@host/db",
    "mongodb://ada:hunter2?x@host/db",
    "mongodb+srv://",
    "mongodb+srv://one.example,two.example/db",
    "mongodb+srv://ada:hunter2@/db",
    "mongodb+srv://ada:hunter2@localhost:27017/db",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_bad_store_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        open_store(url)
    assert "\n" not in str(raised.value)
    assert "hunter" not in str(raised.value)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    "password", ["hunter2", "hunter2#x", "hunter2%23%40", "hunter2;x", "hunter2,x"]
)
def test_the_stores_name_never_holds_the_password(password: str) -> None:
    store = open_store(f"mongodb://ada:{password}@one.example,two.example:27018/app?tls=true")
    assert store.name == "mongodb://one.example,two.example:27018/app"
    assert "hunter" not in repr(store)


@pytest.mark.parametrize("url", ["mongodb://ada:hunter2@host:port/db", "mango://ada:hunter2@host"])
@pytest.mark.parametrize("by", ["option", "variable"])
def test_the_command_refuses_a_bad_url_without_its_password(url: str, by: str) -> None:
    line = refused(f"--store={url}") if by == "option" else refused(SESSION_STORE=url)
    assert "store's URL" in line
    assert "hunter" not in line


@pytest.mark.parametrize("address", ["", "127.0.0.1"])
def test_a_port_in_use_is_one_line_and_status_2(address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(f"--port={port}", f"--address={address}")
    assert f"port {port} on {address or 'all addresses'} is in use" in line
    assert "--port" in line


def test_a_log_file_nobody_can_write_is_one_line_and_status_2(tmp_path: Path) -> None:
    assert "log" in refused(f"--log-file-prefix={tmp_path}/none/such/log", "--port=0")


def test_several_processes_with_memory_are_refused() -> None:
    line = refused("--processes=2")
    assert "'memory'" in line
    assert "each would have sessions of its own" in line
    assert "--store=mongodb://" in line
