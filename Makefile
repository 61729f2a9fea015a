# Everything runs from .venv, which is made from requirements.lock (hashes checked; the demo's own for the demo) when it is
# missing or older than it.

PYTHON ?= python3
ARGS ?=
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PEERS ?= .venv-peers
LOCKED := $(VENV)/.locked
READY := $(VENV)/.ready
RUN := $(VENV)/.run
DEMO_LOCK := deploy/local/requirements.lock
WEB := consumers/web
PAGE := $(WEB)/dist/index.html
BUILD_PAGE = $(BIN)/python -m deploy.embedded.node $(WEB) build.mjs $(WEB) $(WEB)/dist
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
ROOMS := schemas market broker instruments stores jobs producer evaluation processors consumers simulator deploy selfcheck cli clients

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help demo page test fuzz check check-deploy format schemas docs bench bench-check peers lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  ARGS="…" is handed on: make demo ARGS="--help", make test ARGS="tests/market -x"'

demo: $(RUN) $(PAGE) ## the whole pipeline on this machine, until Ctrl-C
	@$(BIN)/ashare demo $(ARGS)

page: $(READY) ## build the page that the gateway serves, and look at its types: consumers/web/dist
	@$(BUILD_PAGE) --check

test: $(READY) $(PAGE) ## every test, against a real Kafka and a real QuestDB; JOBS=0 runs one after the other
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(READY) ## style, types, import rules, compose file, Dockerfile
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose*.yml
	@$(BIN)/hadolint deploy/docker/Dockerfile
	@echo "check: style, types, import rules, compose file and Dockerfile are clean"

check-deploy: $(READY) ## compose files, Dockerfile, Kubernetes overlays, example workflows, monitoring; needs Go
	@$(BIN)/python -m deploy.check

format: $(READY) ## format the code and mend what ruff can mend
	@$(BIN)/ruff check --quiet --fix --exit-zero .
	@$(BIN)/ruff format --quiet .

schemas: $(READY) ## write schemas/*.json, and what is made of them, from the record types
	@$(BIN)/python -m schemas.generate
	@$(BIN)/python -m deploy.kubernetes.generate

docs: $(READY) ## a page of the topics and their records: docs/build/asyncapi.html
	@$(BIN)/python -m deploy.embedded.node docs/asyncapi page.mjs schemas/asyncapi.json docs/build/asyncapi.html $(VERSION)
	@echo "docs/build/asyncapi.html: open it in a browser; it needs no network"

fuzz: $(READY) ## hostile frames, records and requests beside good ticks: ARGS="--seconds 60 --seed 7"
	@$(BIN)/python -m tests.fuzz.run $(ARGS)

bench: $(READY) $(PEERS)/bin/python ## measure everything and write docs/performance.md: ARGS="--minutes 25", or names of benchmarks
	@$(BIN)/python -m benchmarks.run --peers $(PEERS) $(ARGS)

bench-check: $(READY) ## hold ratios measured now against bench_bounds.json, in less than a minute
	@$(BIN)/python -m benchmarks.check $(ARGS)

peers: $(PEERS)/bin/python ## what `make bench` compares with, in an environment of its own (PEERS=DIR)

COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	--python-version 3.11 $(ARGS)

lock: $(READY) ## resolve the dependencies anew; ARGS=--upgrade takes newer versions
	@$(COMPILE) --extra embedded --group dev --output-file requirements.lock pyproject.toml
	@$(COMPILE) --constraints requirements.lock --extra embedded --group local --output-file $(DEMO_LOCK) pyproject.toml
	@$(COMPILE) --constraints requirements.lock --output-file deploy/docker/requirements.lock pyproject.toml
	@$(COMPILE) --constraints requirements.lock --group image --output-file deploy/docker/build-requirements.lock
	@$(COMPILE) --group peers --output-file benchmarks/requirements.lock

clean: ## remove all that was made here; data/ stays
	@rm -rf $(VENV) $(PEERS) .venv-examples .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist $(WEB)/dist \
		docs/build
	@find . -path ./data -prune -o \( -name __pycache__ -o -name node_modules -o -name '*.egg-info' \) -type d -prune \
		-exec rm -rf {} +

# The stamps lie inside .venv and are written last: what was interrupted half-way has none, and starts again from nothing.
# The demo needs less than half of what the tests need, which is added when they are run.
define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: Python 3.11 or newer is needed, and '$(PYTHON)' is not: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: '$(PYTHON)' has no venv module: install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "Setting up $(VENV) from $(1): a minute or two …"
	@$(2) || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
endef

define ourselves
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e clients/python
	@$(BIN)/python -m compileall -qq $(ROOMS) || true # each process starts sooner, also where none may write bytecode
endef

$(RUN): $(DEMO_LOCK) pyproject.toml clients/python/pyproject.toml
	$(call environment,$(DEMO_LOCK),[ -e $(LOCKED) ])
	$(call ourselves)
	@touch $@

$(LOCKED): requirements.lock
	$(call environment,requirements.lock,[ -e $(RUN) -a ! -e $@ ])
	@touch $@

$(READY): $(LOCKED) pyproject.toml clients/python/pyproject.toml
	$(call ourselves)
	@touch $@ $(RUN)

# Only built when its sources have changed. A demo without it still has everything else.
$(PAGE): $(wildcard $(WEB)/*.json $(WEB)/*.mjs $(WEB)/src/*) | $(RUN)
	@echo "Building the page …"
	@$(BUILD_PAGE) || echo "make: the page is not built, and the gateway says so; the rest goes on" >&2

# Only made where it is missing: it is large, and another may be named.
$(PEERS)/bin/python: | $(READY)
	@echo "Setting up $(PEERS) from benchmarks/requirements.lock: some minutes …"
	@$(PYTHON) -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r benchmarks/requirements.lock || { rm -rf $(PEERS); exit 1; }
