# Every target sets itself up: it makes .venv and installs what it needs, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint bench clean

demo: $(VENV)/.package
	$(BIN)/mislabel demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

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
