# SPDX-License-Identifier: Apache-2.0
# Needs Debian's python3, python3-venv, g++ and make; the rest comes from requirements.lock.

PYTHON ?= python3
# How many tests run at once.
JOBS ?= 2
# A file's tests run in one process; files that take long come first (tests/conftest.py).
AT_ONCE = -n $(JOBS) --dist loadfile --no-loadscope-reorder
# More options for a verb or for pytest: make train ARGS="--epochs 2", make test ARGS="-k cli"
ARGS ?=

BIN := .venv/bin
# No path or startup file of the caller's reaches the project's Python.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP

# What make starts ends when make does, also if make is killed.
demo train venv: export ZYNQ_LSTM_ENDS_WITH_PARENT := 1

.DEFAULT_GOAL := help
.PHONY: help demo test nightly records matrix train lint docs notebooks site luts lock venv clean distclean

help: ## what there is to make
	@echo "make TARGET, where TARGET is"
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 14

demo: venv ## convert, simulate and compare the shipped network; print what the RTL writes
	@exec $(BIN)/zynq-lstm demo $(ARGS)

test: venv ## every check and every test, with results in build/test/junit.xml
	@$(MAKE) --no-print-directory lint
	@mkdir -p build/test
	$(BIN)/python -m pytest $(AT_ONCE) -m "not nightly" \
	  --junit-xml=build/test/junit.xml --records=build/test $(ARGS)

nightly: venv ## the tests that take too long for every run; records in build/nightly
	@rm -rf build/nightly; red=0; \
	$(BIN)/python -m pytest $(AT_ONCE) -m "nightly or record" --shuffle --records=build/nightly $(ARGS) || red=1; \
	$(BIN)/zynq-lstm mutate --json build/nightly/mutants.json || red=1; \
	for figures in verification robustness; do \
	  $(BIN)/zynq-lstm figures $$figures --records build/nightly || red=1; \
	done; exit $$red

records: venv ## ship the records that make test and make nightly left, and write the docs' tables anew
	cp build/test/*.json sim/measured
	cp build/nightly/*.json sim/measured
	@$(MAKE) --no-print-directory docs

matrix: venv ## the quick tests from the installed wheel, on every Python from 3.10 to 3.13 that is here
	@$(BIN)/python -m zynq_lstm.scripts.setup.matrix $(ARGS)

train: venv ## train the float and the quantized network from the text
	@exec $(BIN)/zynq-lstm train $(ARGS)

lint: venv ## ruff's checks and format, mypy, and which package may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

docs: venv ## draw the pictures and write the tables of the documentation anew
	@$(BIN)/python -m docs.flow
	@$(BIN)/python -m docs.blocks
	@$(BIN)/zynq-lstm schedule --plot docs/schedule.svg
	@$(BIN)/zynq-lstm ladder --plot docs/ladder.svg
	@$(BIN)/zynq-lstm train-cells --plot docs/train-cells.svg
	@$(BIN)/zynq-lstm train-starts --plot docs/train-starts.svg
	@$(BIN)/zynq-lstm cells docs/mgu.cell --plot docs/mgu.svg > /dev/null
	@$(BIN)/zynq-lstm upset --shipped --plot docs/upsets.svg > /dev/null
	@$(BIN)/python -m docs.tables

notebooks: venv ## run the notebooks and keep their outputs in them: some minutes
	@$(BIN)/python -m docs.notebooks

site: venv ## the documentation as a site, with pages of the API, in build/site
	@test -d build/site-packages || $(BIN)/python -m pip install --quiet --require-hashes --no-deps \
	  --target build/site-packages -r requirements-docs.lock
	PYTHONPATH=build/site-packages $(BIN)/python -m sphinx -q -W --keep-going -b html docs build/site
	@$(BIN)/python -m docs.site build/site

luts: venv ## count the LUTs in the documentation's table of lanes anew (half an hour)
	@$(BIN)/python -m docs.tables --synthesize

venv: ## the virtual environment .venv, from the lock files
	@$(PYTHON) scripts/setup/bootstrap.py --need g++ make

# uv is used here only: it resolves for every Python at once.
UV_VERSION := 0.13.8
COMPILE = build/lock/bin/uv pip compile --quiet --generate-hashes \
  --python-version 3.10 --no-emit-index-url --no-annotate --no-header

lock: ## resolve requirements.lock anew (ARGS=--upgrade takes new versions)
	@test -x build/lock/bin/uv || { $(PYTHON) -m venv build/lock && \
	  build/lock/bin/pip install --quiet uv==$(UV_VERSION); }
	$(COMPILE) --universal --extra dev $(ARGS) pyproject.toml requirements.in -o requirements.lock
	$(COMPILE) --no-deps $(ARGS) requirements-nodeps.in -o requirements-nodeps.lock
	$(COMPILE) --universal $(ARGS) requirements-docs.in -o requirements-docs.lock

clean: ## remove what was built; the environment stays
	rm -rf build notebooks/build .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## and the environment
	rm -rf .venv zynq_lstm.egg-info
