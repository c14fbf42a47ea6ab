# On a machine with Python 3.11 or newer, `make run` and `make test` do everything, the environment included.
#
# PYTHON=python3.12   the interpreter to use (default: the first one found that is new enough)
# VENV=.venv          where the environment lives; it is remade when PYTHON or pyproject.toml changes
# ARGS="-k engine"    further arguments for pytest, the example or the benchmark

ifndef PYTHON
PYTHON := $(shell .ci/find-python)
endif
VENV ?= .venv
VERSIONS := 3.11 3.12 3.13

BIN := $(VENV)/bin
MADE := $(VENV)/made-with-$(shell $(PYTHON) -c 'import platform; print(platform.python_version())' 2>/dev/null)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help run test quick test-gpu test-all check fix symbols bench docs wheel changelog clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: $(VENV)/has-examples ## train LeNet on handwritten digits
	$(BIN)/python examples/lenet.py $(ARGS)

test: $(VENV)/has-examples $(VENV)/has-test ## every test that needs no GPU
	$(BIN)/python -m pytest $(ARGS)

quick: $(VENV)/has-examples $(VENV)/has-test ## the tests that take less than a quarter of a second each
	$(BIN)/python -m pytest -m 'not slow and not gpu' $(ARGS)

test-gpu: $(VENV)/has-cuda $(VENV)/has-test ## the tests that need a CUDA device
	$(BIN)/python -m pytest -m gpu $(ARGS)

test-all: ## every test on every supported Python that is installed
	@set -e; for version in $(VERSIONS); do \
	  if python=$$(.ci/find-python $$version); then \
	    $(MAKE) --no-print-directory test PYTHON="$$python" VENV="$(VENV)-$$version"; \
	  else \
	    echo "Python $$version is not installed: left out"; \
	  fi; \
	done

check: $(VENV)/has-dev $(VENV)/has-test ## linter, formatter, types, layers and house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/house/test_layers.py tests/house/test_house.py

fix: $(VENV)/has-dev ## let the linter and the formatter mend what they can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

symbols: $(VENV)/has-test ## write functions and pages from what the operators say of themselves
	$(BIN)/python -m docs.make_symbols

bench: $(VENV)/has-examples $(VENV)/has-images ## measure, beside the peers that are installed
	$(BIN)/python benchmarks/run.py $(ARGS)

docs: $(VENV)/has-docs ## the documentation as HTML in docs/_build/html; a warning is an error
	$(BIN)/sphinx-build --fresh-env --write-all --fail-on-warning --keep-going --quiet -b html docs docs/_build/html

wheel: $(VENV)/has-test ## the source archive and the wheel, in dist/
	$(BIN)/python -m build --outdir dist

changelog: $(VENV)/has-dev ## gather docs/changelog.d into CHANGELOG.md for the version in pyproject.toml
	$(BIN)/towncrier build

clean: ## remove environments and everything built
	rm -rf $(VENV) $(VENV)-3.* build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find actorflow benchmarks docs examples tests -name __pycache__ -prune -exec rm -rf {} +

$(MADE): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo 'Python 3.11 or newer with its venv module is needed (on Debian: apt-get install python3-venv);' \
	         'PYTHON=... names it' >&2; exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/has-%: $(MADE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@
