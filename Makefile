# Shorthands; run.py does the work and needs no make.
.PHONY: help run test quick check docs bench chaos simulate lock
PYTHON ?= python3

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## the product, with everything it needs
	$(PYTHON) run.py

test: ## every test, in parallel
	$(PYTHON) run.py test

quick: ## the tests to run while working: under a minute
	$(PYTHON) run.py test --quick

check: ## what CI does: format, lint, types, layers, tests
	$(PYTHON) run.py check

docs: ## the documentation site, into .site
	$(PYTHON) run.py docs

bench: ## measure it
	$(PYTHON) run.py bench

chaos: ## break it while people talk, and check that nothing is lost
	$(PYTHON) run.py chaos

simulate: ## the core in a simulated world, for a minute: fresh seeds
	$(PYTHON) run.py simulate

# Each lock keeps to the pins of those above it. Everybody installs with plain pip, or with uv where it is.
LOCK = uv pip compile --no-emit-index-url --universal --generate-hashes --python-version 3.11
lock: ## pin what requirements.in and requirements/*.in ask for; needs uv (pip install uv)
	$(LOCK) requirements.in -o requirements.txt
	for name in embedded dev bench browser docs node terminal; do $(LOCK) requirements/$$name.in -o requirements/$$name.txt || exit 1; done
