# recado. `make` alone lists the targets.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test check bench openapi format clean set-up-local set-up-test set-up-sam

export RECADO_STARTED := $(shell date +%s)
BIN := .venv/bin/python
SET_UP = @python=$$(sh tools/find_python.sh) && "$$python" -m tools.set_up

help: ## list the targets
	@echo "recado: make TARGET"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name says; do printf '  %-8s %s\n' $$name "$$says"; done

run: set-up-local ## bring the whole stack up on this machine: API, demo school, simulated handsets (Ctrl-C stops it)
	@exec $(BIN) -m local.run

test: set-up-test set-up-sam ## run all tests
	@$(BIN) -m pytest -n 2 $(ARGS)

check: set-up-test ## format, lint, types, the translated template, the architecture
	@$(BIN) -m ruff format --check .
	@$(BIN) -m ruff check .
	@$(BIN) -m mypy functions layers/common/python local tools bench tests examples
	@$(BIN) -m tools.lint_template
	@$(BIN) -m pytest tests/test_architecture.py

bench: set-up-test ## measure cost, dispatch, cold starts, planning, sweeping and receipts; not live, failover and page_weight (JSON=1 for a program to read)
	@$(BIN) -m bench $(if $(JSON),--json)

openapi: set-up-test ## write the OpenAPI document again, from the code
	@$(BIN) -m tools.build_openapi

format: set-up-test ## put the code into its format
	@$(BIN) -m ruff format .
	@$(BIN) -m ruff check --fix .

clean: ## forget the data of `make run` and everything built
	@rm -rf .local .aws-sam .build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@echo "Forgotten. The virtual environments stay; remove .venv and .venv-sam yourself if you want them gone."

set-up-local:
	$(SET_UP) local
set-up-test:
	$(SET_UP) test
set-up-sam:
	$(SET_UP) sam
