"""`main.py sessions` as a process: its words, pipes that close, Ctrl-C, questions at a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.operating.operations import OPERATIONS, SESSIONS
from app.option_sources import OptionError
from tests.helpers.operator import NO_ORIGINS, Operator
from tests.helpers.process import PATIENCE, ROOT, environment, run, run_script, with_configure
from tests.helpers.records import make_record

ID = "-Zq3J9vQxO0Zb6y8m1n2aA"

# Words


def parsed(line: list[str]) -> tuple[list[str], list[str], dict[str, str]]:
    """Return the service's options, and the words and flags of the command."""
    options, rest = SESSIONS.split(line)
    _, request = SESSIONS.parse(rest, NO_ORIGINS)
    return options, list(request.words), dict(request.flags)


@pytest.mark.parametrize(
    ("line", "options", "words", "flags"),
    [
        ("count --exact", "", "", {"exact": ""}),
        ("list --user ada --json", "", "", {"user": "ada", "json": ""}),
        ("list --json --user=ada=b", "", "", {"user": "ada=b", "json": ""}),
        ("list --user --json", "", "", {"user": "--json"}),
        ("--store=sqlite:///x count --debug", "--store=sqlite:///x --debug", "", {}),
        (f"show {ID}", "", ID, {}),
        (f"end --yes {ID} --cookie a", "", ID, {"yes": "", "cookie": "a"}),
        (f"end -- {ID}", "", ID, {}),
    ],
)
def test_words_are_told_apart(line: str, options: str, words: str, flags: dict[str, str]) -> None:
    """An id may begin as a flag does; a value may be a word of its own."""
    assert parsed(line.split()) == (options.split(), words.split(), flags)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("", "write sessions and a command; there is: count, list"),
        ("cuont", "did you mean count?"),
        ("count --json", "sessions count takes no --json; it takes --exact, --cookie"),
        ("list --usr=ada", "unknown option --usr of sessions; did you mean --user?"),
        ("list --stroe=x", "unknown option --stroe of sessions; did you mean --store?"),
        ("list -v", "unknown option -v of sessions"),
        ("list --user", "write --user=USER"),
        ("list --user=", "--user of sessions list needs a value"),
        ("list --json=yes", "--json of sessions list takes no value"),
        ("sweep now", "sessions sweep takes no words"),
        ("show", "write sessions show ID"),
        (f"show {ID} {ID}", "too many words: write sessions show ID"),
    ],
)
def test_wrong_words_are_one_sentence(line: str, text: str) -> None:
    with pytest.raises(OptionError) as caught:
        parsed(line.split())
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_help_names_each_command_and_flag() -> None:
    page = SESSIONS.help([])
    for name, operation in OPERATIONS.items():
        assert f"main.py [OPTIONS] sessions {name}" in page
        assert all(f"--{flag}" in page for flag in operation.all_flags)
        assert all(len(line) <= 100 for line in page.splitlines())
    assert "sessions sweep" not in SESSIONS.help(["list", "--help"])


def test_help_and_mistakes_reach_their_caller() -> None:
    page = run("sessions", "--help")
    assert (page.returncode, page.stderr) == (0, "")
    assert page.stdout == f"{SESSIONS.help([])}\n"
    wrong = run("--store=memory:", "sessions", "list", "--nope")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("main.py: unknown option --nope of sessions")


def test_a_store_in_the_services_memory_is_told() -> None:
    result = run("sessions", "count")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "in the process that serves, where no command can see them" in result.stderr


# Pipes, Ctrl-C, terminals


@pytest.fixture
def filled(sqlite_operator: Operator) -> str:
    """The URL of a database with 3,000 sessions."""
    sqlite_operator.put(*(make_record(data={"n": n}) for n in range(3000)))
    return sqlite_operator.make().name


def command(url: str, *words: str) -> list[str]:
    return [sys.executable, str(ROOT / "main.py"), f"--store={url}", "sessions", *words]


def test_a_pipe_that_closes_ends_it_quietly(filled: str) -> None:
    with subprocess.Popen(
        command(filled, "list"),
        cwd=ROOT,
        env=environment(PYTHONUNBUFFERED=""),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"ID ")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE) == 141


