# Every target sets itself up: it makes .venv and installs what it needs, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-faults lint bench test-lowest wheel audit clean

demo: $(VENV)/.package
	$(BIN)/mislabel demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Kills, full disks, damaged files; MISLABEL_FAULTS=50 as for docs/reliability.md. And Ray, which is slow.
test-faults: $(VENV)/.dev
	$(BIN)/python -m pytest -m faults -n 2 --dist worksteal tests/faults tests/executor/test_ray_executor.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/noise.py
	$(BIN)/python benchmarks/learning.py
	$(BIN)/python benchmarks/memorization.py
	$(BIN)/python benchmarks/networks.py
	$(BIN)/python benchmarks/realism.py
	$(BIN)/python benchmarks/stress.py
	$(BIN)/python benchmarks/cleaning.py
	$(BIN)/python benchmarks/explorer.py
	$(BIN)/python benchmarks/scale.py

# The lower bounds of pyproject.toml: all libraries as old as it allows. TORCH: CI names an older one.
LOWEST := build/lowest
TORCH ?= $(shell grep '^torch==' constraints.txt)
LOWEST_TESTS := tests/benchmark tests/cleaning tests/cli tests/data tests/features tests/golden \
	tests/labels tests/learning tests/noise tests/realism tests/report tests/supply

test-lowest:
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet '$(TORCH)'
	$(LOWEST)/bin/python -m pip install --quiet -c constraints-lowest.txt -e '.[embed]' \
		pytest pytest-xdist hypothesis hatchling
	$(LOWEST)/bin/python -m pytest -n 2 -m 'not slow' -W ignore::DeprecationWarning $(LOWEST_TESTS)

# Two builds, which must be the same bytes.
wheel: $(VENV)/.dev
	rm -rf dist build/again
	for out in dist build/again; do SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) \
		$(BIN)/python -m hatchling build -t wheel -d $$out; done
	cmp dist/*.whl build/again/*.whl
	sha256sum dist/*.whl

# Known holes in what the Makefile and CI install; asks a database on the network.
audit:
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet pip-audit
	build/audit/bin/pip-audit --strict --no-deps --disable-pip -r constraints.txt

clean:
	rm -rf $(VENV) build dist

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mislabel needs Python 3.11 or newer; name one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

# torch first and by itself: so that its pinned build is taken before anything asks for a range.
$(VENV)/.package: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) "$$(grep '^torch==' constraints.txt)"
	$(PIP) -e .
	touch $@

$(VENV)/.dev: $(VENV)/.package
	$(PIP) -e '.[dev]'
	touch $@
