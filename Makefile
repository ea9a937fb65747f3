# make demo   try it on the sample data         make test   everything that must hold
# make lint   the quick half of make test       make format   let ruff mend what it can
# make sample-data   draw sample_data/data anew
.POSIX:

PYTHON_BIN = .venv/bin/python

.PHONY: demo test lint format setup sample-data

demo: setup
	scripts/demo.sh

test: lint
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

setup:
	@scripts/setup.sh
