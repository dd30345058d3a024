# Everything sets itself up: a virtual environment in .venv, from committed lock files.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

# A lock file requirements-NAME.txt makes NAME an extra. Those chosen are kept in .extras, outside
# the environment, so that the next make installs them too, after `make clean` as well.
KEPT := $(sort $(shell cat .extras 2>/dev/null))
EXTRAS ?= $(KEPT)
comma := ,
CHOSEN := $(sort $(subst $(comma), ,$(EXTRAS)))
KNOWN := $(filter-out dev,$(patsubst requirements-%.txt,%,$(sort $(wildcard requirements-*.txt))))
UNKNOWN := $(filter-out $(KNOWN),$(CHOSEN))
LOCKS := requirements.txt $(patsubst %,requirements-%.txt,$(filter $(KNOWN),$(CHOSEN)))

# The environment is made anew when it cannot run pip (it was half made, or its Python is gone), and
# when PYTHON names another Python than it has. RECORD is what pip's own installation writes last.
WHICH := import sys; print(sys.hexversion, sys.base_prefix)
PRESENT := $(shell ls $(VENV)/lib/python*/site-packages/pip-*.dist-info/RECORD >/dev/null 2>&1 \
	&& $(BIN)/python -c 'import pip; $(WHICH)' 2>/dev/null)
ifneq ($(origin PYTHON),file)
WANTED := $(shell $(PYTHON) -c '$(WHICH)' 2>/dev/null)
else
WANTED := $(PRESENT)
endif
ifneq ($(PRESENT),$(or $(WANTED),none))
ANEW := environment
endif

.PHONY: run install test test-faults lint bench bench-quick bench-cost bench-processes bench-scale
.PHONY: bench-capacity bench-sealing bench-peers docs lock clean help environment again

run: $(VENV)/run  ## install what is needed and serve on http://localhost:8888
	@exec $(BIN)/python main.py $(ARGS)

install: $(VENV)/run  ## install what is needed, and no more

test: $(VENV)/dev  ## run the tests
	$(BIN)/python -m pytest -m "not faults" $(ARGS)

test-faults: $(VENV)/dev  ## run the tests that kill, stop and restart servers
	$(BIN)/python -m pytest -m faults $(ARGS)

lint: $(VENV)/dev  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/dev  ## write docs/reference.md from the docstrings
	$(BIN)/python -m docs.make_reference

bench: $(VENV)/dev  ## measure everything anew and write benchmarks/README.md
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks --loop=uvloop
	$(BIN)/python -m benchmarks.report

bench-quick: $(VENV)/dev  ## measure in a minute and a half what has a goal
	$(BIN)/python -m benchmarks --quick $(ARGS)

bench-cost:  ## measure what a request costs the database
bench-processes:  ## measure several processes, start-up and memory
bench-scale:  ## measure a million sessions
bench-capacity:  ## measure what a session takes in each store
bench-sealing:  ## measure what sealed values cost
bench-peers:  ## measure other session systems beside; installs them in benchmarks/peers
bench-cost bench-processes bench-scale bench-capacity bench-sealing bench-peers: bench-%: $(VENV)/dev
	$(BIN)/python -m benchmarks.$* $(ARGS)
	$(BIN)/python -m benchmarks.report

.PHONY: bench-instructions
bench-instructions: $(VENV)/dev  ## count the instructions of a request, and what each feature adds
	$(BIN)/python -m benchmarks.instructions $(ARGS)
	$(BIN)/python -m benchmarks.report

environment:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed; name one: make PYTHON=python3.12" >&2; exit 2; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make $(VENV); on Debian and Ubuntu: apt install python3-venv" >&2; exit 2; }

# The stamps say what is installed: run what serving needs (it holds the names of the extras), dev
# what testing needs besides.
ifneq ($(CHOSEN)/$(CHOSEN),$(KEPT)/$(shell cat $(VENV)/run 2>/dev/null))
$(VENV)/run: again
endif
$(VENV)/run: $(UNKNOWN:%=unknown-extra-%) $(ANEW) $(LOCKS)
	@$(PIP_INSTALL) $(LOCKS:%=-r %)
	@echo $(CHOSEN) >$@
	@test "$(CHOSEN)" = "$(KEPT)" || { echo $(CHOSEN) >.extras; \
		echo "Extras: $(or $(CHOSEN),none). The choice is kept in .extras for the next make."; }

unknown-extra-%:
	$(error unknown extra $*$(if $(filter file,$(origin EXTRAS)), in the file .extras); the extras are $(KNOWN))

$(VENV)/dev: requirements-dev.txt $(VENV)/run
	@$(PIP_INSTALL) -r $<
	@touch $@

# Every version stays unless pyproject.toml rules it out; `make lock ARGS=--upgrade` takes the newest.
# An extra's file lists what it adds to requirements.txt, in the versions that the tests run with.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --custom-compile-command "make lock" $(ARGS)
LOCK = $(COMPILE) pyproject.toml
DECLARED = $(BIN)/python -c 'import tomllib; \
	print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"])'
lock: $(VENV)/dev  ## resolve pyproject.toml into the lock files, for every Python and platform
	$(LOCK) -o requirements.txt
	$(LOCK) --all-extras --group dev -c requirements.txt -o requirements-dev.txt
	for extra in $$($(DECLARED)); do \
		$(LOCK) --extra $$extra -c requirements-dev.txt -o requirements-$$extra.txt \
			$$(sed -n 's/^\([^ =]*\)==.*/--no-emit-package \1/p' requirements.txt) || exit; \
	done
	for peer in benchmarks/peers/*/requirements.in; do \
		$(COMPILE) $$peer -o $${peer%.in}.txt || exit; \
	done

clean:  ## remove what make made, but the choice of extras
	rm -rf $(VENV) .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf $(foreach made,.venv node_modules .installed,benchmarks/peers/*/$(made))
	@test -z "$(KEPT)" || echo "Kept for the next make: the extras $(KEPT). make install EXTRAS= drops them."

help:  ## list these targets
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile
	@echo 'Variables: ARGS="--port=9000 --debug", EXTRAS="redis postgresql", PYTHON=python3.13'
