"""What make installs, and when it makes the environment anew; nothing comes from the network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.process import ROOT
from tests.helpers.small_project import SmallProject

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not on PATH")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    """A project after `make install`; tests take copies of it."""
    project = SmallProject(tmp_path_factory.mktemp("installed"))
    project.fill()
    project.made("install")
    return project


def _copy(source: str, target: str) -> None:
    """Copy a file; what is in pip's own thousand is only ever replaced, so that a link does."""
    (os.link if "/pip/" in source else shutil.copy2)(source, target)


@pytest.fixture
def project(installed: SmallProject, tmp_path: Path) -> SmallProject:
    folder = tmp_path / "project"
    shutil.copytree(installed.folder, folder, symlinks=True, copy_function=_copy)
    return SmallProject(folder)


@pytest.fixture
def no_venv_module(tmp_path: Path) -> Path:
    """A Python like Debian's without python3-venv: what it makes has no pip, and it says so."""
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\n[ "$2" = venv ] || exec {sys.executable} "$@"\n'
        f'{sys.executable} -m venv --without-pip "$3"\nexit 1\n'
    )
    python.chmod(0o755)
    return python


def test_it_installs_no_more_than_serving_needs(project: SmallProject) -> None:
    assert project.installed() == {"base"}
    assert project.made("run", "ARGS=--port=9000") == "--port=9000\n"


def test_extras_are_installed_and_remembered(project: SmallProject) -> None:
    said = project.made("install", "EXTRAS=red blue")
    assert said == "Extras: blue red. The choice is kept in .extras for the next make.\n"
    assert project.installed() == {"base", "red", "blue"}
    assert project.made("run", "ARGS=served") == "served\n"
    assert project.made("clean").endswith(
        "Kept for the next make: the extras blue red. make install EXTRAS= drops them.\n"
    )
    assert project.installed() == set()
    assert project.made("run", "ARGS=served") == "served\n"
    assert project.installed() == {"base", "red", "blue"}


def test_running_installs_extras_as_well(project: SmallProject) -> None:
    assert project.made("run", "EXTRAS=red", "ARGS=served").endswith("\nserved\n")
    assert project.installed() == {"base", "red"}


def test_extras_may_be_set_off_by_commas(project: SmallProject) -> None:
    project.made("install", "EXTRAS=red,blue")
    assert project.installed() == {"base", "red", "blue"}


def test_a_choice_takes_the_place_of_the_former(project: SmallProject) -> None:
    project.made("install", "EXTRAS=red")
    assert "Extras: blue." in project.made("install", "EXTRAS=blue")
    assert "Extras: none." in project.made("install", "EXTRAS=")
    assert "Kept" not in project.made("clean")


def test_what_is_installed_is_left_alone(project: SmallProject) -> None:
    project.made("install", "EXTRAS=red")
    stamp = project.folder / ".venv/run"
    before = stamp.stat().st_mtime_ns
    assert "Nothing to be done" in project.made("install")
    assert "Nothing to be done" in project.made("install", "EXTRAS=red")
    assert stamp.stat().st_mtime_ns == before


def test_a_changed_lock_is_installed(project: SmallProject) -> None:
    project.made("install", "EXTRAS=red")
    shutil.copy(project.folder / "requirements-blue.txt", project.folder / "requirements-red.txt")
    project.made("install")
    assert "blue" in project.installed()


@pytest.mark.parametrize("goal", ["install", "run", "test"])
def test_an_unknown_extra_is_one_sentence(project: SmallProject, goal: str) -> None:
    result = project.make(goal, "EXTRAS=red green")
    assert result.returncode == 2
    assert result.stderr.endswith("*** unknown extra green; the extras are blue red.  Stop.\n")
    assert result.stderr.count("\n") == 1
    assert project.installed() == {"base"}
    assert not (project.folder / ".extras").exists()


def test_an_unknown_extra_of_before_is_told_from_where(project: SmallProject) -> None:
    (project.folder / ".extras").write_text("green\n")
    assert "unknown extra green in the file .extras;" in project.make("install").stderr
    project.made("install", "EXTRAS=red")
    assert project.installed() == {"base", "red"}


