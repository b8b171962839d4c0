#!/bin/sh
# A campaign as a Slurm array: a task a shard, and a job that joins them when all have ended, however they ended.
#   SEEDS=1..100001 SHARDS=64 OUT=/shared/results docs/recipes/slurm.sh
# OUT is a folder that all nodes of the cluster share. Waits for the report, and ends with its exit code.
set -eu
SEEDS=${SEEDS:-1..1001} SHARDS=${SHARDS:-4} OUT=${OUT:-$PWD/results} LAB=${LAB:-sentinel-lab}
mkdir -p "$OUT"
# The array's own variables tell each task which part is its.
array=$(sbatch --parsable --array="1-$SHARDS" --job-name=chaos --output="$OUT/%a.txt" --wrap \
    "$LAB chaos --seeds $SEEDS --jobs \${SLURM_CPUS_ON_NODE:-1} --no-shrink --results $OUT/\$SLURM_ARRAY_TASK_ID.ndjson")
sbatch --wait --dependency="afterany:$array" --job-name=chaos-merge --output="$OUT/report.txt" --wrap \
    "$LAB merge $OUT/*.ndjson" && code=0 || code=$?
cat "$OUT/report.txt"
exit "$code"
