# Everything a user or a developer types. Each target sets up what it needs by itself.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The versions that the lock resolves for.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
VERSION := import sys; print(*sys.version_info[:2], sep=".")
# A file's tests stay together: what they share is made once. In their own order: the longest files would come last, and alone.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Tests start hundreds of processes: each would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run down test lint check docs mutate lock debian clean other-python

# An environment of another Python stays in use unless PYTHON is given: then it is created again.
ifneq ($(origin PYTHON),file)
ifneq ($(shell $(PYTHON) -c '$(VERSION)'),$(shell $(BIN)/python -c '$(VERSION)' 2>/dev/null))
$(READY): other-python
endif
endif

run: $(READY)
	@$(BIN)/bot3 up

down: $(READY)
	@$(BIN)/bot3 down

test: $(READY) debian
	@$(BIN)/python -m pytest $(PARALLEL) $(PYTEST_ARGS)

lint: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.source_rules

check: lint
	@$(BIN)/python -m pytest -q -m "not slow and not postgres and not browser and not influx and not redis" $(PARALLEL) $(PYTEST_ARGS)

# How many deliberate faults in the rules the tests notice (an hour; not a part of continuous integration).
mutate: $(READY)
	@$(BIN)/python -m tests.mutation $(MUTATE_ARGS)

# The parts of pages that are written from the code.
docs: $(READY)
	@$(BIN)/python -m benchmarks.rooms
	@$(BIN)/python -m benchmarks.glossary

# Debian packages that tests start: a PostgreSQL server, Redis, Chromium and promtool.
debian:
	@bash deploy/debian-packages.sh

lock: $(READY)
	$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --extra dev --extra build --extra workers --custom-compile-command "make lock" pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --extra build --extra workers -c requirements.lock --custom-compile-command "make lock" pyproject.toml -o requirements-run.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis

# uv installs the lock several times faster than pip; it is itself installed from a lock with hashes.
$(READY): requirements.lock requirements-uv.lock pyproject.toml
	@if ! test -x $(BIN)/python || test -n "$(filter other-python,$^)"; then \
	  $(PYTHON) -c '$(SUPPORTED)' || { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.13 run" >&2; exit 2; }; \
	  $(PYTHON) -m venv --clear $(VENV) || { echo "python3-venv is needed: apt-get install python3-venv" >&2; exit 2; }; \
	fi
	@echo "Installing locked dependencies into $(VENV) ..."
	@$(BIN)/python -m pip install -q --require-hashes -r requirements-uv.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
