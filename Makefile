# make demo   try it on the sample data         make test   everything that must hold
# make lint   the quick half of make test       make format   let ruff mend what it can
# make docs   the site, in build/docs           make sample-data   draw sample_data/data anew
# make dist   wheel and sdist, inspected        make test-lowest   the lowest versions allowed
# make test-bare   the wheel in environments that lack something
.POSIX:

PYTHON_BIN = .venv/bin/python

.PHONY: demo test lint format setup sample-data docs dist test-lowest test-bare

demo: setup
	scripts/demo.sh

test: setup
	scripts/test.sh

lint: setup
	$(PYTHON_BIN) -m ruff check .
	$(PYTHON_BIN) -m ruff format --check .
	$(PYTHON_BIN) -m mypy
	.venv/bin/lint-imports

format: setup
	$(PYTHON_BIN) -m ruff check --fix .
	$(PYTHON_BIN) -m ruff format .

sample-data: setup
	$(PYTHON_BIN) sample_data/draw.py

docs: setup
	$(PYTHON_BIN) -m sphinx -W --keep-going -q -b html docs build/docs

dist: setup
	$(PYTHON_BIN) scripts/build_dist.py

test-lowest: setup
	scripts/test_lowest.sh

test-bare: dist
	scripts/test_bare.sh

setup:
	@scripts/setup.sh
