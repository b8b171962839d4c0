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

# Whether 2,000 random schedules come out alike in other processes and however many run at a time.
determinism SEEDS="1..401":
    cargo build --release
    target/release/sentinel-lab chaos --profile all --seeds {{SEEDS}} --jobs 1 --no-shrink --results target/determinism-1.ndjson || test $? = 3
    target/release/sentinel-lab chaos --profile all --seeds {{SEEDS}} --jobs 5 --no-shrink --results target/determinism-5.ndjson || test $? = 3
    cmp target/determinism-1.ndjson target/determinism-5.ndjson

# What chaos finds about the clients that are wrong on purpose, and how soon: the table of docs/chaos-zoo.md.
chaos-zoo:
    cargo run --release -- chaos --driver zoo --profile mean,gentle,partitions,flapping,lying-sentinels --seeds 1..501 --fail-fast --format markdown || test $? = 1

# Memory of a long campaign (some ten minutes); fails if it grows.
chaos-memory RUNS="50000":
    cargo bench -p sentinel-lab --bench chaos -- memory {{RUNS}}

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
