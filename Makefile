# make test      everything CI runs: installs what the tests need, checks, tests, cross builds
# make unit      the Go tests alone
# make race      the Go tests under the race detector
# make fuzz      every fuzz target for FUZZTIME (default 20s)
# make bench     Pierhead beside nginx, HAProxy, Caddy and Go's ReverseProxy, CPU per request;
#                BENCH="-only h1,h2 -rounds 3" for a part
# make slow      honest requests beside 4,000 slow clients: latency and memory (Linux, two idle cores)
# make update    rewrites the generated parts of docs/ and the golden files
# make build     bin/pierhead
# make bench-scale  Pierhead in a cluster of 10,000 Ingresses: bench/results/scale.md (Linux, root; 15 minutes on two idle cores)
# make cluster   a real Kubernetes control plane for kubectl, without containers (Linux, root; e2e/README.md)
# make e2e       the tests that need one, and make browser
# make browser   a headless Chromium uses HTTP/3 (it is installed: 124 MB)
# make deploy-test  the Helm chart, the manifests and the image
# make image     the container image for two architectures, as an OCI layout: dist/image
# make chart     the Helm chart as an archive: dist

GO       ?= go
FUZZTIME ?= 20s

.PHONY: deploy-test image chart
.PHONY: bench-scale
.PHONY: test unit race fuzz bench soak slow update build tools check cross arm64 demo cluster e2e

test: tools check unit race cross arm64 demo deploy-test e2e-short
	@echo "all tests passed"

tools:
	@./.ci/tools

check:
	@out=$$(gofmt -l cmd internal bench deploy); if [ -n "$$out" ]; then echo "not gofmt'd: $$out"; exit 1; fi
	$(GO) vet ./...

unit:
	$(GO) test -timeout 10m ./...

race:
	$(GO) test -race -short -timeout 15m ./internal/...

cross:
	GOOS=linux GOARCH=arm64 $(GO) vet ./...
	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 $(GO) build -trimpath -o /dev/null ./cmd/pierhead
	GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/pierhead
	GOOS=windows GOARCH=amd64 $(GO) build -o /dev/null ./cmd/pierhead

# The packages that touch the system or count bytes, run for another processor.
arm64:
	GOARCH=arm64 $(GO) test -short -timeout 10m -exec qemu-aarch64 ./internal/loop ./internal/l4 ./internal/message ./internal/exchange ./internal/limit \
		./internal/htpasswd ./internal/wire/http1 ./internal/wire/http2 ./internal/wire/proxyproto ./internal/routing ./internal/policy ./internal/translate ./internal/lb ./internal/dns

demo:
	$(GO) run ./cmd/pierhead demo --check

fuzz:
	@./.ci/fuzz $(FUZZTIME)

bench:
	@./.ci/tools bench
	$(GO) run ./bench $(BENCH)

soak:
	@./.ci/tools bench
	$(GO) run ./bench soak $(SOAK)

slow:
	@./.ci/tools bench
	$(GO) run ./bench slow $(SLOW)

bench-scale:
	@mkdir -p bench/results
	$(GO) -C e2e/scale run . -o ../../bench/results/scale.md

update:
	$(GO) test ./cmd/pierhead ./internal/control ./internal/exchange ./internal/kubectl ./internal/policy ./internal/translate -update
	$(GO) -C deploy/test test . -update

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/pierhead ./cmd/pierhead

cluster:
	cd e2e && $(GO) run ./cmd/cluster up

# The packages whose tests do not depend on a machine at rest; "make e2e" runs all.
E2E_SHORT = ./interop ./bed ./node ./process ./service ./controller ./conformance ./workflow ./streams ./metrics

.PHONY: e2e-short
e2e-short:
	@$(MAKE) --no-print-directory e2e E2E_PACKAGES="$(E2E_SHORT)"

.PHONY: browser
browser:
	@./.ci/tools browser
	cd e2e && E2E=1 $(GO) test -count=1 -timeout 10m ./browser

# One package after the other: each has a cluster of its own, and some measure time.
E2E_PACKAGES ?= ./...
e2e:
	@out=$$(gofmt -l e2e); if [ -n "$$out" ]; then echo "not gofmt'd: $$out"; exit 1; fi
	@if [ "$$(uname -s)" != Linux ] || [ "$$(id -u)" != 0 ]; then echo "make e2e needs Linux and root, for network namespaces; the other tests are: make unit race deploy-test" >&2; exit 1; fi
	@[ "$(E2E_PACKAGES)" != ./... ] || ./.ci/tools browser
	cd e2e && $(GO) vet ./... && E2E=1 $(GO) test -p 1 -timeout 60m $(E2E_PACKAGES)

# Go modules of their own, with Helm and the libraries for images: a change of Pierhead
# alone does not need them. The image is compiled with -trimpath, which "cross" shares for
# one of two architectures.
deploy-test:
	$(GO) -C deploy/test vet ./...
	$(GO) -C deploy/test test -timeout 10m ./...
	$(GO) -C deploy/image vet ./...
	$(GO) -C deploy/image test -timeout 20m ./...

image:
	@rm -rf dist/image && mkdir -p dist
	@$(GO) -C deploy/image run . -o ../../dist/image -revision "$$(git rev-parse HEAD)"

chart:
	@mkdir -p dist
	@$(GO) -C deploy/test run ./pack ../chart/pierhead ../../dist
