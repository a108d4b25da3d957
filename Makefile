# What developers and CI run. The work is done by scripts/; tools are kept in .dev/.

.DEFAULT_GOAL := help
.PHONY: help test postgres bench bench-check bench-long pages fsync demo format proto proto-baseline audit clean-tools

PYTHON ?= python3
# Stages to run instead of all: make test STAGES="'format' 'clippy'"
STAGES ?=
# Arguments for the benchmark: make bench BENCH="--runs 1"
BENCH ?=
# What to run beside a Postgres: make postgres RUN="cargo test --lib store"
RUN ?= cargo test --features faults

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r target text; do printf '  make %-16s %s\n' "$$target" "$$text"; done

test: ## Run every check, in stages; STAGES="'format' 'clippy'" runs only those
	@$(PYTHON) scripts/main.py $(STAGES)

postgres: ## Start a Postgres of the tests' own and run RUN="cargo test ..." with it
	@$(PYTHON) scripts/cluster.py sh -c '$(RUN)'

fsync: ## Count under strace that every publish waits for the disk (needs strace)
	@cargo test --release --locked --features faults --test faults -- --ignored --nocapture fsync

demo: ## Show a server delivering, retrying and rotating a secret
	@cargo run --release --locked -- demo

bench: ## Measure rates, latency, costs and faults; BENCH="--database postgres --only 1:1"
	@cargo bench --locked --bench delivery -- $(BENCH)

bench-check: ## Fail if a delivery is dearer than docs/performance.json says
	@cargo bench --locked --bench delivery -- --check $(BENCH)

bench-long: ## Full rate for an hour, sampled every minute; BENCH="--seconds 600" for less
	@cargo bench --locked --bench delivery -- --only long --runs 1 --seconds 3600 $(BENCH)

pages: ## List a million deliveries on each database; prints the slowest page of each filter
	@$(PYTHON) scripts/cluster.py env TIDINGS_TEST_DELIVERIES=1000000 \
		cargo test --release --locked --features faults --lib -- --nocapture --test-threads 1 listing::pages

format: ## Format the Rust code
	@cargo fmt --all

proto: ## Generate the Go and TypeScript clients and docs/api.md from proto/
	@$(PYTHON) scripts/main.py --proto

proto-baseline: ## Make proto/ as it is now what later changes must not break
	@$(PYTHON) scripts/main.py --proto-baseline

audit: ## Check dependencies with cargo-deny, advisories included (needs cargo-deny and the network)
	@cargo deny check

clean-tools: ## Remove the private tools in .dev/
	@rm -rf .dev clients/typescript/node_modules clients/typescript/dist tests/e2e/node_modules
