"""`main.py sessions` over each database: what operators count, list, show, end and sweep."""

from __future__ import annotations

import json
import time
from collections.abc import Container
from dataclasses import replace

import pytest

from app import Config, Cookie, Group, Route
from app.operating import walk
from app.operating.listing import LIST
from app.operating.operation import Request
from app.operating.running import run
from app.option_sources import OptionError
from app.sessions import token
from handlers.sessions import GetName
from stores import SQLStore, Store, StoreUnavailable
from stores.contract import ConfigurationError, Page
from tests.helpers.operator import NO_ORIGINS, Operator
from tests.helpers.records import make_record

FIELDS = ["id", "user", "signed_in", "last_seen", "expires", "agent", "address", "label"]


def test_an_exact_count_tells_sessions_apart(operator: Operator) -> None:
    operator.sign_in("ada", "ada", "bob", None)
    operator.put(make_record(created=1.0, expires=time.time() + 99))  # past its lifetime
    answer = operator("count", "--exact")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.startswith("4 sessions, cookie session in ")
    assert "2 lists of users' sessions, 1 expired and 0 unreadable records" in answer.out


def test_a_count_begins_with_the_number(operator: Operator) -> None:
    operator.sign_in("ada", None)
    (line,) = operator("count").lines
    number, noun = line.split()[:2]
    assert noun in ("record,", "records,")
    assert int(number) == 3 or "an estimate" in line


def test_the_list_has_the_fields_of_a_device(operator: Operator) -> None:
    first, second = operator.sign_in("ada", None, label="laptop")
    answer = operator("list", "--json")
    assert (answer.status, answer.err) == (0, "")
    sessions = {session["id"]: session for session in map(json.loads, answer.lines)}
    assert set(sessions) == {first, second}
    ada, nobody = sessions[first], sessions[second]
    assert list(ada) == list(nobody) == FIELDS
    assert (ada["user"], ada["agent"], ada["address"]) == ("ada", "Browser/1.0", None)
    assert ada["label"] == "laptop"
    assert ada["signed_in"] <= ada["last_seen"] < ada["expires"]
    assert [nobody[name] for name in ("user", "signed_in", "agent", "label")] == [None] * 4


def test_a_users_list_is_that_of_his_devices(operator: Operator) -> None:
    mine = operator.sign_in("ada", "ada", "ada")
    operator.sign_in("bob", None)
    for words in (["--user", "ada"], ["--user=ada"]):
        answer = operator("list", *words, "--json")
        sessions = [json.loads(line) for line in answer.lines]
        assert sorted(session["id"] for session in sessions) == sorted(mine)
        assert sessions == sorted(sessions, key=lambda s: str(s["last_seen"]), reverse=True)
        assert {session["user"] for session in sessions} == {"ada"}
    (head, *rows) = operator("list", "--user", "ada").lines
    assert head.split()[:3] == ["ID", "USER", "SIGNED"]
    assert len(rows) == 3


def test_sessions_are_ended_by_their_ids(operator: Operator) -> None:
    first, second, third = operator.sign_in("ada", "ada", None)
    unknown = token.public_id(token.new_id())
    answer = operator("end", first, third, unknown, "--yes")
    assert answer.status == 1
    assert answer.out == "2 sessions ended\n"
    assert f"there is no live session {unknown}" in answer.err
    assert [json.loads(line)["id"] for line in operator("list", "--json").lines] == [second]
    assert len(operator("list", "--user", "ada", "--json").lines) == 1


def test_a_users_sessions_are_ended_everywhere(operator: Operator) -> None:
    operator.sign_in("ada", "ada")
    (bobs,) = operator.sign_in("bob")
    answer = operator("end", "--user", "ada", "--yes")
    assert (answer.status, answer.out) == (0, "2 sessions ended\n")
    assert [json.loads(line)["id"] for line in operator("list", "--json").lines] == [bobs]


def test_all_sessions_are_ended_and_their_lists(operator: Operator) -> None:
    operator.sign_in("ada", "ada", "bob", None)
    operator.put(*(make_record() for _ in range(1200)))
    answer = operator("end", "--all", "--yes")
    assert (answer.status, answer.out) == (0, "1204 sessions ended\n")
    assert operator("list", "--json").out == ""
    assert operator("list", "--user", "ada").out == ""
    assert operator("count", "--exact").out.startswith("0 sessions")


def test_expired_records_are_swept_where_the_server_does_not(operator: Operator) -> None:
    operator.sign_in("ada")
    dead = [make_record(created=time.time() - 99, expires=time.time() - 9) for _ in range(700)]
    operator.put(*dead)
    answer = operator("sweep")
    assert (answer.status, answer.err) == (0, "")
    by_itself = operator.make().expires_itself
    assert answer.out.startswith("0 removed" if by_itself else "700 expired records removed")
    assert "the server removes" in answer.out or not by_itself
    assert len(operator("list", "--json").lines) == 1


