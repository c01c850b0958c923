# `make help` lists the targets. Everything runs in .venv, which the targets create if it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SEED ?= 1
EXAMPLES ?= 50
TOOL_TESTS := tests/openapi tests/typing tests/benchmarks
CLUSTER_TESTS := tests/cluster
RAY_VERSION ?= 2.60.0
RAY_VENV := .venv-ray
RAY_READY := $(RAY_VENV)/.ready-$(RAY_VERSION)
# Slurm or Ray; empty: both.
ENGINE ?=
IN_PARALLEL := --numprocesses auto --dist loadfile --examples 10

ON_CLUSTERS := $(BIN)/python -m tests.cluster.machines $(BIN)/python -m pytest -rs \
	-o faulthandler_timeout=180 -o faulthandler_exit_on_timeout=true $(CLUSTER_TESTS)

.DEFAULT_GOAL := help
.PHONY: help setup setup-debian setup-cluster-debian setup-ray demo demo-cluster serve test test-tools test-cluster cluster-slurm cluster-ray test-versions mutants faults bench contract contract-independent \
	lint types check-spec check-generated breaking generate clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-22s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Create .venv, and install the package and the development tools in it

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11, 4) else "Python 3.11.4 or newer is needed; set PYTHON=python3.x")'
	@echo "Creating $(VENV) (once; this takes a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip==25.3"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[server,cli]" --group dev
	@touch $@

setup-debian: ## Install Chromium, Open MPI and git-lfs, which some tests need, on Debian (as root)
	@apt-get update --quiet=2
	@DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends \
		chromium openmpi-bin git-lfs >/dev/null

setup-cluster-debian: ## Install Slurm, MUNGE, Redis and Open MPI, which test-cluster needs, on Debian (as root)
	@apt-get update --quiet=2
	@DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends \
		slurmctld slurmd slurm-client munge redis-server openmpi-bin iproute2 >/dev/null

setup-ray: $(RAY_READY) ## Create .venv-ray, and install Ray in it; RAY_VERSION=2.60.0

$(RAY_READY):
	@echo "Creating $(RAY_VENV) with Ray $(RAY_VERSION) (once; it takes 340 MB) ..."
	@$(PYTHON) -m venv --clear $(RAY_VENV)
	@$(RAY_VENV)/bin/python -m pip install --quiet --disable-pip-version-check "ray[default]==$(RAY_VERSION)" numpy
	@touch $@

demo: $(READY) ## Train on one node and on three, on this machine: examples/demo.py
	@$(BIN)/python examples/demo.py

demo-cluster: $(READY) $(if $(filter ray,$(ENGINE)),$(RAY_READY)) ## Train on three machines of a cluster, here: examples/demo_cluster.py; ENGINE=slurm or ray
	@$(BIN)/python -m examples.demo_cluster '$(ENGINE)'

serve: $(READY) ## Start the local server; ARGS='--runner process' executes commands
	@$(BIN)/python -m gradient_server $(ARGS)

test: $(READY) ## Run the tests of client and server, or some tests: ARGS='-k logs'
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),$(IN_PARALLEL) $(addprefix --ignore ,$(TOOL_TESTS) $(CLUSTER_TESTS)))

test-tools: $(READY) ## Run the tests of the development tools: generation, breaking changes, types, benchmarks
	@$(BIN)/python -m pytest $(IN_PARALLEL) $(TOOL_TESTS) $(ARGS)

test-cluster: $(READY) $(if $(filter slurm,$(ENGINE)),,$(RAY_READY)) ## Run experiments on Slurm and Ray, on three machines here; ENGINE=slurm, ARGS='-k kill'
ifeq ($(ENGINE)$(ARGS),)
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=line cluster-slurm cluster-ray
else
	@$(ON_CLUSTERS) $(if $(ENGINE),-k $(ENGINE)) $(ARGS)
endif

cluster-slurm: # Each engine has a network of its own, so that both can be tested at the same time.
	@$(ON_CLUSTERS) -k 'not ray'

cluster-ray:
	@$(ON_CLUSTERS) -k ray

test-versions: $(READY) ## Test each Python version with the lowest and the highest dependencies; ARGS='--python 3.13'
	@$(BIN)/nox --session tests $(ARGS)

mutants: $(READY) ## Run mutation tests: ARGS='gradient_ext/logs.py tests/unit/test_logs.py', a module and its tests
	@$(BIN)/nox --session mutants --reuse-venv yes -- $(ARGS)

faults: $(READY) ## Create and start thousands of experiments exactly once over a bad network; ARGS='--examples 5000'
	@$(BIN)/python -m pytest tests/e2e/chaos --numprocesses 3 --examples 1000 $(ARGS)

contract: $(READY) ## Test client and server against the contract; SEED=random EXAMPLES=1000 for a long run
	@seed=$(SEED); [ "$$seed" != random ] || seed=$$($(BIN)/python -c 'import random; print(random.getrandbits(32))'); \
	echo "Seed $$seed, $(EXAMPLES) examples of each kind; SEED=$$seed EXAMPLES=$(EXAMPLES) repeats it"; \
	$(BIN)/python tests/contract/command_line.py --seed "$$seed" --max-examples $(EXAMPLES) && \
	$(BIN)/python -m pytest tests/contract --hypothesis-seed "$$seed" --examples $(EXAMPLES) $(ARGS)

contract-independent: $(READY) ## Validate contract, client and server with Prism and Redocly; needs Node
ifeq ($(shell command -v npm),)
	@echo "contract-independent: SKIPPED, nothing was validated: npm is missing (Node 20 or newer)"
else
	@cd tests/contract/independent && [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --loglevel=error
	@$(BIN)/python -m pytest tests/contract/independent $(ARGS)
endif

bench: $(READY) ## Compare the speed of this client with raw httpx and the old client; ARGS='--only get list_10k'
	@$(BIN)/python -m benchmarks $(ARGS)

lint: $(READY) ## Run the linter, and check the format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY) ## Run the type checkers
	@$(BIN)/python -m compileall -q generated
	@$(BIN)/mypy
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --project pyproject.toml

check-spec: $(READY) ## Check that the contract is a valid OpenAPI document
	@$(BIN)/openapi-spec-validator openapi/experiments.yaml

generate: $(READY) ## Write generated/ from openapi/experiments.yaml, and list what changed
	@$(BIN)/python openapi/generate.py

check-generated: $(READY) ## Fail if generated/ is out of date
	@$(BIN)/python openapi/generate.py --check

breaking: $(READY) ## Fail if the contract breaks callers of BASE=REVISION; default: of the last release
	@$(BIN)/python openapi/breaking.py -- '$(BASE)'

clean: ## Remove all environments and the files of tools
	@rm -rf $(VENV) $(VENV)-* build dist .hypothesis .mypy_cache .nox .pytest_cache .ruff_cache
	@rm -rf tests/contract/independent/node_modules
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
