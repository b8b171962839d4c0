#!/usr/bin/env bash
# Requests a second of `sentinel-lab serve` next to redis-server, in one run, by redis-benchmark: 50 connections, GET and SET,
# without pipelining and with 16 commands at a time. Prints the ratio of each.
# Usage: throughput.sh [requests, by default 200000] [rounds, by default 3]
set -euo pipefail
requests=${1:-200000}
rounds=${2:-3}
binary=${SENTINEL_LAB:-target/release/sentinel-lab}
folder=$(mktemp -d)
trap 'kill $real $fake 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT

cat > "$folder/one.yaml" <<'YAML'
title: one master
cluster: {replicas: 0, sentinels: 1}
YAML
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
real_port=$(port)
fake_port=$(port)
redis-server --port "$real_port" --bind 127.0.0.1 --save '' --dir "$folder" > "$folder/real.log" & real=$!
"$binary" serve "$folder/one.yaml" --port "$fake_port" --quiet > "$folder/fake.log" & fake=$!
for port in $real_port $fake_port; do
    for _ in $(seq 100); do
        [ "$(redis-cli -p "$port" ping 2>/dev/null)" = PONG ] && continue 2
        sleep 0.1
    done
    echo "nothing answers at port $port" >&2
    exit 2
done

# The best of the rounds, which is the one that the rest of the machine disturbed least.
best() {
    for _ in $(seq "$rounds"); do
        redis-benchmark -p "$1" -c 50 -n "$requests" -t "$2" -P "$3" -q --csv | awk -F'"' 'END { print $4 }'
    done | sort -n | tail -1
}

printf '%-8s %9s %14s %14s %7s\n' command pipeline redis-server serve ratio
for pipeline in 1 16; do
    for command in get set; do
        theirs=$(best "$real_port" "$command" "$pipeline")
        ours=$(best "$fake_port" "$command" "$pipeline")
        ratio=$(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.2f", a / b }')
        printf '%-8s %9s %14s %14s %7s\n' "$command" "$pipeline" "$theirs" "$ours" "$ratio"
    done
done
