# The commands that CI runs. You need Go, make and a C compiler (for the race detector); other tools are
# pinned in tools/. The targets asyncapi and examples also need Node.js with npm, and examples needs jq,
# flock, python3 and PostgreSQL. The target release needs git and jq. The targets alerts and reliability need
# promtool and prometheus, or apt to download them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := test

GOFUMPT := go tool -modfile=tools/go.mod gofumpt
LINT    := go tool -modfile=tools/lint/go.mod golangci-lint
MODULES := . examples/sql test/powerloss tools tools/lint tools/nats tools/release tools/stripe-mock
FUZZTIME ?= 10s
COUNT ?= 1
HISTORIES ?= 500
SEED ?= 1
CHAOS ?= --seed 1 --duration 30s

# What CI runs, in this order; .ci/run takes the list from here.
CI := fmt-check vet lint tidy-check verify-modules fix-check build examples test powerloss guards asyncapi alerts simulate chaos race fuzz

.PHONY: $(CI) mutants vulncheck release bench bench-all bench-compare bench-instructions ordering-report reliability fmt examples-deps ci ci-targets

fmt:
	$(GOFUMPT) -w .

fmt-check:
	files=$$($(GOFUMPT) -l .); if [ -n "$$files" ]; then echo "not formatted (make fmt):"; echo "$$files"; exit 1; fi

vet:
	go vet ./...
	go vet -C examples/sql ./...
	go vet -C test/powerloss ./...

lint:
	$(LINT) run ./...
	cd examples/sql && go tool -modfile=../../tools/lint/go.mod golangci-lint run ./...
	cd test/powerloss && go tool -modfile=../../tools/lint/go.mod golangci-lint run ./...

tidy-check:
	for module in $(MODULES); do (cd $$module && go mod tidy -diff); done

# Downloaded modules are those that go.sum names. The tools are modules, too.
verify-modules:
	for module in $(MODULES); do go mod verify -C $$module; done

# Not in CI, because it needs https://vuln.go.dev: .github/workflows/ci.yml runs it every day, and at each change.
vulncheck:
	tools/vulncheck.sh

# Builds what a release consists of into dist: make release VERSION=v1.2.3, in an unmodified checkout of that tag.
release:
	tools/release.sh "$(VERSION)"

fix-check:
	diff=$$(go fix -diff ./...) && [ -z "$$diff" ] || { echo "go fix ./... would change:"; echo "$$diff"; exit 1; }

build:
	go build -o bin/ ./cmd/...

# Installs what the examples need in addition to Go: packages of those in Node.js, and the nats tool.
# With these, `make test` runs all examples; without them, only those in Go. PostgreSQL comes from .ci/run.
examples-deps:
	npm ci --prefix examples/node --no-audit --no-fund
	npm ci --prefix examples/node-watcher --no-audit --no-fund
	npm run build --prefix examples/node-watcher
	go build -C tools/nats -o $(CURDIR)/bin/ github.com/nats-io/natscli/nats

test:
	go test ./...
	go test -C examples/sql ./...

# Cuts the power of a NATS server, a few times; the table in docs/reliability.md comes from
# go run -C test/powerloss . --rounds 15. Without /dev/fuse and root it says so, and is skipped.
powerloss:
	go test -C test/powerloss -count=1 -v .

# Removes each guard of the store from a copy of the code, and fails unless its tests notice. For each guard
# in mongostore it links FerretDB, which takes minutes.
guards:
	tools/guards.sh

# Breaks promises in a copy of the code, and fails unless the chaos program reports each. It takes about twelve minutes.
mutants:
	tools/mutants.sh

# Go tests compare the AsyncAPI document with the code. This validates it with AsyncAPI's own schema and
# parser, which exist only on npm.
asyncapi:
	cd tools/asyncapi && npm ci --ignore-scripts --no-audit --no-fund --silent && npm run --silent check

