# SPDX-License-Identifier: MIT

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c

FUZZTIME ?= 30s
SOAK     ?= 30m
COUNT    ?= 10
BASE     ?= main
NEXT     ?= go1.27.0

GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.3.0
BENCHSTAT   = golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
GOFUMPT     = mvdan.cc/gofumpt@v0.12.0

.DEFAULT_GOAL := help
.PHONY: help fmt lint test race cover fuzz bench bench-quick microbench benchcmp cross next vuln tidy licenses conformance h2spec hostile hostile-latency soak check

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

fmt: ## format everything with gofumpt
	go run $(GOFUMPT) -l -w .

lint: ## vet, formatting and golangci-lint
	.ci/run vet format lint

test: ## all tests
	.ci/run test

race: ## all tests under the race detector, in random order
	.ci/run race

cover: ## coverage of the main module, as a list and in coverage.out
	go test -coverpkg=./... -coverprofile=coverage.out ./...
	go tool cover -func=coverage.out

fuzz: ## every fuzz target for FUZZTIME (30s), FUZZJOBS (2) at a time; FUZZ='Head|Form' for some
	FUZZTIME=$(FUZZTIME) .ci/run fuzz

bench: ## pleat against its rivals and the limit of this machine, as ratios
	bench/run

bench-quick: ## the same in under two minutes
	bench/run -quick

microbench: ## the benchmarks of the main module, COUNT (10) times, into bench.txt
	go test -run '^$$' -bench . -benchmem -count $(COUNT) ./... | tee bench.txt

benchcmp: ## microbench here against BASE (main), with benchstat
	old=$$(mktemp -d); trap 'git worktree remove --force "$$old/tree"; rm -rf "$$old"' EXIT; \
	git worktree add --detach "$$old/tree" $(BASE); \
	(cd "$$old/tree" && go test -run '^$$' -bench . -benchmem -count $(COUNT) ./...) > "$$old/base.txt"; \
	go test -run '^$$' -bench . -benchmem -count $(COUNT) ./... > "$$old/here.txt"; \
	go run $(BENCHSTAT) "$$old/base.txt" "$$old/here.txt"

cross: ## build for the systems this is not
	.ci/run cross

next: ## all tests of the main module with the Go release NEXT (go1.27.0)
	GOTOOLCHAIN=$(NEXT) go test ./...

vuln: ## known vulnerabilities in what is called
	go run $(GOVULNCHECK) ./...

tidy: ## tidy every go.mod
	find . -name go.mod -not -path '*/testdata/*' -execdir go mod tidy \;

licenses: ## copy the notices of all dependencies to docs/licenses
	.ci/licenses -w

conformance: ## the standards, clause by clause, cut anywhere and behind nginx (docs/conformance.md)
	.ci/run conformance

hostile: ## attacks at full size, on both engines (docs/security.md)
	.ci/run hostile

hostile-latency: ## what a client notices of 5,000 half-open connections; on an idle machine
	go test -count=1 -v -run '^TestHostileLatency$$' ./server -hostile=latency

h2spec: ## HTTP/2 by h2spec, compared with net/http's own server
	.ci/h2spec

soak: ## all kinds of traffic for SOAK (30m) on both engines, with -race; SOAKFLAGS='-seed 1' to repeat one
	SOAK=$(SOAK) SOAKFLAGS='$(SOAKFLAGS)' .ci/run soak

check: ## all that a change must pass (.ci/run)
	.ci/run
