# `make test` and `make demo` need python3 (3.11 or newer) and make; everything else lands in .venv.

.DEFAULT_GOAL := help
.PHONY: help setup check test test-slow bench demo format clean

# One thread a process: work is spread over processes, and threads that wait for each other are many times slower.
export OMP_NUM_THREADS := 1
export OMP_WAIT_POLICY := PASSIVE

BIN := .venv/bin
INSTALLED := .venv/.installed
WORKERS ?= 2

help:
	@echo 'make test       check style, types and imports, then run the tests (a few minutes on two cores)'
	@echo 'make test-slow  run the tests that take long: learning, invariants over seeds, tutorials'
	@echo 'make demo       train the chip floorplanning tree at its quick preset into runs/demo'
	@echo 'make bench      time the hot paths; prints ratios'
	@echo 'make format     rewrite the code in the project style'
	@echo 'make clean      remove .venv and caches; keeps runs'

$(INSTALLED): pyproject.toml constraints.txt scripts/setup
	@scripts/setup

setup: $(INSTALLED)

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports --no-logo

test: check
	$(BIN)/pytest -n $(WORKERS) -m 'not slow'

test-slow: $(INSTALLED)
	$(BIN)/pytest -n $(WORKERS) -m slow

bench: $(INSTALLED)
	@for script in $(wildcard benchmarks/*.py); do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

demo: $(INSTALLED)
	$(BIN)/rewardtree run chip --preset quick --out runs/demo
	@echo 'The report is runs/demo/report.html'

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
