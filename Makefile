# Editloop: `make up` starts it, `make test` checks it. What each does stands in scripts/.
# Another Python: make up PYTHON=python3.12. Words for the tools: make test ARGS="-k ranking".

PYTHON ?= python3
RUN = .venv/bin/python
ARGS ?=

.PHONY: help up test setup lint bench lock clean

help:
	@echo "make up      start everything; Ctrl-C stops it"
	@echo "make test    linters, unit tests, the suite on SQLite and on PostgreSQL, browser tests"
	@echo "make setup   the Python environment with the development tools"
	@echo "make lint    ruff, mypy, import-linter"
	@echo "make bench   measurements, written to docs/benchmarks.md"
	@echo "make lock    pin the requirements (ARGS=--upgrade: to new versions)"
	@echo "make clean   remove caches; var/ and .venv/ stay"

up:
	@$(PYTHON) scripts/setup.py
	@$(RUN) -m scripts.up

test:
	@$(PYTHON) scripts/setup.py --dev
	@$(RUN) -m scripts.test -- $(ARGS)

setup:
	@$(PYTHON) scripts/setup.py --dev

lint: setup
	@$(RUN) -m scripts.test --only lint

bench: setup
	@$(RUN) -m scripts.bench $(ARGS)

lock: setup
	@$(RUN) -m scripts.lock $(ARGS)

clean:
	@$(PYTHON) -m scripts.clean
