.PHONY: build test race lint e2e playground generate

build: ## the program, in bin/
	go build -trimpath -o bin/crashloop ./cmd/crashloop

test: ## the main module
	go test ./...

race: ## the main module with the race detector
	go test -race ./...

lint: ## vet, formatting and golangci-lint, as in .ci/run
	.ci/run lint

e2e: ## the end-to-end tests
	.ci/run e2e

playground: ## a cluster, a Slack workspace and crashing workloads on this machine
	go run -C cmd/playground .

generate: ## rewrite what is generated: manifests, docs, goldens
	go test ./cmd/crashloop ./notify ./diagnose/... -update
