#!/usr/bin/env bash
# What training on adaptive targets gains over SNLS and over the given labels: CIFAR-10 (4,000
# training, 5,000 test images) with the published map, four sets of labels, Standard and
# LRA-Diffusion each with three kinds of targets, three seeds, paired. One command, resumable; needs
# the data folder named by MISLABEL_DATA. About half an hour on two CPU cores.
set -euo pipefail
: "${MISLABEL_DATA:?is not set: the folder that holds cifar10/, cifar-n/ and published/}"
here=$(cd "$(dirname "$0")" && pwd)
run=$(realpath "${1:-runs/adaptive_training}")
cd "$MISLABEL_DATA" # so that specs name files without the folder they lie in
mislabel bench run --data cifar10:cifar10 --subset 4000 --test-subset 5000 --epochs 8 \
    --map cifar10/clip_tsne_train.parquet --encoder simclr:epochs=20 \
    --noise file:published/cifar10-cluster-0.35.npy \
    --noise file:published/cifar10-pmd-0.35.npy \
    --noise human:random_label1 --noise human:worse_label \
    --method standard --method snls --method adaptive \
    --method lra-diffusion:epochs=30 --method lra-diffusion-snls:epochs=30 \
    --method lra-diffusion-adaptive:epochs=30 \
    --seeds 3 --out "$run" ${WORKERS:+--workers "$WORKERS"}
mislabel bench table "$run" --format csv -o "$here/table.csv"
mislabel bench report "$run" -o "$here/report.html"
python "$here/findings.py" "$run"