def test_a_wheel_with_another_hash_is_refused(project: SmallProject) -> None:
    lock = project.folder / "requirements-red.txt"
    lock.write_text("red==1 --hash=sha256:" + "0" * 64)
    result = project.make("install", "EXTRAS=red")
    assert result.returncode == 2
    assert "DO NOT MATCH THE HASHES" in result.stderr
    assert not (project.folder / ".extras").exists()


def makes_the_environment(project: SmallProject, *words: str) -> bool:
    """Tell whether make would begin with a new environment, which takes it some seconds."""
    return " -m venv " in project.made("install", "--dry-run", *words)


def _lose_pip(venv: Path) -> None:
    for part in venv.glob("lib/python*/site-packages/pip*"):
        shutil.rmtree(part)


def _lose_pips_record(venv: Path) -> None:
    (record,) = venv.glob("lib/python*/site-packages/pip-*.dist-info/RECORD")
    record.unlink()


def _lose_the_interpreter(venv: Path) -> None:
    for python in venv.glob("bin/python*"):
        python.unlink()
        python.symlink_to(venv / "gone")


def _spoil_the_interpreter(venv: Path) -> None:
    for python in venv.glob("bin/python*"):
        python.unlink()
        python.write_text("#!/nowhere/python\n")
        python.chmod(0o755)


def _lose_all_but_a_folder(venv: Path) -> None:
    shutil.rmtree(venv)
    (venv / "bin").mkdir(parents=True)


def _put_a_file_there(venv: Path) -> None:
    shutil.rmtree(venv)
    venv.touch()


@pytest.mark.parametrize(
    "spoil",
    [
        _lose_pip,
        _lose_pips_record,
        _lose_the_interpreter,
        _spoil_the_interpreter,
        _lose_all_but_a_folder,
        _put_a_file_there,
    ],
)
def test_a_broken_environment_is_found(
    project: SmallProject, spoil: Callable[[Path], None]
) -> None:
    assert not makes_the_environment(project)
    spoil(project.folder / ".venv")
    assert makes_the_environment(project)


def test_debian_without_venv_is_told_and_recovers(
    project: SmallProject, no_venv_module: Path
) -> None:
    shutil.rmtree(project.folder / ".venv")
    (project.folder / ".extras").write_text("red\n")
    result = project.make("install", f"PYTHON={no_venv_module}")
    assert result.returncode == 2
    assert "apt install python3-venv" in result.stderr
    assert not (project.folder / ".venv").exists()
    # What a make without this care left behind.
    subprocess.run([no_venv_module, "-m", "venv", project.folder / ".venv"], check=False)
    assert (project.folder / ".venv/bin/python").exists()
    assert project.made("run", "ARGS=served") == "served\n"
    assert project.installed() == {"base", "red"}


def test_another_python_makes_another_environment(project: SmallProject, tmp_path: Path) -> None:
    """A wrapper that claims another version stands for another Python."""
    other = tmp_path / "python"
    other.write_text(
        '#!/bin/sh\ncase "$2" in *hexversion*) echo 99 /other;;\n'
        f'*) exec {sys.executable} "$@";; esac\n'
    )
    other.chmod(0o755)
    assert not makes_the_environment(project, f"PYTHON={sys.executable}")
    assert makes_the_environment(project, f"PYTHON={other}")


def test_a_python_that_does_not_serve_costs_nothing(project: SmallProject) -> None:
    result = project.make("install", "PYTHON=/nowhere/python")
    assert "Python 3.11 or later is needed" in result.stderr
    assert project.installed() == {"base"}


def test_help_has_a_line_for_each_target() -> None:
    made = SmallProject(ROOT).made("help")
    listed = {line.split()[1] for line in made.splitlines() if line.startswith("make ")}
    phony = {
        target
        for line in (ROOT / "Makefile").read_text().splitlines()
        if line.startswith(".PHONY:")
        for target in line.split()[1:]
    }
    assert listed == phony - {"environment", "again"}


def test_nothing_of_ours_goes_to_site_packages(tmp_path: Path) -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("this is no git checkout")
    for name in tracked.stdout.splitlines():
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "copy" / name)
    target = tmp_path / "site-packages"
    install = ["-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [sys.executable, *install, "--target", target, tmp_path / "copy"],
        capture_output=True,
        check=False,
    )
    assert not list(target.glob("**/*.py"))
