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
lock:
	uv pip compile --no-emit-index-url --universal --generate-hashes --python-version 3.11 requirements.in -o requirements.txt
	uv pip compile --no-emit-index-url --universal --generate-hashes --python-version 3.11 requirements-dev.in -o requirements-dev.txt
