#!/usr/bin/env bash
# Which cheap estimate of memorization agrees with the published study? CIFAR-10 with the human
# labels random_label1. One command, resumable; needs the data folder named by MISLABEL_DATA.
# RUNS (10) networks of 12 epochs are trained as the study did, a few minutes of one CPU core each.
set -euo pipefail
: "${MISLABEL_DATA:?is not set: the folder that holds cifar10/, cifar-n/ and published/}"
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-runs/memorization_rand1}
data=(--data "cifar10:$MISLABEL_DATA/cifar10" --labels human:random_label1)
mkdir -p "$work"
mislabel memorize import "$MISLABEL_DATA/published/memorization_rand1_dev.csv" \
    --labels "$MISLABEL_DATA/cifar-n/CIFAR-10_human.pt" --column random_label1 --runs 1500 \
    --title "published study" -o "$work/published.npz"

study() { # folder, runs, and how they are trained
    mislabel memorize run "${data[@]}" --design lim2025 --out "$work/$1" --runs "$2" "${@:3}"
}
study heldout "${RUNS:-10}" --method standard:epochs=12,precision=bfloat16 \
    ${WORKERS:+--workers "$WORKERS"}
# A network that may fit more of the wrong labels.
study longer 1 --method standard:epochs=24,precision=bfloat16
python "$here/findings.py" "$work"
mislabel memorize compare "$work/published.npz" "$here/scores.npz" --page "$here/agreement.html"
