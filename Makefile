# Everything a person, a hook or CI does with the project. `make` alone prints this help.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
OPS    := $(BIN)/opsledger
CODE   := contracts services deploy tests

.DEFAULT_GOAL := help
.PHONY: help install demo up down status logs test test-faults test-containers bench lint format schemas constraints clean

help: ## print this help
	@echo "opsledger: make TARGET    (OPSLEDGER_HOME=data folder, OPSLEDGER_PORT=base port, 8080)"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | awk -F'|' '{printf "  %-16s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "error: $(PYTHON) is missing or older than Python 3.11; name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  echo "error: no virtual environment could be made; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[embedded,dev]'
	@touch $@

install: $(STAMP) ## make the environment (.venv); every other target does it by itself

demo: $(STAMP) ## start the system and load a month of demonstration activity
	@$(OPS) up
	@$(OPS) demo

up: $(STAMP) ## start the system in the background and wait until it is ready
	@$(OPS) up

down: $(STAMP) ## stop the system
	@$(OPS) down

status: $(STAMP) ## show processes, readiness, stream positions, lag
	@$(OPS) status

logs: $(STAMP) ## show the last log lines, readable (one service: make logs SERVICE=kpi)
	@$(OPS) logs $(SERVICE)

test: $(STAMP) ## run the tests against embedded NATS and PostgreSQL
	$(BIN)/pytest -m "not faults and not containers" $(ARGS)

test-faults: $(STAMP) ## run the long fault tests: kills, lost disks, rebuilds under load
	$(BIN)/pytest -m faults --timeout=900 $(ARGS)

test-containers: $(STAMP) ## run the kernel's tests and the compose file on a Docker engine
	$(BIN)/pytest tests/containers --timeout=900 $(ARGS)

bench: $(STAMP) ## measure: throughput, freshness, rebuild, reads, memory
	$(BIN)/python -m tests.benchmarks $(ARGS)

lint: $(STAMP) ## ruff, formatting, mypy --strict, dependency rules
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

format: $(STAMP) ## format the code and mend what ruff can mend
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

schemas: $(STAMP) ## generate JSON Schema, AsyncAPI and OpenAPI into contracts/schemas
	$(BIN)/python -m contracts.generate
	$(BIN)/python -m services.cli.schemas

constraints: $(STAMP) ## pin the newest versions of everything into constraints.txt
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --no-header --no-annotate --python-version 3.11 --all-extras --upgrade -q pyproject.toml -o constraints.txt

clean: ## remove the environment and caches (not the data: that is .opsledger)
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
