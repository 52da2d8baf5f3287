# Everything one does with this repository. `make` alone says what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench bench-calls bench-sip prompts setup

CARGO_FLAGS ?= --locked

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

demo: ## the whole product in one process, with a telephone in the browser: http://127.0.0.1:8080
	@scripts/setup build
	@echo "Building; the first time takes about five minutes on two cores." >&2
	cargo run $(CARGO_FLAGS) --bin ringproof -- demo $(ARGS)

test: setup lint ## installs what is missing, then format, lints, all tests
	cargo test $(CARGO_FLAGS) --doc
	cargo test $(CARGO_FLAGS) --bench verifications --bench calls --bench sip
	cargo test $(CARGO_FLAGS) --lib --bins --test it

lint: ## format and lints only; with FIX=1 it formats the sources
	cargo fmt $(if $(FIX),,--check)
	cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings

bench: setup ## what one verification costs, against the floor measured in the same run
	cargo bench $(CARGO_FLAGS) --bench verifications -- $(ARGS)

bench-calls: setup ## what the call log costs with a million records: ARGS="--records=1000000 --store=redis"
	cargo bench $(CARGO_FLAGS) --bench calls -- $(ARGS)

bench-sip: setup ## what one call over a SIP trunk costs, against the floor measured in the same run
	cargo bench $(CARGO_FLAGS) --bench sip -- $(ARGS)

prompts: ## renders what the call flows say, for carriers that cannot speak; only what changed
	@scripts/prompts/run $(ARGS)

setup: ## installs what the tests need and this machine lacks
	@scripts/setup test
