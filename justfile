# Each recipe is one plain command; without `just`, run the command itself.

# List the recipes.
default:
    @just --list

# Take the default client through every scenario.
run *ARGS:
    cargo run --release -- run scenarios/ {{ARGS}}

# The tests.
test:
    cargo test --workspace

# What a change must pass.
ci:
    bash .ci/run

# Format.
fmt:
    cargo fmt --all

# Lints, warnings denied.
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# Documentation.
doc:
    cargo doc --workspace --no-deps --open

# Benchmarks.
bench:
    cargo bench --workspace

# Throughput of `serve` next to redis-server, by redis-benchmark.
throughput *ARGS:
    cargo build --release
    bash crates/cli/benches/throughput.sh {{ARGS}}

# Write the JSON Schema of scenario files anew.
schema:
    cargo run --release -- schema --output scenarios/schema.json

# Fake and real nodes in one cluster, each test so many times (needs redis-server and redis-sentinel; some five minutes for ten).
mixed TIMES="10":
    MIXED_REPEAT={{TIMES}} cargo test -p sentinel-lab-tests --test mixed -- --nocapture

# Bytes to both kinds of node; prints what came of them (some two minutes for ten million).
fuzz INPUTS="10000000":
    FUZZ_INPUTS={{INPUTS}} cargo test -p sentinel-lab-testbed --lib whatever_bytes_come_for_long -- --ignored --nocapture

# The lab against real Redis processes (needs redis-server and redis-sentinel; some eight minutes; prints the table of the README).
parity *ARGS:
    cargo run --release -- parity crates/parity/scenarios --down-after 1s,3s --format markdown {{ARGS}}