def test_a_session_is_shown_without_its_values(operator: Operator) -> None:
    (id,) = operator.sign_in("ada")
    answer = operator("show", id)
    assert answer.status == 0
    facts = {line[:10].strip(): line[11:] for line in answer.lines}
    assert (facts["id"], facts["user"], facts["agent"]) == (id, "ada", "Browser/1.0")
    assert "  cart  5 bytes" in answer.lines
    assert "[1,2]" not in answer.out
    assert "  cart  5 bytes  [1,2]" in operator("show", id, "--values").lines


def test_a_list_of_a_users_sessions_is_no_session(sqlite_operator: Operator) -> None:
    from app.sessions import user_record

    sqlite_operator.sign_in("ada")
    id = token.public_id(user_record.id_of("ada"))
    assert sqlite_operator("show", id).status == 1
    assert sqlite_operator("end", id, "--yes").status == 1
    assert len(sqlite_operator("list", "--user=ada", "--json").lines) == 1


def test_texts_of_clients_command_no_terminal(sqlite_operator: Operator) -> None:
    sqlite_operator.sign_in("\x1b[31m\u202e\nada", label="\x9b2J")
    for words in (["list"], ["list", "--json"]):
        answer = sqlite_operator(*words)
        assert answer.out.replace("\n", "").isprintable()
        assert len(answer.lines) == (2 if words == ["list"] else 1)
    id = json.loads(sqlite_operator("list", "--json").out)["id"]
    assert sqlite_operator("show", id).out.replace("\n", "").isprintable()


@pytest.mark.parametrize("time_of", ["seen", "authenticated", "rotated", "created", "expires"])
@pytest.mark.parametrize("when", [1e300, -1e18])
def test_a_time_that_is_no_date_is_its_own_records_concern(
    sqlite_operator: Operator, time_of: str, when: float
) -> None:
    """The record cannot be read, others are listed, and it can be removed."""
    (good,) = sqlite_operator.sign_in("ada")
    bad = make_record(**{"user": "mallory", time_of: when})
    sqlite_operator.put(bad)
    answer = sqlite_operator("list", "--json")
    assert [json.loads(line)["id"] for line in answer.lines] == [good]
    answer = sqlite_operator("show", token.public_id(bad.id))
    assert (answer.status, answer.out) == (1, "")
    assert f"cannot be read: its time {time_of} is out of range" in answer.err
    assert "1 unreadable record removed" in (
        sqlite_operator("check", "--remove-unreadable", "--yes").out
    )
    assert sqlite_operator("check").status == 0


def test_an_error_of_another_kind_is_none_of_the_output(sqlite_operator: Operator) -> None:
    """A bug that ends in an `OSError` is not told as a full disk, nor as a closed pipe."""

    async def fail(*_: object) -> int:
        raise BrokenPipeError(32, "of something else")

    (manager,) = sqlite_operator.managers()
    config = Config(Group("/", Route("get", GetName), sessions=manager))
    with pytest.raises(BrokenPipeError):
        run(replace(LIST, run=fail), Request("list", [], {}, NO_ORIGINS), config)


# Several managers


def test_each_managers_sessions_are_named(sqlite_operator: Operator) -> None:
    operator = sqlite_operator
    operator.cookies = (Cookie("shop"), Cookie("staff"))
    operator.one_store = True
    (first,) = operator.sign_in("ada", cookie=0)
    (second,) = operator.sign_in("ada", cookie=1)
    assert operator("count", "--exact").out.startswith("2 sessions, cookies shop, staff in ")
    for cookie, id in (("shop", first), ("staff", second)):
        answer = operator("list", f"--cookie={cookie}", "--json")
        assert [json.loads(line)["id"] for line in answer.lines] == [id]
    with pytest.raises(OptionError, match="without --cookie"):
        operator("end", "--all", "--yes", "--cookie", "shop")
    assert operator("end", "--user=ada", "--cookie=shop", "--yes").out == "1 session ended\n"
    assert operator("end", second, "--yes").out == "1 session ended\n"
    with pytest.raises(OptionError, match="--cookie=nope is no manager's; there is: shop, staff"):
        operator("count", "--cookie=nope")


