#!/usr/bin/env bash
# The first table on real data: CIFAR-10 (5,000 training images), three noises, three methods.
# One command, resumable; needs the data folder named by MISLABEL_DATA. About ten minutes on two
# CPU cores. Writes table.json, table.csv, table.md and report.html beside this file.
set -euo pipefail
: "${MISLABEL_DATA:?is not set: the folder that holds cifar10/ and cifar-n/}"
here=$(cd "$(dirname "$0")" && pwd)
run=${1:-runs/c10}
mislabel bench run --data "cifar10:$MISLABEL_DATA/cifar10" \
    --map "$MISLABEL_DATA/cifar10/clip_tsne_train.parquet" --subset 5000 \
    --noise cluster:0.35 --noise pmd:0.35 --noise human:random_label1 \
    --method standard --method gce --method snls --seeds 2 --out "$run"
for style in json csv markdown; do
    mislabel bench table "$run" --format "$style" -o "$here/table.${style/markdown/md}"
done
mislabel bench report "$run" -o "$here/report.html"
