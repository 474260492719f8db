# Every target does all of its own set-up. Python 3.11+ and make are all it assumes.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
ONLY ?=

.PHONY: demo test setup setup-dev check format bench faults fuzz lock clean

demo: setup
	$(BIN)/camera-hub demo $(ARGS)

test: setup-dev
	$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

setup:
	@$(PYTHON) tools/setup.py run

setup-dev:
	@$(PYTHON) tools/setup.py dev

check: setup-dev
	@$(BIN)/python tools/check.py

format: setup-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench:
	@$(PYTHON) tools/setup.py bench
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(ARGS)

faults: setup-dev
	$(BIN)/python -m pytest -m faults $(ARGS)

fuzz: setup-dev
	FUZZ_EXAMPLES=100 $(BIN)/python -m pytest -x -n 0 -m hypothesis --timeout 0 $(ARGS)

lock:
	$(BIN)/python tools/lock.py

clean:
	rm -rf .venv .demo web/node_modules api/console .mypy_cache .ruff_cache .pytest_cache
