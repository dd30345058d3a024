"""The peers of the benchmarks: what they need is locked, and what is missing is told."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest

from benchmarks.clients import CannotMeasure, begin, check, counts
from benchmarks.goals import Served
from benchmarks.peers import programs
from benchmarks.peers.programs import FOLDER, PEERS, Peer
from benchmarks.peers.works import PEER_WORKS

NODE_PEERS = [peer for peer in PEERS.values() if peer.on_node]
PYTHON_PEERS = [peer for peer in PEERS.values() if not peer.on_node]


def named(peer: Peer) -> str:
    return peer.name


def test_every_folder_is_a_peer_that_is_measured() -> None:
    folders = {path.name for path in FOLDER.iterdir() if path.is_dir() and path.name[0] not in "._"}
    assert folders == set(PEERS)
    assert {work.kind for work in PEER_WORKS} >= set(PEERS)


@pytest.mark.parametrize("peer", PYTHON_PEERS, ids=named)
def test_a_lock_of_python_has_hashes_and_no_hosts(peer: Peer) -> None:
    text = (peer.folder / peer.lock).read_text()
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "index-url" not in text
    wanted = re.findall(r"^([\w-]+)", (peer.folder / "requirements.in").read_text(), re.MULTILINE)
    assert {*wanted, *peer.packages} <= set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))


@pytest.mark.parametrize("peer", NODE_PEERS, ids=named)
def test_a_lock_of_node_has_hashes_and_no_hosts(peer: Peer) -> None:
    packages = json.loads((peer.folder / peer.lock).read_text())["packages"]
    own = packages.pop("")
    assert (
        own["dependencies"]
        == json.loads((peer.folder / "package.json").read_text())["dependencies"]
    )
    assert packages
    assert all("integrity" in package for package in packages.values())
    assert not [name for name, package in packages.items() if "resolved" in package]


@pytest.mark.parametrize("peer", PYTHON_PEERS, ids=named)
def test_versions_are_those_of_the_lock(peer: Peer) -> None:
    lock = (peer.folder / peer.lock).read_text()
    told = [part.split(" ") for part in peer.versions().split(", ")]
    assert [name for name, _ in told] == list(peer.packages)
    assert all(f"\n{name}=={version} " in lock for name, version in told)


def test_a_missing_node_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether its packages are installed or not."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CannotMeasure, match=r"needs node and npm, .*: apt-get install nodejs npm"):
        PEERS["express"].prepare()


def test_an_old_node_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, line in (("node", "echo v18.2.0"), ("npm", "exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotMeasure, match=r"needs node 20\.19 or later, not 18\.2\.0"):
        programs.node_version()


def test_what_is_installed_is_installed_anew_with_the_lock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(programs, "FOLDER", tmp_path)
    installed: list[Path] = []
    peer = dataclasses.replace(PEERS["aiohttp"], install=installed.append)
    peer.folder.mkdir()
    for lock, times in (("a==1", 1), ("a==1", 1), ("a==2", 2)):
        (peer.folder / peer.lock).write_text(lock)
        peer.prepare()
        assert installed == [peer.folder] * times


@pytest.mark.parametrize(
    "served", sorted({work.served for work in PEER_WORKS if work.kind in PEERS}), ids="-".join
)
@pytest.mark.gen_test(timeout=60)
async def test_a_peer_answers_each_client_with_its_own(
    served: Served, request: pytest.FixtureRequest
) -> None:
    peer = PEERS[served.kind]
    if not (peer.folder / ".installed").exists():
        pytest.skip(f"make bench-peers installs what {peer.name} needs")
    if peer in NODE_PEERS and shutil.which("node") is None:
        pytest.skip("node is not on PATH")
    url = request.getfixturevalue({"mongodb": "mongod", "redis": "valkey"}[served.store]).url
    with peer.start(served, url) as service:
        await check(service.port, "/constant", ["session=x"] * 3)
        cookies = await begin(service.port, 40)
        await check(service.port, "/read", cookies)
        await check(service.port, "/write", cookies)
        await check(service.port, "/write", cookies[:10])
        assert await counts(service.port, cookies) == 50
