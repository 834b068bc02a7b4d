# make           set everything up in .venv, run config.yaml, print where the report is
# make env       set everything up in .venv only
# make check     the quick tests: units, two minutes on two cores
# make test      those and the workflow's, nine minutes on two cores
# make test-all  every test
# make lint      check style, types, and the workflow
# make bench     measure speed and memory
# make docs      write what is made from the code anew: schema and table of the configuration, docs/arrays.md,
#                docs/api.md
# make lock      resolve the dependencies anew into requirements.lock, then correct envs/bosscal.yaml; to keep the
#                versions that are there and only add or remove packages: make lock UPGRADE=
# make fetch     get all that config.yaml needs of the survey, then everything runs without a network;
#                make fetch DRY_RUN=1 says how many files and bytes would come
# make pack      report, figures and tables in one archive, results/report.tar.gz
# make vendor    fetch the scripts of others that the report uses anew (needs npm)
# make clean     remove what the targets above made, but no results
PYTHON ?= python3
CORES ?= all
UPGRADE ?= --upgrade
VENV = .venv
READY = $(VENV)/.ready
# Tools are modules of this interpreter, by a relative path. So the folder's name may hold blanks and quotes, which
# break the scripts of .venv/bin (not a `$`, though: setuptools takes what follows it for a variable).
PY = $(VENV)/bin/python
PIP = -m pip install --quiet --disable-pip-version-check
# What resolves the dependencies has an environment of its own: it is no part of the one that it locks.
LOCK_VENV = .venv-lock
UV = uv==0.13.9
# Each file's tests in one process, so many at a time as there are cores; the workflow's tests use two each.
PYTEST = $(PY) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

.PHONY: run fetch pack vendor env check test test-all lint bench docs lock clean

run: $(READY)
	$(PY) -m snakemake --cores $(CORES)

fetch: $(READY)
	$(PY) -m snakemake --cores $(CORES) plan_fetch
ifndef DRY_RUN
	$(PY) -m snakemake --cores $(CORES) fetch
endif

env: $(READY)

# Every package in the locked version and checked by its hash; nothing is taken from outside .venv.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "bosscal needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV): a minute or two, once"
	$(PYTHON) -m venv --clear $(VENV)
	$(PY) $(PIP) --require-hashes --requirement requirements.lock
	$(PY) $(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

check: $(READY)
	$(PYTEST) -m "not workflow and not slow"

test: $(READY)
	$(PYTEST) -m "not slow"

test-all: $(READY)
	$(PYTEST)

lint: $(READY)
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m snakefmt --check Snakefile workflow
	$(PY) -m mypy
	$(PY) tests/lint.py

bench: $(READY)
	$(PY) tests/bench.py

docs: $(READY)
	$(PY) -m bosscal.run.configuration
	$(PY) docs/tables/pages.py

PACKED = report figures compare budget outliers calib
pack:
	@tar -czf results/report.tar.gz -C results $$(cd results && ls -d $(PACKED) 2>/dev/null)
	@echo "results/report.tar.gz: open report/index.html in it"

vendor: $(READY)
	$(PY) tests/vendor.py

lock:
	$(PYTHON) -m venv --clear $(LOCK_VENV)
	$(LOCK_VENV)/bin/python $(PIP) $(UV)
	$(LOCK_VENV)/bin/python -m uv pip compile pyproject.toml --all-extras --universal --generate-hashes \
		--python-version 3.11 --fork-strategy fewest --no-header $(UPGRADE) --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) $(LOCK_VENV) .mypy_cache .pytest_cache .ruff_cache src/bosscal.egg-info
