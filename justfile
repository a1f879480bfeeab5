# Recipes for daily work. `just` is a convenience (npm: rust-just): each recipe
# is a command that can be typed, and .ci/run needs none of them.

# Lists the recipes.
default:
    @just --list

# Builds the daemon and logtool into bin/.
build:
    CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

# Runs all tests of both modules.
test:
    .ci/run test

# Runs them under the race detector.
race:
    .ci/run race

# Checks format, go.mod files, vet and staticcheck.
lint:
    .ci/run format modules vet staticcheck

# Checks that the promised tests exist, run and pass.
acceptance:
    .ci/run acceptance

# Runs every fuzz target for TIME.
fuzz time="1m":
    FUZZTIME={{ time }} .ci/run fuzz

# Shows this machine's metrics in a real VictoriaMetrics: --for 60s ends by itself.
demo *args:
    go -C tools run ./demo {{ args }}

# Kills daemon and receiver and compares in the end: -mode all -n 30 -seeds 10, -seed S.
crash *args:
    go -C tools run ./crash {{ args }}

# Shows that the crash harness finds daemons with a defect.
crash-mutants *args:
    go -C tools run ./crash -mutants -n 10 -seed 1 {{ args }}

# Shows days of backlog over a slow link: --days 4 --bandwidth 100kB/s, --vmagent.
backlog *args:
    go -C tools run ./backlog {{ args }}

# Shows that settling ends behind links and receivers with defects: -only NAME.
faults *args:
    go -C tools run ./faults {{ args }}

# Runs the benchmarks that match PATTERN.
bench pattern=".":
    go test -run '^$' -bench '{{ pattern }}' -benchmem ./...

# Looks for known vulnerabilities. Needs the network: the database is not here.
vuln:
    go -C tools tool govulncheck -C .. ./...
    go -C tools tool govulncheck ./...

# Builds for all platforms, stripped, and prints the sizes.
cross:
    .ci/run cross

# Does all that must pass before a change is taken.
ci:
    .ci/run