def test_another_managers_session_is_not_ended_by_its_id(
    sqlite_operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    """What the question counts is what ends, and the audit names its cookie."""
    operator = sqlite_operator
    operator.cookies = (Cookie("shop"), Cookie("staff"))
    operator.one_store = True
    (first,) = operator.sign_in("ada", cookie=0)
    (second,) = operator.sign_in("bob", cookie=1)
    assert "this would end 1 session;" in operator("end", first, second, "--cookie=staff").err
    answer = operator("end", first, second, "--cookie=staff", "--yes")
    assert (answer.status, answer.out) == (1, "1 session ended\n")
    assert answer.err.splitlines() == [f"main.py: there is no live session {first}"]
    (line,) = operator("list", "--json").lines
    assert json.loads(line)["id"] == first
    with caplog.at_level("INFO", "sessions.audit"):
        assert operator("end", "--all", "--yes").out == "1 session ended\n"
    (told,) = [r.getMessage() for r in caplog.records if r.name == "sessions.audit"]
    assert f"revoked: session {first} of the cookie shop," in told


def test_managers_of_two_stores_are_gone_through(sqlite_operator: Operator) -> None:
    operator = sqlite_operator
    operator.cookies = (Cookie("shop"), Cookie("staff"))
    operator.sign_in("ada")
    assert len(operator("count").lines) == 2
    assert all("manager" in json.loads(line) for line in operator("list", "--json").lines)


# Asking


def test_without_a_terminal_it_refuses_and_says_how_many(sqlite_operator: Operator) -> None:
    sqlite_operator.sign_in("ada", "ada")
    for words in (["--user", "ada"], ["--all"]):
        answer = sqlite_operator("end", *words)
        assert (answer.status, answer.out) == (2, "")
        assert "this would end" in answer.err
        assert "write --yes" in answer.err
    assert len(sqlite_operator("list", "--json").lines) == 2


def test_ending_nothing_is_told(sqlite_operator: Operator) -> None:
    assert sqlite_operator("end", "--user", "ada", "--yes").out == "0 sessions ended\n"
    unknown = token.public_id(token.new_id())
    answer = sqlite_operator("end", unknown, "--yes")
    assert (answer.status, answer.out) == (1, "")
    assert sqlite_operator("show", unknown).status == 1
    answer = sqlite_operator("list")
    assert (answer.status, answer.out) == (0, "")
    assert "there are no live sessions" in answer.err


@pytest.mark.parametrize("words", [["end"], ["end", "--all", "--user=ada"]])
def test_what_is_to_end_has_to_be_said(sqlite_operator: Operator, words: list[str]) -> None:
    with pytest.raises(OptionError, match="write sessions end and one of"):
        sqlite_operator(*words)


def test_a_wrong_table_is_one_sentence(sqlite_operator: Operator) -> None:
    import sqlite3

    path = str(sqlite_operator.make().name).removeprefix("sqlite://")
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE sessions (id INTEGER PRIMARY KEY)")
    database.close()
    answer = sqlite_operator("count")
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert "is not a session table" in answer.err
    assert ConfigurationError.__name__ not in answer.err


# Stores that fall short


def test_a_moments_trouble_ends_no_walk(
    sqlite_operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that fails is tried again, for fewer records; one that goes on failing is told."""
    monkeypatch.setattr(walk, "PAUSE", 0.0)
    path = sqlite_operator.make().name.removeprefix("sqlite://")
    limits: list[int] = []

    class Troubled(SQLStore):
        async def scan(self, after: str | None = None, limit: int = 500) -> Page:
            limits.append(limit)
            if len(limits) in failing:
                raise StoreUnavailable("out of order")
            return await super().scan(after, limit)

    sqlite_operator.make = lambda: Troubled(f"sqlite:///{path}")
    sqlite_operator.put(*(make_record() for _ in range(600)))
    failing: Container[int] = (1, 3, 4)
    assert len(sqlite_operator("list", "--json").lines) == 600
    assert limits == [500, 250, 250, 125, 62, *[62] * 6][: len(limits)]
    failing = range(1000)
    limits.clear()
    answer = sqlite_operator("list")
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.endswith("out of order\n")
    assert len(limits) == walk.TRIES


def test_a_store_without_scan_is_told(sqlite_operator: Operator) -> None:
    """It was written before there was one, and it serves."""
    path = sqlite_operator.make().name.removeprefix("sqlite://")

    class Former(SQLStore):
        scan = Store.scan
        count = Store.count

    sqlite_operator.make = lambda: Former(f"sqlite:///{path}")
    sqlite_operator.sign_in("ada")
    for command in ("count", "list"):
        answer = sqlite_operator(command)
        assert (answer.status, answer.out) == (2, "")
        assert "it cannot list its sessions, for it has no method scan()" in answer.err
    assert len(sqlite_operator("list", "--user=ada", "--json").lines) == 1