def test_an_answer_that_cannot_be_written_is_told(filled: str) -> None:
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            command(filled, "list"),
            cwd=ROOT,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    assert result.returncode == 2
    assert result.stderr == "main.py: the answer cannot be written: No space left on device\n"


SLOW = """
import asyncio

from app import Config, Group, Route, SessionManager
from handlers.sessions import GetName
from stores import MemoryStore
from stores.contract import Create
from tests.helpers.records import make_record

class Slow(MemoryStore):
    shared = True

    async def open(self):
        await self.write([Create(make_record()) for _ in range(600)])

    async def scan(self, after=None, limit=500):
        if after is not None:
            print("waiting", flush=True)
            await asyncio.sleep(60)
        return await super().scan(after, limit)

def configure(options):
    manager = SessionManager(Slow())
    return Config(Group("/", Route("get", GetName), sessions=True), manager)
"""


def test_ctrl_c_says_what_was_done(tmp_path: Path) -> None:
    script = with_configure(tmp_path, SLOW)
    with subprocess.Popen(
        [sys.executable, str(script), "sessions", "end", "--all", "--yes"],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert errors == "main.py: stopped: 500 sessions ended; the same command ends the rest\n"


class Terminal:
    """A process at a terminal of its own."""

    def __init__(self, words: list[str], **variables: str) -> None:
        self.text = ""
        self.fd, other_end = pty.openpty()
        termios.tcsetwinsize(other_end, (24, 80))
        self.process = subprocess.Popen(
            words,
            cwd=ROOT,
            env=environment(**variables),
            stdin=other_end,
            stdout=other_end,
            stderr=other_end,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(other_end)

    def read(self) -> bool:
        """Read what comes soon; return whether the process may write more."""
        if select.select([self.fd], [], [], 0.05)[0]:
            try:
                self.text += os.read(self.fd, 4096).decode()
            except OSError:  # it has ended
                return False
        return True

    def wait_for(self, text: str) -> None:
        """Return when the process has written *text*."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.text and self.read():
            assert time.monotonic() < deadline, self.text
        assert text in self.text, self.text

    def write(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def status(self) -> int:
        """Return the exit status, which must come in time."""
        deadline = time.monotonic() + PATIENCE
        while self.read():
            assert time.monotonic() < deadline, self.text
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.fd)


@pytest.fixture
def terminal(filled: str) -> Iterator[Terminal]:
    """`sessions end --all` at a terminal, which asks."""
    terminal = Terminal(command(filled, "end", "--all"))
    try:
        terminal.wait_for("[y/N] ")
        yield terminal
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        ("y\n", 0, "3000 sessions ended"),
        ("\n", 1, "nothing was ended"),
        ("\x03", 130, "stopped: nothing was changed"),
    ],
    ids=["yes", "no", "ctrl-c"],
)
def test_at_a_terminal_it_asks(terminal: Terminal, answer: str, status: int, text: str) -> None:
    assert "End all sessions in sqlite:" in terminal.text
    assert "about 3000 records" in terminal.text
    terminal.write(answer)
    assert terminal.status() == status
    terminal.wait_for(text)
    assert "Traceback" not in terminal.text


def test_a_bar_is_shown_where_tqdm_is_there(filled: str, tmp_path: Path) -> None:
    (tmp_path / "tqdm.py").write_text("raise ImportError('tqdm')\n")
    without = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    for variables, is_shown in (({}, True), (without, False)):
        terminal = Terminal(command(filled, "count", "--exact"), **variables)
        try:
            assert terminal.status() == 0
            assert "3000 sessions" in terminal.text
            assert ("/3000 [" in terminal.text) is is_shown
        finally:
            terminal.close()


def test_a_script_of_ones_own_has_the_commands(tmp_path: Path) -> None:
    """A `configure.py` that cannot be imported is one sentence here, too."""
    script = with_configure(tmp_path, "import nothing_of_this_name\n")
    result = run_script(script, "sessions", "count")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