# Prometheus's own check of the alert rules, and their tests: when each alert fires and when it does not.
alerts: $(if $(shell command -v promtool),,bin/promtool)
	PATH="$$PATH:$$PWD/bin"; cd deploy/prometheus; \
	promtool check config --syntax-only prometheus.yml; \
	promtool check rules alerts.yml; \
	promtool test rules *_test.yml

# Takes the programs out of the package: to install it would start a server on the port of the bridge's ADMIN_ADDR.
bin/promtool bin/prometheus:
	dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; cd "$$dir"; \
	apt-get download -q prometheus; dpkg-deb -x prometheus_*.deb .; \
	install -D usr/bin/$(@F) $(CURDIR)/$@

# The table in docs/reliability.md: runs the programs through one failure after another, for more than an hour.
reliability: $(if $(shell command -v prometheus),,bin/prometheus)
	go run ./test/reliability

# What an event costs on its way, and what it costs to publish it. For benchstat: make bench COUNT=6.
bench:
	go test -run '^$$' -bench . -benchmem -count $(COUNT) ./test/micro ./internal/natsbus

# Compares two revisions; without HEAD, BASE and the working tree: make bench-compare BASE=main~1 [HEAD=main]
bench-compare:
	tools/bench.sh time "$(BASE)" "$(HEAD)"

# Counts instructions, of the working tree or of two revisions: make bench-instructions [BASE=main~1 [HEAD=main]]
bench-instructions:
	tools/bench.sh instructions "$(BASE)" "$(HEAD)"

# All tables and plots of the performance page, for hours: what is measured, and against what, is in bench.
# A quick look: go run ./bench --quick ingress.
bench-all:
	go run ./bench --delay 0,5,20 --out docs/performance

# The table in docs/ordering.md: how often the ordering rule is right on generated histories. `test` puts fewer
# histories in order, with the same checks.
ordering-report:
	go test -count=1 -timeout 30m -run '^TestOrderingReport$$' -v ./internal/stripesim -args -histories $(HISTORIES) -seed $(SEED)

examples: examples-deps
	npm test --prefix examples/node
	npm test --prefix examples/node-watcher
	BILLBUS_REQUIRE_EXAMPLES=1 go test ./examples/...

# Runs the first command of the README twice on one data folder.
simulate:
	dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	for run in first second; do go run ./cmd/standalone --simulate 25 --once --data-dir "$$dir"; done

# Bridges and subscribers under load while everything around them fails, for half a minute on each database. CI
# always takes the same seed, to be green or red by what was changed. Others, and longer:
# make chaos CHAOS="--duration 10m --seed 7".
chaos:
	for db in embedded memory $${BILLBUS_TEST_MONGODB_URI:+mongodb}; do go run ./cmd/chaos --db $$db $(CHAOS); done

# Leaves out packages whose tests link FerretDB. With the race detector, linking it takes minutes, and
# FerretDB switches to a debug mode that behaves differently from what is shipped. Those packages run
# other packages of ours, and each of these has its own tests here.
race:
	packages=$$(go list -test -f '{{.ImportPath}} {{join .Deps " "}}' ./... | awk '$(RACEABLE)'); \
	go test -race $$packages

# Reads packages and their test binaries from `go list -test` ("path" and "path.test"; the variants
# "path [path.test]" are contained in the latter), and prints each package if neither links FerretDB.
RACEABLE = $$2 ~ /^\[/ { next } \
	{ sub(/\.test$$/, "", $$1); all[$$1]; if (/ github\.com\/FerretDB\/FerretDB\//) linked[$$1] } \
	END { for (path in all) if (!(path in linked)) print path }

# Listing the fuzz targets of a package links its tests. So only packages whose source has some are listed.
fuzz:
	for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n1 dirname | sort -u); do \
		for target in $$(go test -list '^Fuzz' $$dir | grep '^Fuzz'); do \
			echo "$$dir $$target"; \
			.ci/fuzz $$dir $$target $(FUZZTIME); \
		done; \
	done

ci: $(CI)

ci-targets:
	@echo $(CI)
