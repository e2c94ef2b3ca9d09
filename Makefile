# Every target sets up what it needs: two environments by uv, out of PyPI. Nothing is installed by hand.
#   make demo     the main job, on this machine, without Docker or a cluster
#   make test     all tests; E2E=local without what `make e2e` and `make test-operator` show as well on a real cluster
#   make conformance  the embedded API server's own tests on a real one: KUBECONFIG's, or kind's where Docker is
#   make e2e      end-to-end tests on a real Kubernetes: KUBECONFIG's, or kind's where Docker is
#   make test-chart  the chart's templates and permissions
#   make test-mutations  MUTATIONS (1000) of each example's spec through the API server
#   make test-fleet  fifty crews at once; needs KUBECONFIG of a cluster with kwok's nodes
#   make fidelity  each crew of tests/fidelity bare and through the server; NAMES="spans plain" for some
#   make faults   each fault with load from outside, and what it cost: docs/fault-matrix.md; FAULTS="redis-killed flushall" for some
#   make lint     format, lint, types, architecture, generated files
#   make bench    figures beside their rivals, into build/bench.json
#   make bench-kubernetes  the operator's figures, on KUBECONFIG's cluster
#   make images   builds the operator's and the runtime's image with docker, podman or buildah
#   make audit    compares what is locked with the known vulnerabilities of PyPI's and OSV's databases
#   make crds     writes crds/crewdeployments.yaml, the chart's copy and the docs made from the same types anew

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo fidelity test test-unit test-integration test-apiserver test-operator test-chart test-mutations test-e2e test-fleet faults e2e conformance lint format types audit bench bench-kubernetes images crds clean

PYTHON ?= python3
BUILD := build
UV := $(BUILD)/uv/bin/uv
TOOLS := .venv/bin
CREW := .venv-crew/bin
LOCKED := uv.lock pyproject.toml operator/pyproject.toml runtime/worker/pyproject.toml runtime/server/pyproject.toml runtime/injection/pyproject.toml programs/pyproject.toml localcluster/pyproject.toml cli/pyproject.toml
PYTEST_ARGS ?=
E2E ?= all

export PYTHONDONTWRITEBYTECODE =
export CREWAI_DISABLE_TELEMETRY = true

help:
	@sed -n 's/^#   //p' Makefile

$(UV):
	@echo "setting up uv in $(BUILD)/uv"
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "installing python3-venv"; apt-get install -y -q python3-venv || { apt-get update -q && apt-get install -y -q python3-venv; }; }
	@$(PYTHON) -m venv $(BUILD)/uv
	@$(PYTHON) tools/locked.py uv > $(BUILD)/uv/requirements.txt
	@$(BUILD)/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(BUILD)/uv/requirements.txt

# Bytecode is compiled once here: a replica that has to compile CrewAI first starts three times slower.
.venv/.ready: $(LOCKED) | $(UV)
	@echo "setting up .venv: operator, server half, crewctl, checkers"
	@UV_PYTHON=$$($(PYTHON) -c 'import sys; print(sys.executable)') $(UV) sync --quiet --frozen --compile-bytecode
	@touch $@

.venv-crew/.ready: $(LOCKED) | $(UV)
	@echo "setting up .venv-crew: CrewAI and the worker half (about 800 MB)"
	@UV_PYTHON=$$($(PYTHON) -c 'import sys; print(sys.executable)') UV_PROJECT_ENVIRONMENT=.venv-crew $(UV) sync --quiet --frozen --no-default-groups --group crew --compile-bytecode
	@touch $@

ready: .venv/.ready .venv-crew/.ready
.PHONY: ready

demo: ready
	@$(TOOLS)/crewctl demo $(if $(KEEP),--keep)

test: ready
	CREWOPS_E2E=$(E2E) tests/side-by-side $(PYTEST_ARGS)
	@echo "all tests passed"

# One by one, in order. Two interpreters, hence two runs each: the crew's side and ours.
test-unit: ready
	$(TOOLS)/python -m pytest tests/unit --ignore tests/unit/runtime $(PYTEST_ARGS)
	$(CREW)/python -m pytest tests/unit/runtime $(PYTEST_ARGS)

test-integration: ready
	$(CREW)/python -m pytest tests/integration/memory tests/integration/worker tests/integration/concierge tests/integration/library $(PYTEST_ARGS)
	$(TOOLS)/python -m pytest tests/integration --ignore tests/integration/memory --ignore tests/integration/worker --ignore tests/integration/concierge --ignore tests/integration/library $(PYTEST_ARGS)

# The embedded API server's own suite; with KUBECONFIG it asks that API server instead.
test-apiserver: ready
	$(TOOLS)/python -m pytest tests/integration/apiserver $(PYTEST_ARGS)

# The operator in the tests' own process; with KUBECONFIG on that API server, which has to have no nodes.
test-operator: ready
	$(TOOLS)/python -m pytest tests/integration/operator $(PYTEST_ARGS)

# Each of them has to leave the operator healthy and get a status, or be refused by the schema; the seed is printed.
MUTATIONS ?= 1000
test-mutations: .venv/.ready
	env -u KUBECONFIG CREWOPS_MUTATIONS=$(MUTATIONS) $(TOOLS)/python -m pytest -rP tests/integration/operator/test_hostile_specs.py $(PYTEST_ARGS)

test-e2e: ready
	$(TOOLS)/python -m pytest tests/e2e tests/faults $(PYTEST_ARGS)

# Each crew of the corpus bare, as `python main.py` would, and through the server; exits 1 when a row differs.
fidelity: ready
	env -u OTEL_SDK_DISABLED -u CREWAI_DISABLE_TELEMETRY $(TOOLS)/python tests/fidelity/run.py $(NAMES) $(FIDELITY_ARGS)

# Each fault under load, on the local cluster, in half an hour; exits 1 when one lost what it need not lose. OPERATOR=killed or
# stopped: with the operator so meanwhile. Some of them write docs/fault-matrix.md with FAULTS_ARGS=--write only.
faults: ready
	$(TOOLS)/python tests/faults/matrix/run.py $(FAULTS) $(if $(OPERATOR),--operator $(OPERATOR)) $(FAULTS_ARGS)

# Fifty crews at once, on the kwok nodes of KUBECONFIG's cluster.
test-fleet: ready
	$(TOOLS)/python -m pytest tests/fleet $(PYTEST_ARGS)

# The same tests, and those of the Helm release, on a real Kubernetes.
e2e: ready
	tests/e2e/on-kubernetes $(PYTEST_ARGS)

# The embedded API server's suite on a real API server.
conformance: ready
	tests/integration/apiserver/on-kubernetes $(PYTEST_ARGS)

# What helm makes of the chart, and whether its rules are what the operator asks for (of the embedded API server).
test-chart: ready
	env -u KUBECONFIG $(TOOLS)/python -m pytest tests/unit/charts tests/integration/operator/test_permissions.py $(PYTEST_ARGS)

lint: ready types
	$(TOOLS)/ruff check .
	$(TOOLS)/ruff format --check .
	$(TOOLS)/lint-imports
	@$(TOOLS)/python -m crew_operator.api.crd | diff -u crds/crewdeployments.yaml - || { echo "crds/crewdeployments.yaml is stale: run 'make crds'"; exit 1; }

# Each environment by itself: what the images and the user's command install, and what we work with.
audit: | $(UV)
	@mkdir -p $(BUILD)/audit
	@UV_PROJECT_ENVIRONMENT=$(BUILD)/audit/venv $(UV) sync --quiet --frozen --only-group audit
	@for one in crew-operator crew-server crewctl localcluster; do \
	  $(UV) export --quiet --frozen --no-default-groups --package $$one --no-emit-workspace -o $(BUILD)/audit/$$one.txt; done
	@for one in crew-image image-build tools crew bench audit; do \
	  $(UV) export --quiet --frozen --only-group $$one --no-emit-workspace -o $(BUILD)/audit/$$one.txt; done
	@for one in $(BUILD)/audit/*.txt; do \
	  echo "$$one"; \
	  $(BUILD)/audit/venv/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r $$one; done

types: ready
	$(TOOLS)/mypy operator/src runtime/server/src runtime/injection/src programs/src localcluster/src cli/src tools
	$(CREW)/mypy runtime/worker/src examples/concierge

format: ready
	$(TOOLS)/ruff check --fix .
	$(TOOLS)/ruff format .

.venv-bench/.ready: $(LOCKED) | $(UV)
	@echo "setting up .venv-bench: the crew's side and its rivals"
	@UV_PYTHON=$$($(PYTHON) -c 'import sys; print(sys.executable)') UV_PROJECT_ENVIRONMENT=.venv-bench $(UV) sync --quiet --frozen --no-default-groups --group bench --compile-bytecode
	@touch $@

bench: ready .venv-bench/.ready
	@mkdir -p $(BUILD)
	.venv-bench/bin/python tests/bench/run.py --output $(BUILD)/bench.json $(BENCH_ARGS)

# Of the operator, on the cluster of KUBECONFIG: BENCH_ARGS='--only fleet' on kwok's nodes, '--only time_to_ready' on others.
bench-kubernetes: ready
	@mkdir -p $(BUILD)
	$(TOOLS)/python tests/bench/run.py --output $(BUILD)/bench-kubernetes.json --kubeconfig "$$KUBECONFIG" $(BENCH_ARGS)

IMAGE_TAG ?= dev
IMAGE_PREFIX ?= localhost
IMAGE_LABELS = --build-arg REVISION=$(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
# Any of the three takes the same arguments; a docker without its daemon can build nothing.
BUILDER = $(shell docker info >/dev/null 2>&1 && echo docker || command -v podman || command -v buildah)
images:
	@test -n "$(BUILDER)" || { echo "make images needs docker (running), podman or buildah: apt-get install buildah"; exit 1; }
	$(BUILDER) build -f operator/Dockerfile $(IMAGE_LABELS) -t $(IMAGE_PREFIX)/crew-operator:$(IMAGE_TAG) $(BUILD_ARGS) .
	$(BUILDER) build -f runtime/Dockerfile $(IMAGE_LABELS) -t $(IMAGE_PREFIX)/crew-runtime:$(IMAGE_TAG) $(BUILD_ARGS) .

crds: .venv/.ready
	$(TOOLS)/python -m crew_operator.api.crd > crds/crewdeployments.yaml
	cp crds/crewdeployments.yaml charts/crew-operator/files/crewdeployments.yaml
	$(TOOLS)/python -m crew_operator.api.reference docs

clean:
	rm -rf .venv .venv-crew .venv-bench $(BUILD)
