# make demo   install the core, scan the demo evidence, leave case and report
# make test   install everything, run all checks and tests (what CI runs)
# make lint   format and lint the code in place
# make clean  remove what was installed and built

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What an installation depends on; nothing is installed again until one of them changes.
INSTALLS := pyproject.toml Makefile

.PHONY: demo test lint clean

demo: $(VENV)/.core
	rm -f demo/case.db* demo/report.html
	@# The demo holds a truncated picture and a text file named .jpg: 3, done with problems, is right.
	$(BIN)/femo scan demo/evidence --case demo/case.db; test $$? -eq 3
	$(BIN)/femo report demo/case.db --out demo/report.html
	@echo "Done. The case is demo/case.db, the report is demo/report.html: open it in a browser."

test: $(VENV)/.all
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -m "slow or not slow" --durations 20 -n 2 --dist worksteal

lint: $(VENV)/.all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist *.egg-info demo/case.db* demo/report.html

$(VENV)/.venv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "femo needs Python 3.10 or newer")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.core: $(VENV)/.venv $(INSTALLS)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.all: $(VENV)/.venv $(INSTALLS)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[train,parquet,dev]'
	touch $(VENV)/.core $@
