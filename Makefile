# The daily commands; `make` alone lists them. Each is one line that can be typed as well.
RUN = uv run
PYTEST = $(RUN) pytest -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help lint format types test-fast test coverage readme benchmarks check

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-12s %s\n", $$1, $$2 }'

lint: ## look for faults of style and form
	$(RUN) ruff check .
	$(RUN) ruff format --check .

format: ## mend what can be mended by itself
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

types: ## check the types of the packages, benchmarks, examples and helpers of tests
	$(RUN) mypy

test-fast: ## the tests that take a moment each: under two minutes on two cores
	$(PYTEST) -m "not slow"

test: ## all tests: under eight minutes on two cores
	$(PYTEST)

coverage: ## all tests, and which lines no test reaches: on the console and in runs/coverage/
	$(PYTEST) --cov --cov-report=term:skip-covered --cov-report=html

readme: ## fill the README and docs/results.md, and draw docs/results/, from results/
	$(RUN) benchmarks/readme.py

benchmarks: ## time and measure what needs no data, into runs/; `make benchmarks RECORD=--record` into results/
	for name in baselines arena fit integer step_time quantizers; do $(RUN) benchmarks/$$name.py $(RECORD) || exit 1; done

check: lint types test-fast ## what to run before a commit
