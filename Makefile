# Shorthands; run.py does the work and needs no make.
.PHONY: run test check lock
PYTHON ?= python3

run:
	$(PYTHON) run.py

test:
	$(PYTHON) run.py test

check:
	$(PYTHON) run.py check

# For maintainers, with uv: pin what requirements*.in ask for. Everybody installs with plain pip.
LOCK = uv pip compile --no-emit-index-url --universal --generate-hashes --python-version 3.11
lock:
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) requirements/dev.in -o requirements/dev.txt
	$(LOCK) requirements/bench.in -o requirements/bench.txt
	$(LOCK) requirements/browser.in -o requirements/browser.txt
