# Undertone. `make` alone lists what can be made.

PYTHON ?= $(firstword $(foreach v,3.11 3.12 3.13,$(shell python$(v) -c 'print("python$(v)")' 2>/dev/null)) python3)
PIP := pip --disable-pip-version-check -q
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help run test check format clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: .venv/.ready ## listen (plays the packaged sample where there is no microphone)
	@.venv/bin/undertone listen

test: .venv-dev/.ready ## every test; UNDERTONE_DATA names the folder of the corpora, if there is one
	.venv-dev/bin/python -m pytest -q -n $(WORKERS) --dist loadgroup

check: .venv-dev/.ready ## ruff and mypy --strict
	.venv-dev/bin/ruff check .
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/mypy

format: .venv-dev/.ready ## mend what ruff can mend
	.venv-dev/bin/ruff check --fix .
	.venv-dev/bin/ruff format .

clean: ## remove both environments and everything built
	rm -rf .venv .venv-dev build dist *.egg-info .cache .mypy_cache .ruff_cache .pytest_cache

.venv/.ready: setup.py constraints.txt
	@sh tools/system-packages.sh python3-venv:ensurepip libportaudio2:portaudio
	$(PYTHON) -m venv .venv
	.venv/bin/$(PIP) install -c constraints.txt -e .
	@touch $@

.venv-dev/.ready: setup.py constraints.txt
	@sh tools/system-packages.sh python3-venv:ensurepip libportaudio2:portaudio
	$(PYTHON) -m venv .venv-dev
	.venv-dev/bin/$(PIP) install -c constraints.txt -e '.[training,test]'
	@touch $@
