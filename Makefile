# The exchange's own commands. Everything is installed into .venv; nothing else on the machine is touched.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: run test check lint types contract migrations suite suite-production kills accuracy bench lock clean

run: .venv/installed
	@$(BIN)/python manage.py run_demonstration

test: check suite suite-production

# The types take longest; the others are done beside them.
check: .venv/installed-dev
	@$(MAKE) -j 2 --output-sync --no-print-directory types lint contract migrations

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed-dev
	$(BIN)/mypy

contract: .venv/installed-dev
	$(BIN)/lint-imports

migrations: .venv/installed-dev
	HIE_DATA_DIR=.test-data $(BIN)/python manage.py makemigrations --check --dry-run

suite: .venv/installed-dev
	@echo "== The suite on SQLite"
	HIE_DATA_DIR=.test-data $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# What touches no database, or is shown to be the same on both by other tests (the walk, the browser), ran already.
ONCE := tests/values tests/wire tests/accuracy tests/apps/pix/matching tests/apps/ssmix/test_lanes.py \
    tests/test_house.py tests/test_readme.py tests/admin/test_browser.py tests/admin/test_translations.py \
    tests/transport/test_mllp_workers.py tests/robustness/test_large_documents.py
ONCE_OF_SERVE := slow_senders silent_connections five_hundred_idle a_region_without_certificates plain_mllp
suite-production: .venv/installed-dev
	@echo "== The suite on PostgreSQL and Redis"
	@sh tests/with_services.sh $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ONCE:%=--ignore %) \
	    $(ONCE_OF_SERVE:%=--deselect tests/transport/test_serve.py::test_%)

kills: .venv/installed-dev
	HIE_KILLS=20 HIE_DATA_DIR=.test-data $(BIN)/python -m pytest tests/robustness -k killed -s

bench: .venv/installed-dev
	$(BIN)/python -m bench

accuracy: .venv/installed-dev
	$(BIN)/python -m accuracy

lock: .venv/installed-dev
	$(BIN)/pip-compile -q --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --strip-extras --no-annotate -o requirements.txt requirements.in
	$(BIN)/pip-compile -q --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --strip-extras --no-annotate -o requirements-dev.txt requirements-dev.in

.venv/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: install it, or name it: make run PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed, $(PYTHON) is another version."; exit 1; }
	@echo "Making .venv"; $(PYTHON) -m venv .venv
	@touch $@

.venv/installed: requirements.txt | .venv/python
	@echo "Installing what the server needs (once)"; $(BIN)/pip install -q --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed | .venv/python
	@echo "Installing what the tests need (once)"; $(BIN)/pip install -q --no-compile --disable-pip-version-check -r requirements-dev.txt
	@touch $@

clean:
	rm -rf .venv .test-data .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
