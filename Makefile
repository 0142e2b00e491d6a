# Undertone. `make` without a target lists the targets.

VERSIONS := 3.11 3.12 3.13
# the first interpreter that runs: a name on the PATH may be a shim with nothing behind it
PYTHON ?= $(firstword $(foreach version,$(VERSIONS),$(shell \
	python$(version) -c 'print("python$(version)")' 2>/dev/null)) python3)
PIP := pip --disable-pip-version-check --quiet
WORKERS ?= 3
EXAMPLES ?= 100000
EVENTS ?= 10000000
CLIPS ?= 100000
HOURS ?= 1
MINUTES ?= 1
ARM ?= build/arm
STEPS ?=
RUNS ?= 1000
OUTPUT ?=
ARCHITECTURE ?=
RELEASE ?= 12
CONTAINER ?= podman

.DEFAULT_GOAL := help
.PHONY: help run test fuzz attack soak journal-scale publish-cost bench growth scale check format arm pictures figures clean deb deb-check container

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: .venv/.ready ## listen (to the packaged sample if there is no microphone)
	@.venv/bin/undertone listen

test: .venv-dev/.ready ## run all tests; UNDERTONE_DATA is the folder of the corpora, if there is one
	.venv-dev/bin/python -m pytest -q -n $(WORKERS) --dist loadgroup

check: .venv-dev/.ready ## run ruff and mypy --strict
	.venv-dev/bin/ruff check .
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/mypy

format: .venv-dev/.ready ## fix what ruff can fix
	.venv-dev/bin/ruff check --fix .
	.venv-dev/bin/ruff format .

fuzz: .venv-dev/.ready ## read EXAMPLES damaged files of each kind with every reader
	UNDERTONE_FUZZ_EXAMPLES=$(EXAMPLES) .venv-dev/bin/python -m pytest -q -s tests/fuzz

attack: .venv-dev/.ready ## kill a listening program 300 times, and other attacks on it and on the broker
	UNDERTONE_ATTACKS=300 .venv-dev/bin/python -m pytest -q -s tests/attacks

soak: .venv-dev/.ready ## listen for a long time with injected faults: HOURS of a file, MINUTES of a microphone (as root)
	.venv-dev/bin/python tools/soak.py --hours $(HOURS) --minutes $(MINUTES) $(if $(OUTPUT),--output $(OUTPUT))

publish-cost: .venv-dev/.ready ## measure what it costs to publish a day, and what kills of the broker lose, into docs/
	.venv-dev/bin/python tools/publish_cost.py --output docs/bench/publish.json
	.venv-dev/bin/python tools/bench_figures.py

journal-scale: .venv-dev/.ready ## summarise a journal of EVENTS events
	.venv-dev/bin/python tools/journal_scale.py --events $(EVENTS) $(if $(OUTPUT),--output $(OUTPUT))

bench: .venv-dev/.ready ## measure every bundle with every runtime, into docs/; RUNS calls of each stage
	.venv-dev/bin/undertone bench models/* --runtime all --threads 1,2 --runs $(RUNS) \
		--format json --output docs/bench/machine-$(shell uname -m).json
	.venv-dev/bin/python tools/bench_figures.py
	.venv-dev/bin/undertone bench --read docs/bench/machine-$(shell uname -m).json \
		--check docs/bench/limits.toml

scale: .venv-dev/.ready ## measure prepare and fit with CLIPS made clips, into docs/; STEPS selects steps
	.venv-dev/bin/python tools/scale.py --clips $(CLIPS) $(STEPS)

growth: .venv-dev/.ready ## measure long recordings, many files and many microphones, into docs/
	.venv-dev/bin/python tools/growth.py --output docs/bench/growth.json
	.venv-dev/bin/python tools/bench_figures.py

arm: .venv-dev/.ready ## build, test and count the device on Arm under qemu (as root, on Debian); STEPS selects steps, ARM is the folder
	.venv-dev/bin/python tools/arm.py --folder $(ARM) $(STEPS)

pictures: .venv-dev/.ready ## draw the pictures of the README and docs/ again, after a change of what they show
	.venv-dev/bin/python tools/pictures.py
	.venv-dev/bin/python tools/architecture.py

figures: .venv-dev/.ready ## write the figures in the README, docs/ and model cards again, after a change of models/ or docs/*/
	.venv-dev/bin/python tools/docs_figures.py

clean: ## remove both environments and everything built
	rm -rf .venv .venv-dev build dist *.egg-info .hypothesis .mypy_cache .ruff_cache .pytest_cache

.venv/.ready: WHAT := .
.venv/.ready: SIZE := 230 MB
.venv-dev/.ready: WHAT := .[training,reference,web,formats,publish,apprise,test]
.venv-dev/.ready: SIZE := 3.5 GB
REQUIRE_PYTHON = sh tools/require-python.sh '$(PYTHON)' $(VERSIONS)

# Without PortAudio the packaged sample still works; without venv nothing does.
.venv/.ready .venv-dev/.ready: setup.py constraints.txt
	@$(REQUIRE_PYTHON)
	@PYTHON='$(PYTHON)' sh tools/system-packages.sh $(notdir $(PYTHON))-venv libportaudio2 \
		|| $(PYTHON) -c 'import ensurepip' 2>/dev/null
	@$(REQUIRE_PYTHON)
	@echo 'Installing Undertone into $(@D) (once): $(SIZE) on disk, a few minutes'
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/$(PIP) install --use-pep517 -c constraints.txt -e '$(WHAT)'
	@touch $@

deb: ## build the Debian packages into dist/, for Debian 12 (PYTHON=python3.11) or 13 (3.13); ARCHITECTURE is amd64 or arm64, default both
	@$(REQUIRE_PYTHON)
	@PYTHON='$(PYTHON)' sh tools/system-packages.sh $(notdir $(PYTHON))-venv dpkg binutils
	PYTHONPATH=device $(PYTHON) tools/debian_package.py $(if $(ARCHITECTURE),--architecture $(ARCHITECTURE))

deb-check: ## install, use and purge the packages of dist/ in a bare Debian (as root); RELEASE is 12 or 13
	PYTHONPATH=device:training $(PYTHON) tools/debian_check.py --release $(RELEASE) $(if $(ARCHITECTURE),--architecture $(ARCHITECTURE))

container: ## build the container image undertone; CONTAINER is podman or docker
	$(CONTAINER) build --file packaging/Containerfile --tag undertone .
