# Everything sets itself up: a virtual environment in .venv, from a committed lock file.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: run test test-faults lint install lock clean
.PHONY: bench bench-quick bench-cost bench-processes bench-scale

run: .venv/run
	@exec $(BIN)/python main.py $(ARGS)

install: .venv/run

test: .venv/dev
	$(BIN)/python -m pytest -m "not faults" $(ARGS)

test-faults: .venv/dev
	$(BIN)/python -m pytest -m faults $(ARGS)

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/dev
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.report

bench-quick: .venv/dev
	$(BIN)/python -m benchmarks --quick

bench-cost bench-processes bench-scale: bench-%: .venv/dev
	$(BIN)/python -m benchmarks.$* $(ARGS)
	$(BIN)/python -m benchmarks.report

# The stamps tell what is installed: run what serving needs, dev what testing needs besides.
.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed; name one: make PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv .venv

.venv/run: requirements.txt .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/dev: requirements-dev.txt .venv/run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Anew from pyproject.toml, for every Python and platform there is.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --custom-compile-command "make lock" pyproject.toml
lock: .venv/dev
	$(LOCK) -o requirements.txt
	$(LOCK) --all-extras --group dev -c requirements.txt -o requirements-dev.txt

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
