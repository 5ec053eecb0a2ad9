# `make demo` and `make test` do all their own set-up; the other targets build on the same.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: demo test lint bench drill drill-tools coverage lock audit sbom clean

demo: $(VENV)/.runtime
	$(BIN)/stillwatch demo

test: $(VENV)/.test
	$(PYTEST) -n 2 --dist loadfile -m "not drill and not bench"

coverage: $(VENV)/.test
	$(PYTEST) -n 2 --dist loadfile -m "not drill and not bench" --cov --cov-report=term

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

drill: $(VENV)/.test drill-tools
	$(PYTEST) -s -m drill --timeout 3600

# Programs that drills start, through apt where that is possible.
drill-tools:
	sh tests/faults/tools.sh

bench: $(VENV)/.bench
	$(BIN)/python -m tests.bench

# Known vulnerabilities of what is pinned. Strict: a service that cannot be asked, or does not know a
# package, is a failure too. AUDIT_SERVICE=osv asks the other one.
AUDIT_SERVICE ?= pypi
audit: $(VENV)/.audit
	$(BIN)/pip-audit --strict --progress-spinner off --disable-pip --require-hashes --vulnerability-service $(AUDIT_SERVICE) -r requirements/runtime.txt -r requirements/hub.txt

# What a member's machine and what a hub runs with, as CycloneDX; the same pins give the same bytes.
sbom: $(VENV)/.audit
	mkdir -p build
	$(BIN)/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible --output-file build/stillwatch.cdx.json requirements/runtime.txt
	$(BIN)/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible --output-file build/stillwatch-hub.cdx.json requirements/hub.txt

# Pins are universal over platforms and Python 3.11-3.13, with hashes, without index addresses.
lock: $(VENV)/.uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --all-extras pyproject.toml --group test -c requirements/runtime.txt requirements/build.in -o requirements/test.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --group bench -c requirements/test.txt -o requirements/bench.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --extra postgres --extra oauth --extra otel --extra fast pyproject.toml -c requirements/test.txt -o requirements/hub.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --group audit -c requirements/test.txt -o requirements/audit.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate requirements/build.in -c requirements/test.txt -o requirements/build.txt

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.uv: | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/stillwatch warm
	@touch $@

$(VENV)/.test: $(VENV)/.runtime requirements/test.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.txt
	@touch $@

$(VENV)/.audit: requirements/audit.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.txt
	@touch $@

$(VENV)/.bench: $(VENV)/.test requirements/bench.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .coverage*
