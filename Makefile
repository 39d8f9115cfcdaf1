# `make` lists what there is. Every target makes its own set-up, and quickly finds it done.

PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	"$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$name" && break; done)
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
# Static checks read the settings but no database; this one needs no server.
STATIC_ENV := SECRET_KEY=static-checks DATABASE_URL=sqlite://:memory:
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help run demo demo-remove test check bench proof docs lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp ## start everything, on http://127.0.0.1:8000/ (HOST, PORT, PAIRKEEPER_HOME)
	@exec $(BIN)/python -m run --end-with-parent

demo: $(VENV)/demo.stamp ## the same, with a demo fleet of real servers
	@exec $(BIN)/python -m run --end-with-parent --demo

demo-remove: $(VENV)/run.stamp ## remove the demo fleet's pairs, tenants and history
	@exec $(BIN)/python -m run --manage demo remove

test: check ## static checks and all tests
	$(PYTEST) -n 2 -m 'not (live or slow or browser or alone)'
	$(PYTEST) -n 2 --dist worksteal -m '(live or slow) and not (browser or alone)'
	$(PYTEST) -m 'browser or alone'

check: $(VENV)/dev.stamp ## format, lint, types, migrations, house rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(STATIC_ENV) $(BIN)/mypy
	$(STATIC_ENV) $(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/hadolint Dockerfile
	$(PYTEST) -q tests/house

bench: $(VENV)/dev.stamp ## measure the budgets; writes bench.json and docs/performance.md
	@exec $(BIN)/python -m tests.bench

proof: $(VENV)/dev.stamp ## carry out every remediation on real servers; writes checks/proof.json
	$(PYTEST) -q tests/live/test_remedies.py -k mends -o junit_family=xunit1 --junitxml=$(VENV)/proof.xml
	$(BIN)/python -m tests.proof $(VENV)/proof.xml

docs: $(VENV)/dev.stamp ## make docs/rules.md anew from the rules
	$(BIN)/python -m checks rules --markdown > docs/rules.md

lock: $(BIN)/uv ## remake the locks from pyproject.toml
	$(LOCK) --output-file requirements.txt
	$(LOCK) --constraint requirements.txt --extra embedded --output-file requirements/embedded.txt
	$(LOCK) --constraint requirements/embedded.txt --extra embedded --extra demo --extra dev --output-file requirements/dev.txt
	$(LOCK) --constraint requirements/dev.txt --extra embedded --extra demo --output-file requirements/demo.txt

# Installing is a step of its own per lock, done again only when its lock has changed.
$(VENV)/run.stamp: requirements/embedded.txt $(VENV)/venv.stamp
	@echo "  installing what make run needs …"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements/embedded.txt
	@touch $@

$(VENV)/demo.stamp: requirements/demo.txt $(VENV)/run.stamp
	@echo "  installing what the demo needs …"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements/demo.txt
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/run.stamp
	@echo "  installing what tests need …"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements/dev.txt
	@touch $@

$(VENV)/venv.stamp:
	@test -n "$(PYTHON)" || { echo "Pairkeeper needs Python 3.11 or newer with venv (on Debian and Ubuntu: apt install python3 python3-venv)." >&2; exit 1; }
	@mkdir -p $(VENV) 2>/dev/null && test -w $(VENV) || { echo "This folder cannot be written: clone Pairkeeper into a folder of your own." >&2; exit 1; }
	@echo "  making $(VENV) with $(PYTHON) …"
	@"$(PYTHON)" -m venv $(VENV)
	@touch $@

# The lock tool alone, so that a broken or missing lock can be remade.
$(BIN)/uv: | $(VENV)/venv.stamp
	@$(BIN)/python -m pip install -qq --disable-pip-version-check "$$(grep -o 'uv==[0-9.]*' pyproject.toml)"
