# `make lab` opens the tour, `make test` runs the short lane of the tests, `make test-long` all
# the others; each sets up .venv first, with exactly the versions of requirements.lock.
# Python 3.11 or later is all that they need.

.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
# Holds the folder that the environment was made in; written last, so that an interrupted
# installation is taken up again.
STAMP := $(VENV)/.installed

# What a Python must have to make an environment.
SUITABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
CANDIDATES := $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11)

LAB_ARGS ?=
DOCTOR_ARGS ?=
TEST_ARGS ?=
BENCH_ARGS ?=

# An environment holds absolute paths: one that came here with a moved folder is made again.
ifneq ($(wildcard $(STAMP)),)
ifneq ($(shell cat $(STAMP)),$(shell pwd -P))
.PHONY: $(STAMP)
endif
endif

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

.PHONY: env
env: $(STAMP) ## make .venv and install into it; the other commands do so themselves

# CI imports a small part of it once, and Python compiles that then. People start it again and
# again, perhaps where Python cannot or must not keep what it compiles: there, each import of
# PyTorch would compile it anew.
$(STAMP): pyproject.toml requirements.lock
	@set -e; \
	if [ ! -f "$@" ] || [ "$$(cat "$@")" = "$$(pwd -P)" ] \
	    && $(PY) -c '$(SUITABLE)' 2>/dev/null && $(PY) -m pip --version >/dev/null 2>&1; then :; \
	else \
	    chosen=; \
	    for candidate in $(CANDIDATES); do \
	        if "$$candidate" -c '$(SUITABLE)' 2>/dev/null; then chosen=$$candidate; break; fi; \
	    done; \
	    if [ -z "$$chosen" ]; then \
	        echo "No Python 3.11 or later that can make environments was found among:" $(CANDIDATES)"." \
	            "Install one (on Debian and Ubuntu: apt-get install python3 python3-venv)," \
	            "or name yours: make PYTHON=/path/to/python3" >&2; \
	        exit 1; \
	    fi; \
	    echo "Making $(VENV) with $$("$$chosen" --version)"; \
	    "$$chosen" -m venv --clear $(VENV); \
	fi; \
	echo "Installing into $(VENV): once, some minutes, several GB with PyTorch"; \
	rm -f "$@"; \
	$(PY) -m pip install --disable-pip-version-check $(if $(CI),--no-compile) -c requirements.lock -e '.[dev]'; \
	pwd -P > "$@"

.PHONY: lab
lab: env ## open the tour in JupyterLab (LAB_ARGS="--port 9000", or a notebook of yours)
	@$(PY) -m workbench lab $(LAB_ARGS)

.PHONY: doctor
doctor: env ## check this machine, say what to do about problems (DOCTOR_ARGS="--data DIR")
	@$(PY) -m workbench doctor $(DOCTOR_ARGS)

.PHONY: test
test: env ## run the short lane of the tests, some minutes (TEST_ARGS="tests/test_cli.py" chooses)
	@$(PY) -m tools.run_tests $(TEST_ARGS)

.PHONY: test-long
test-long: env ## run the long lane, all the other tests: browser tests, long kills, fuzzing
	@$(PY) -m tools.run_tests --long $(TEST_ARGS)

.PHONY: coverage
coverage: env ## run the short lane and list the lines that none of its tests reaches
	@$(PY) -m tools.run_tests --cov=workbench --cov-report=term-missing:skip-covered $(TEST_ARGS)

.PHONY: update
update: env ## take the newest of all but tools/held-back.txt into requirements.lock, and test
	$(PY) -m tools.lock
	@$(MAKE) --no-print-directory check test

.PHONY: check
check: env ## check format, lint, types, the import rules between folders and the front end
	@$(PY) -m tools.check

.PHONY: docs
docs: env ## build the documentation into build/docs/html
	@$(PY) -m tools.docs

.PHONY: shots
shots: env ## render every panel in every state into build/shots, to be looked at (SHOTS_ARGS="--only home")
	@$(PY) -m tools.shots $(SHOTS_ARGS)

.PHONY: format
format: env ## format and tidy the Python code
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

.PHONY: hooks
hooks: env ## run `make check` before every commit
	$(PY) -m pre_commit install

.PHONY: bench
bench: env ## measure the stores against their baselines (BENCH_ARGS="--images 1000")
	$(PY) benchmarks/stores.py --check $(BENCH_ARGS)

.PHONY: clean
clean: ## delete .venv and every cache; data, models and notebooks stay
	rm -rf $(VENV) build dist test-artifacts *.egg-info .coverage .coverage.*
	rm -rf node_modules tests/storage/azurite/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find workbench tests tools benchmarks notebooks \
	    \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +
