# A machine needs Python 3.11 or newer with pip, make and a package index. Everything else is fetched into
# .tools/ and .venv/; nothing is installed outside this folder. PYTHON=python3.12 chooses another Python.

SHELL := /bin/sh
PYTHON ?= python3

UV_VERSION := 0.13.9

# uv makes .venv with this Python and never downloads one.
export UV_PYTHON := $(PYTHON)
export UV_PYTHON_DOWNLOADS := never

# A uv on PATH is taken when it is the pinned version, else the one under .tools/.
UV = $$(cat .tools/uv-path)
RUN = exec "$(UV)" run --frozen --all-extras
# One worker more than cores: many tests wait for a server or a process.
PYTEST = pytest -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist worksteal
SBOM ?= dist/rotator.cdx.json

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo playground test test-deploy static check prove bench mutants licences sbom requirements tools

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile

demo: tools ## see one rotation, against a simulated Deepgram and a real Vault-API server
	@exec "$(UV)" run --frozen --no-dev --extra demo rotator demo

playground: tools ## play the tutorial in docs/tutorial/first-hour.md: both servers, 300 keys, until Ctrl-C
	@$(RUN) python -m tests.support.playground

test: tools ## run every test
	@$(RUN) $(PYTEST) $(ARGS)

test-deploy: tools ## test deploy/ on real systemd and real containers, and end with a table; five minutes (needs root)
	@$(RUN) --group deploy python -m tests.deploy $(ARGS)

static: tools ## format, lint, types, layers, generated pages
	@uv=$(UV); run="$$uv run --frozen --all-extras"; \
	  say() { printf '==> %s\n' "$$*"; }; \
	  say format && $$run ruff format --check . && \
	  say lint && $$run ruff check . && \
	  say types && $$run mypy && \
	  say security && $$run bandit -q -c pyproject.toml -r rotator && \
	  say layers && $$run lint-imports --no-logo && \
	  say pages && $$run python -m tests.support.policy_pages --check && \
	  say traps && $$run python -m tests.support.traps --check && \
	  say promises && $$run python -m tests.support.promises --check && \
	  say metrics && $$run python -m tests.support.metrics_page --check && \
	  say commands && $$run python -m tests.support.commands --check

check: static ## the same, and the fast rings of tests
	@$(RUN) $(PYTEST) -q tests/core tests/service tests/arch

prove: tools ## try to break every promise; writes docs/explanation/proof.md; ten to twenty minutes on two cores
	@$(RUN) python -m tests.faults

bench: tools ## measure, as ratios; nothing here passes or fails on a time (needs curl and jq)
	@$(RUN) python -m tests.benchmarks $(ARGS)

mutants: tools ## make small wrong changes in plan and rotation; each must fail a test, or be explained
	@$(RUN) --group mutation python -m tests.mutation $(ARGS)

licences: tools ## list the licences of what the program needs; fail on one that pyproject.toml does not allow
	@exec "$(UV)" run --quiet --isolated --frozen --no-default-groups --group audit pip-licenses

sbom: tools ## write what the program consists of to dist/, as CycloneDX
	@mkdir -p "$$(dirname "$(SBOM)")"
	@exec "$(UV)" export --quiet --frozen --no-default-groups --format cyclonedx1.5 \
	  --preview-features sbom-export --output-file "$(SBOM)" >/dev/null
	@echo "$(SBOM)"

requirements: tools ## write what deploy/install.sh fetches, by hash, from the lock file
	@export="$(UV) export --quiet --frozen --no-emit-project --no-annotate --no-header"; \
	  $$export --no-default-groups --output-file deploy/requirements.txt && \
	  $$export --only-group build --output-file deploy/build-requirements.txt

tools:
	@command -v "$(PYTHON)" >/dev/null || { echo "make: there is no $(PYTHON) on PATH; rotator needs Python 3.11 or newer (PYTHON=... names one)" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: $(PYTHON) is $$("$(PYTHON)" -V 2>&1); rotator needs Python 3.11 or newer (PYTHON=... names one)" >&2; exit 1; }
	@mkdir -p .tools; \
	if found=$$(command -v uv) && [ "$$(uv --version 2>/dev/null | cut -d' ' -f2)" = "$(UV_VERSION)" ]; then \
	  echo "$$found" >.tools/uv-path; \
	else \
	  uv=.tools/uv-$(UV_VERSION)/bin/uv; \
	  if ! [ "$$($$uv --version 2>/dev/null | cut -d' ' -f2)" = "$(UV_VERSION)" ]; then \
	    echo "==> fetching uv $(UV_VERSION) into .tools/"; \
	    PIP_USER=0 "$(PYTHON)" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
	      --upgrade --target ".tools/uv-$(UV_VERSION)" "uv==$(UV_VERSION)"; \
	  fi && \
	  echo "$$uv" >.tools/uv-path; \
	fi
