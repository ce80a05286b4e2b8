# Every target makes .venv by itself: with python3.13 where there is one, else any Python >= 3.11.
# One more than there are cores, since many tests wait for a process of their own.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 1)
CANDIDATES := python3.13 $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.13.*/bin/python) \
	python3.14 python3.12 python3.11 python3 python
PYTHON ?= $(shell for each in $(CANDIDATES); do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)
RUN := .venv/bin/python
SOURCES := function_app.py pat_core tests infra
BICEPCHECK := ../shared/tools/bicepcheck.py

.PHONY: demo serve test check bench simulate keep lock format clean

demo: .venv/cli
	$(RUN) -m pat_core demo $(ARGS)

serve: .venv/cli
	$(RUN) -m pat_core serve $(ARGS)

test: .venv/dev
	$(RUN) -m pytest --numprocesses $(WORKERS) --dist loadscope --no-loadscope-reorder $(ARGS)

check: .venv/dev
	$(RUN) -m ruff check $(SOURCES)
	$(RUN) -m ruff format --check $(SOURCES)
	$(RUN) -m mypy
	$(RUN) -m pytest -q tests/unit/test_floors.py tests/contract/test_infra.py
	@if [ -f $(BICEPCHECK) ]; then \
		$(RUN) $(BICEPCHECK) check --types ../shared/tools/bicep-types.json.gz --strict infra/; \
	else echo "Skipped: the Bicep files are not checked, $(BICEPCHECK) is not here."; fi
	@if command -v bicep >/dev/null; then \
		bicep build infra/main.bicep --stdout >/dev/null && bicep lint infra/main.bicep && \
		bicep build infra/app/delivery-reports.bicep --stdout >/dev/null && \
		AZURE_LOCATION=westeurope PAT_ORGANIZATIONS=contoso \
			bicep build-params infra/main.bicepparam --stdout >/dev/null; \
	else echo "Skipped: the Bicep CLI is not on this machine."; fi

bench: .venv/dev
	$(RUN) -m tests.bench $(ARGS)

simulate: .venv/dev
	$(RUN) -m tests.simulation --seeds $(or $(SEEDS),1000) $(ARGS)

keep: .venv/dev
	$(RUN) -m tests.upgrades.keep

lock: .venv/dev
	@echo "# Exactly what runs in Azure, with hashes; written by \`make lock\`." > requirements.txt
	$(RUN) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-header --no-annotate --no-emit-index-url pyproject.toml >> requirements.txt

format: .venv/dev
	$(RUN) -m ruff check --fix $(SOURCES)
	$(RUN) -m ruff format $(SOURCES)

clean:
	rm -rf .venv .local

.venv/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and none was found." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/cli: .venv/python pyproject.toml
	@echo "Installing what PAT Warden needs into .venv"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable ".[cli]"
	@touch $@

.venv/dev: .venv/python pyproject.toml
	@echo "Installing what PAT Warden and its tests need into .venv"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@# Only for its message classes: it brings a package called tests.
	@if $(RUN) -c 'import sys; sys.exit(sys.version_info < (3, 13))'; then \
		$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
			--target .venv/worker azure-functions-runtime-v1==1.2.0; fi
	@touch $@ .venv/cli
