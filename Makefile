# Carillon. `make help` lists what can be made; settings are given as `make run GATEWAYS=3 EDGE_PORT=9090`.

.DEFAULT_GOAL := help
.PHONY: help run demo build install test check format faults memory rolling fuzz sanitize bench bench-gateway containers env clean

SWIFT_SOURCES := Package.swift Services Shared Tests $(wildcard Benchmarks)
RELEASE := .build/release

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install:
	@deploy/install-dependencies build run

build: install ## the binaries, in release mode, in .build/release
	@swift build -c release

run: build ## the whole suite on this machine, until Ctrl-C (GATEWAYS=3 FANOUT_WORKERS=2 EDGE_PORT=8080)
	@exec $(RELEASE)/carillon-local

demo: build ## the same, and a short story played on it; exits 0 if all it tells was true
	@exec env GATEWAYS=$${GATEWAYS:-2} $(RELEASE)/carillon-local run /usr/bin/python3 Tests/Demo/story.py

test: ## everything: unit tests, system tests, both SDKs (KAFKA_HOME=... for a real broker)
	@Tests/run

check: ## format, warnings, dependency direction, then the tests
	@swift format lint --strict --parallel --recursive $(SWIFT_SOURCES)
	@swift build --build-tests
	@swift test --skip-build --filter ArchitectureTests
	@Tests/run

format: ## rewrites the sources in the house format
	@swift format --in-place --parallel --recursive $(SWIFT_SOURCES)

faults: ## the kill, stop and outage tests with ten seeds each
	@FAULT_SEEDS=10 Tests/run faults

memory: ## what takes most memory at full size, under ulimit -v of 512 MB; needs KAFKA_HOME, 10 GB of disk and some minutes
	@MEMORY_LONG=1 Tests/run memory

rolling: build ## a rolling restart of three gateways with 5,000 clients each
	@CARILLON_BIN=$(RELEASE) ROLLING_CLIENTS=5000 Tests/run rolling

fuzz: ## fuzzes the parsers of frames, requests and commands, SECONDS (60) each; what it finds is kept as tests
	@SECONDS_EACH=$(or $(SECONDS),60) Tests/Fuzz/run

sanitize: ## data races, memory errors and leaks: tests and services under ThreadSanitizer and AddressSanitizer
	@Tests/sanitize

bench: build ## measures, and writes the table of docs/performance.md
	@Benchmarks/run

bench-gateway: build ## measures the gateway beside its peers (BENCH_PEERS=a folder with load.c and raw.c)
	@Benchmarks/run-gateway

containers: ## builds the images, runs docker-compose.yml, and checks what it promises
	@/usr/bin/python3 Tests/Containers/check.py

env: build ## rewrites deploy/env.md from the settings of all services
	@$(RELEASE)/carillonctl env > deploy/env.md

clean: ## removes what was built and what make run stored
	@rm -rf .build .local
