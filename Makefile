# Sets up its own environment: Python 3.11 or newer and make are all that is needed.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready
PLAIN = $(VENV)/.plain
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: setup demo test lint types layers house check validate figures pages docs bench reliability wheel clean

setup: $(READY)

$(PLAIN): pyproject.toml constraints.txt  # what users install
	$(PYTHON) -c 'import sys; sys.exit("robustsim needs Python 3.11 or newer; this is " + sys.version.split()[0] + "; try make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) .
	touch $@

$(READY): $(PLAIN)  # and what the tests need
	$(INSTALL) '.[test]'
	touch $@

demo: $(PLAIN)  ## one scenario, from training to its position on the spectrum
	$(BIN)/robustsim demo

# Compiling takes most of the time of the fast tests: fewer passes save a sixth of it, and programs run as fast.
test: setup  ## the fast tests
	XLA_FLAGS="$$XLA_FLAGS --xla_backend_optimization_level=1" $(BIN)/python -m pytest -n 2 -m 'not slow'

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/basedpyright --pythonpath $(BIN)/python

layers: setup
	$(BIN)/lint-imports

house:  ## short functions, few parameters, no import circles; and how large the package is
	$(PYTHON) benchmarks/house.py

check: lint types layers house

validate: setup  ## the slow statistical tests and every analytic ground truth
	$(BIN)/python -m pytest -n 2 -m slow
	$(BIN)/robustsim validate

figures: setup  ## every figure again, in a small version
	for script in scripts/[a-z]*.py; do $(BIN)/python $$script --quick || exit 1; done

pages: setup  ## the pages of docs/ that are made from the code
	$(BIN)/python docs/generate.py

docs: $(VENV)-docs/.ready  ## the documentation site, in build/site
	NO_MKDOCS_2_WARNING=1 $(VENV)-docs/bin/mkdocs build --strict --quiet

$(VENV)-docs/.ready: pyproject.toml constraints.txt  # reads pages and needs none of the package's own dependencies
	$(PYTHON) -m venv $(VENV)-docs
	$(VENV)-docs/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt mkdocs-material
	touch $@

bench: setup .venv-rejax/.ready  ## speed, against a peer and as shares of the machine's own limit
	$(BIN)/python benchmarks/throughput.py --peer .venv-rejax/bin/python --figure figures/throughput
	$(BIN)/python benchmarks/starting.py
	for what in slots linear shared 'evaluations --budget 300' evaluations; do $(BIN)/python benchmarks/scheduling.py $$what || exit 1; done
	$(BIN)/python benchmarks/reading.py

.venv-rejax/.ready:  # the peer needs an older gymnax than ours
	$(PYTHON) -m venv .venv-rejax
	.venv-rejax/bin/python -m pip install --quiet --disable-pip-version-check 'rejax==0.1.3' 'gymnax<1' six
	touch $@

reliability: setup  ## what a sweep survives: half an hour
	$(BIN)/python benchmarks/reliability.py kills --kills 300
	$(BIN)/python benchmarks/reliability.py boundaries --seeds 1 --budget 60
	$(BIN)/python benchmarks/reliability.py faults --seeds 1 --budget 60
	$(BIN)/python benchmarks/reliability.py damage
	for executor in processes dask; do $(BIN)/python benchmarks/reliability.py poison --executor $$executor || exit 1; done

wheel: setup
	$(BIN)/python -m build --wheel --outdir dist

clean:
	rm -rf $(VENV) $(VENV)-docs .venv-rejax build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
