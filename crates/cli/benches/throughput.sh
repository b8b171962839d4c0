#!/usr/bin/env bash
# Requests a second of `sentinel-lab serve` next to redis-server, in one run, by redis-benchmark: 50 connections, GET and SET,
# without pipelining and with 16 commands at a time. Each take measures one right after the other; printed are the figures and
# the ratio of every take, and the median ratio. Ends with 1 if a median is below what is promised: 0.9 without pipelining, 0.5
# with it.
#
# Both sides have the same: one master that saves nothing (save "", appendonly no), with the same number of replicas attached,
# by default none. The replicas of `serve` live in its one process and share its processor; those of redis-server do not.
#
# Usage: throughput.sh [requests, by default 200000] [takes, by default 3] [replicas, by default 0]
set -euo pipefail
requests=${1:-200000}
takes=${2:-3}
replicas=${3:-0}
binary=${SENTINEL_LAB:-target/release/sentinel-lab}
folder=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT

# The first of as many neighbouring free ports as one side needs.
ports() {
    python3 - "$1" <<'PY'
import socket, sys
for first in range(20000, 60000, 50):
    try:
        for port in range(first, first + int(sys.argv[1])):
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
    except OSError:
        continue
    print(first)
    break
PY
}
wait_for() { # port, what its INFO must say
    for _ in $(seq 200); do
        redis-cli -p "$1" info replication 2>/dev/null | grep -q "$2" && return
        sleep 0.1
    done
    echo "nothing answers at port $1, or its replicas do not come" >&2
    exit 2
}
online() { [ "$replicas" = 0 ] && echo role:master || echo "slave$((replicas - 1)):.*state=online"; }

real=$(ports $((replicas + 1)))
for index in $(seq 0 "$replicas"); do
    follow=()
    [ "$index" = 0 ] || follow=(--replicaof "127.0.0.1 $real" --repl-diskless-sync-delay 0)
    mkdir "$folder/$index"
    redis-server --port $((real + index)) --bind 127.0.0.1 --save '' --appendonly no --dir "$folder/$index" \
        --repl-diskless-sync-delay 0 "${follow[@]}" > "$folder/$index/log" &
    pids+=($!)
done
wait_for "$real" "$(online)"

fake=$(ports $((replicas + 2)))
printf 'title: a master and its replicas\ncluster: {replicas: %d, sentinels: 1}\n' "$replicas" > "$folder/cluster.yaml"
"$binary" serve "$folder/cluster.yaml" --port "$fake" --sentinel-port $((fake + replicas + 1)) --quiet > "$folder/fake.log" &
pids+=($!)
wait_for "$fake" "$(online)"

measure() { # port, command, pipeline
    redis-benchmark -p "$1" -c 50 -n "$requests" -t "$2" -P "$3" -q --csv | awk -F'"' 'END { print $4 }'
}
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

echo "$(nproc) processors: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1); load $(cut -d' ' -f1-3 /proc/loadavg)"
echo "$(redis-server --version | cut -d' ' -f1-3); replicas: $replicas; save \"\", appendonly no"
printf '%-8s %9s %5s %14s %10s %7s\n' command pipeline take redis-server serve ratio
failed=0
for pipeline in 1 16; do
    promised=$([ "$pipeline" = 1 ] && echo 0.9 || echo 0.5)
    for command in get set; do
        ratios=$folder/ratios
        : > "$ratios"
        for take in $(seq "$takes"); do
            theirs=$(measure "$real" "$command" "$pipeline")
            ours=$(measure "$fake" "$command" "$pipeline")
            ratio=$(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.2f", a / b }')
            echo "$ratio" >> "$ratios"
            printf '%-8s %9s %5s %14s %10s %7s\n' "$command" "$pipeline" "$take" "$theirs" "$ours" "$ratio"
        done
        middle=$(median < "$ratios")
        verdict=$(awk -v m="$middle" -v p="$promised" 'BEGIN { print (m >= p) ? "as promised" : "BELOW" }')
        [ "$verdict" = BELOW ] && failed=1
        printf '%-8s %9s median ratio %.2f, at least %s: %s\n' "$command" "$pipeline" "$middle" "$promised" "$verdict"
    done
done
echo "load $(cut -d' ' -f1-3 /proc/loadavg)"
exit $failed
