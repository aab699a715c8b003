# The commands that CI runs, under the same names. Everything needed beyond Go, make and a C compiler
# (for the race detector) is pinned in tools/; asyncapi and the examples also need Node.js with npm, the
# latter jq and flock, too.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := test

GOFUMPT := go tool -modfile=tools/go.mod gofumpt
LINT    := go tool -modfile=tools/lint/go.mod golangci-lint
MODULES := . tools tools/lint tools/nats tools/stripe-mock
FUZZTIME ?= 10s
HISTORIES ?= 500
SEED ?= 1

.PHONY: bench fmt fmt-check vet lint tidy-check fix-check build examples-deps test guards examples asyncapi simulate ordering-report race fuzz ci

fmt:
	$(GOFUMPT) -w .

fmt-check:
	files=$$($(GOFUMPT) -l .); if [ -n "$$files" ]; then echo "not formatted (make fmt):"; echo "$$files"; exit 1; fi

vet:
	go vet ./...

lint:
	$(LINT) run ./...

tidy-check:
	for module in $(MODULES); do (cd $$module && go mod tidy -diff); done

fix-check:
	diff=$$(go fix -diff ./...) && [ -z "$$diff" ] || { echo "go fix ./... would change:"; echo "$$diff"; exit 1; }

build:
	go build -o bin/ ./cmd/...

# What the examples need besides Go: the packages of the one in Node.js, and the nats tool. With these
# `test` runs every example, without them those in Go.
examples-deps:
	npm ci --prefix examples/node --no-audit --no-fund
	go build -C tools/nats -o $(CURDIR)/bin/ github.com/nats-io/natscli/nats

test:
	go test ./...

# Takes each guard of the store out of a copy, and shows which test notices. Not part of ci: it links FerretDB
# once for each guard that stands in mongostore, which takes minutes.
guards:
	tools/guards.sh

# The tests hold the AsyncAPI document against the code; this holds it against AsyncAPI, whose own
# schema and parser are to be had from npm only.
asyncapi:
	cd tools/asyncapi && npm ci --ignore-scripts --no-audit --no-fund --silent && npm run --silent check

# What normalizing one event costs, of fixtures and of recorded updates.
bench:
	go test -run '^$$' -bench . ./internal/normalize

# The table in docs/ordering.md: how often the ordering rule is right on generated histories. `test` puts fewer
# histories in order, with the same checks.
ordering-report:
	go test -count=1 -timeout 30m -run '^TestOrderingReport$$' -v ./internal/stripesim -args -histories $(HISTORIES) -seed $(SEED)

examples: examples-deps
	npm test --prefix examples/node
	BILLBUS_REQUIRE_EXAMPLES=1 go test ./examples/...

# The first command of the README, twice on one data folder.
simulate:
	dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	for run in first second; do go run ./cmd/standalone --simulate 25 --once --data-dir "$$dir"; done

# Packages whose tests link FerretDB are left out under the race detector. Linking it takes minutes
# then, and its race build switches to a debug mode of its own that behaves differently from what is
# shipped. What those packages run is our own packages, and each of these has its tests in here.
race:
	packages=$$(go list -test -f '{{.ImportPath}} {{join .Deps " "}}' ./... | awk '$(RACEABLE)'); \
	go test -race $$packages

# Of `go list -test` this takes packages and their test binaries ("path" and "path.test"; the variants
# "path [path.test]" are contained in the latter), and prints the packages of which neither links it.
RACEABLE = $$2 ~ /^\[/ { next } \
	{ sub(/\.test$$/, "", $$1); all[$$1]; if (/ github\.com\/FerretDB\/FerretDB\//) linked[$$1] } \
	END { for (path in all) if (!(path in linked)) print path }

# Asking a package for its fuzz targets links its tests, so only those are asked whose source has some.
fuzz:
	for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n1 dirname | sort -u); do \
		for target in $$(go test -list '^Fuzz' $$dir | grep '^Fuzz'); do \
			echo "$$dir $$target"; \
			.ci/fuzz $$dir $$target $(FUZZTIME); \
		done; \
	done

ci: fmt-check vet lint tidy-check fix-check build examples test guards asyncapi simulate race fuzz
