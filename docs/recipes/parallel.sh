#!/bin/sh
# A campaign in SHARDS parts with GNU parallel, on this machine or on those of a `--sshlogin`, then one report.
#   SEEDS=1..10001 SHARDS=8 OUT=results docs/recipes/parallel.sh
# Ends with the exit code of the joined campaign.
set -u
SEEDS=${SEEDS:-1..1001} SHARDS=${SHARDS:-4} OUT=${OUT:-results} LAB=${LAB:-sentinel-lab}
export SEEDS SHARDS OUT LAB
mkdir -p "$OUT"
# A shard that finds something ends with 1 and is no reason to stop; whether one is missing, `merge` finds out.
seq 1 "$SHARDS" | parallel --jobs "${JOBS:-2}" \
    '"$LAB" chaos --seeds "$SEEDS" --partition {}/"$SHARDS" --jobs 1 --no-shrink --results "$OUT/{}.ndjson" >"$OUT/{}.txt" 2>&1' || true
"$LAB" merge "$OUT"/*.ndjson
