# What a developer does with Polis. `make` alone lists it.

export CGO_ENABLED := 0
export GOFLAGS
BIN := bin
DIST := dist
GO := go
PKGS := ./...
LOCAL = $(if $(PORTFOLIO),--portfolio "$(PORTFOLIO)") $(if $(AS_OF),--as-of $(AS_OF)) $(if $(CUSTOMERS),--customers $(CUSTOMERS))

# Exact versions: a lint that changes by itself fails a good build.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT := mvdan.cc/gofumpt@v0.12.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## bin/polis, and dist/ as the Functions host needs it
	@$(GO) build -trimpath -o $(BIN)/polis ./handler/cmd/polis
	@scripts/package $(DIST)

# The same programs, which also find what plays Azure's part on this computer (STACK=azurite).
.PHONY: standins
standins:
	@scripts/standins/install
	@$(MAKE) --no-print-directory build BIN=$(BIN)/standins DIST=$(BIN)/standins/dist GOFLAGS="$(GOFLAGS) -tags=standins"

.PHONY: run
ifeq ($(STACK),azurite)
run: standins
	@exec $(BIN)/standins/polis local --stack azurite --data var/azurite --root $(BIN)/standins/dist $(LOCAL)
else
run: build ## load a portfolio (PORTFOLIO=dir, or the sample), score it, show whom to act on
	@exec $(BIN)/polis local --root $(DIST) $(LOCAL)
endif

.PHONY: test
test: ## everything that must pass, with the race detector where there is a C compiler
	@scripts/test

.PHONY: test-azure
test-azure: ## the adapters' suites against a subscription, and what is charged there (settings: docs/azure.md)
	@scripts/test-azure

.PHONY: smoke
ifeq ($(STACK),azurite)
smoke: standins
	@$(GO) run ./scripts/smoke -stack azurite -polis $(BIN)/standins/polis -root $(BIN)/standins/dist
else
smoke: build ## sample, local host, every engine by HTTP, queue and timer, ten kills, nobody's data in a log
	@$(GO) run ./scripts/smoke
endif

.PHONY: kill-test
kill-test: standins ## RUNS=5 runs of CUSTOMERS=20000 over Azure's adapters, with kills, faults and redeliveries (SEED=1, JOBS=1 at a time)
	@$(GO) build -o $(BIN)/standins/kill ./handler/bench/kill
	@$(NICE) $(BIN)/standins/kill $(if $(RUNS),-runs $(RUNS)) $(if $(CUSTOMERS),-customers $(CUSTOMERS)) $(if $(SEED),-seed $(SEED)) $(if $(JOBS),-jobs $(JOBS))

.PHONY: memory
memory: standins ## what the handler takes at most while it does everything at once over Azure's adapters
	@$(GO) build -o $(BIN)/standins/kill ./handler/bench/kill
	@$(BIN)/standins/kill -peak 40s -customers $(if $(CUSTOMERS),$(CUSTOMERS),2000)

.PHONY: bench
bench: build ## one table of figures, and bench.json
	@$(GO) run ./handler/bench $(BENCH)

.PHONY: infra
infra: ## format, build and lint the estate in Azure, its snapshots, and the rules that they keep
	@scripts/infra

.PHONY: lint
lint: ## vet, staticcheck, gofumpt, import rules, snapshots of the estate, known vulnerabilities
	@scripts/lint $(STATICCHECK) $(GOFUMPT) $(GOVULNCHECK)

.PHONY: clean
clean: ## remove what was built; ./var, the data, stays
	@rm -rf $(BIN) $(DIST)
