"""Errors in `configure.py`: one sentence with file and line; with --debug it waits for the mend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.process import ROOT, Service, Start, run_script, starting, until, with_configure

GOOD = (ROOT / "configure.py").read_text()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.fixture
def start_broken(tmp_path: Path) -> Iterator[Start]:
    """Start a main.py that does not come to serving."""
    services: list[Service] = []

    def begin(*arguments: str, script: Path) -> Service:
        services.append(Service(tmp_path / "log", [str(script), *arguments], {}))
        return services[-1]

    yield begin
    for service in services:
        service.kill()


CONFIG = "from app import Config, Group\ndef configure(options):\n"
WITH_A_TEXT = "import app, stores; app.SessionManager(stores.MemoryStore(), cookie='session')"
ERRORS = [
    ("\n\nx = = 1\n", "configure.py, line 3: invalid syntax"),
    ("import no_such_module\n", "configure.py, line 1: ModuleNotFoundError: No module named"),
    ("from app import Nobody\n", "configure.py, line 1: ImportError"),
    ("\nopen('/no/such/file')\n", "configure.py, line 2: FileNotFoundError"),
    ("x = 1\n", "cannot import name 'configure'"),
    (CONFIG + "    return options.nope\n", "configure.py, line 3: AttributeError"),
    (CONFIG + "    return None\n", "configure() returned NoneType in place of a Config"),
    (CONFIG + "    return Config(Group('/'), None, None)\n", "the settings of Config are None"),
    (CONFIG + "    return Config(Group('/'), setings={})\n", "argument 'setings'"),
    (CONFIG + f"    {WITH_A_TEXT}\n", "cookie is 'session'; write cookie=Cookie("),
    (CONFIG + "    return Config(None)\n", "group /: None is neither a Route nor a Group"),
    (CONFIG + "    raise KeyError('a\\nb')\n", "configure.py, line 3: KeyError: "),
    (CONFIG + "    raise OSError('to mongodb://a:hunter2@b')\n", "OSError: to mongodb://***@b"),
]


@pytest.mark.parametrize(("text", "sentence"), ERRORS, ids=range(len(ERRORS)))
@pytest.mark.parametrize("command", ["", "routes"])
def test_an_error_in_configure_is_one_sentence(
    tmp_path: Path, text: str, sentence: str, command: str
) -> None:
    script = with_configure(tmp_path, text)
    result = run_script(script, *filter(None, [command]))
    assert (result.returncode, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert "hunter2" not in result.stderr


def test_an_error_in_a_handler_is_told_by_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("def total():\n    return 1 / 0\n")
    script = with_configure(tmp_path, f"{GOOD}\nimport shop\n\nshop.total()\n")
    assert "shop.py, line 2: ZeroDivisionError" in run_script(script).stderr


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    script = with_configure(tmp_path, CONFIG + "    return options.nope\n")
    result = run_script(script, "--debug", "routes")
    assert result.returncode == 2
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("main.py: ")


def test_help_and_options_work_beside_a_broken_configure(tmp_path: Path) -> None:
    script = with_configure(tmp_path, "x = = 1\n")
    assert "--session-cookie" in run_script(script, "--help").stdout
    assert run_script(script, "--version").returncode == 0
    assert "--session-cookie" in run_script(script, "options").stdout


def test_an_option_of_a_broken_configure_is_not_blamed(tmp_path: Path) -> None:
    script = with_configure(tmp_path, "x = = 1\n")
    assert "configure.py, line 1: invalid syntax" in run_script(script, "--shop=1").stderr


@pytest.mark.parametrize(
    "broken",
    ["x = = 1\n", CONFIG + "    return options.nope\n", GOOD.replace('"healthz"', '":healthz"')],
    ids=["syntax", "exception", "routes"],
)
def test_debug_waits_for_the_mend_and_serves(
    start_broken: Start, tmp_path: Path, broken: str
) -> None:
    service = start_broken("--debug", "--port=0", script=with_configure(tmp_path, broken))
    service.wait_for("waiting for a change")
    assert "serving on" not in service.output
    mend(service, tmp_path, GOOD, "serving on")
    assert service.get("/healthz").status == 200


def test_debug_survives_a_syntax_error_while_it_serves(start: Start, tmp_path: Path) -> None:
    service = start("--debug", "--port=0", script=with_configure(tmp_path, GOOD))
    mend(service, tmp_path, "x = = 1\n", "waiting for a change")
    mend(service, tmp_path, GOOD, "serving on", times=2)
    assert service.process.poll() is None


def mend(service: Service, folder: Path, text: str, said: str, times: int = 1) -> None:
    """Write *text*, again until it is seen: what changes in the first half second is not."""

    def seen() -> bool:
        if service.output.count(said) >= times:
            return True
        (folder / "configure.py").write_text(text)
        return False

    until(seen, said)


def test_debug_says_what_a_restart_does_to_sessions(start: Start, tmp_path: Path) -> None:
    text = "each restart by --debug signs everybody out"
    assert text in start("--port=0", "--debug").output
    assert text not in start("--port=0").output
    store = f"--store=sqlite:///{tmp_path}/sessions"
    assert text not in start("--port=0", "--debug", store).output
