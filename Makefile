# make         set everything up in .venv, run config.yaml, print where the report is
# make env     set everything up in .venv only
# make test    set everything up, run the tests
# make lint    check the code's style
# make bench   measure speed and memory
# make lock    resolve the dependencies anew into requirements.lock
PYTHON ?= python3
CORES ?= all
VENV = .venv
READY = $(VENV)/.ready

.PHONY: run env test lint bench lock

run: $(READY)
	$(VENV)/bin/snakemake --cores $(CORES)
	@echo
	@echo "Report: $(CURDIR)/results/report/index.html"

env: $(READY)

# Every package in the locked version and checked by its hash; nothing is taken from outside .venv.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "bosscal needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV): a minute or two, once"
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

test: $(READY)
	$(VENV)/bin/python -m pytest

lint: $(READY)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/snakefmt --check --line-length 120 Snakefile workflow

bench: $(READY)
	$(VENV)/bin/python tests/bench.py

lock:
	$(VENV)/bin/python -m pip install --quiet uv
	$(VENV)/bin/python -m uv pip compile pyproject.toml --all-extras --universal --generate-hashes \
		--python-version 3.11 --fork-strategy fewest --no-header --upgrade --quiet --output-file requirements.lock
