#!/usr/bin/env bash
# Which method stands which noise? CIFAR-10 (4,000 training, 2,000 test images), four sets of labels,
# all methods, three seeds. One command, resumable; needs the data folder named by MISLABEL_DATA.
# About an hour on two CPU cores. Writes tables, findings and report.html beside this file.
set -euo pipefail
: "${MISLABEL_DATA:?is not set: the folder that holds cifar10/, cifar-n/ and published/}"
here=$(cd "$(dirname "$0")" && pwd)
run=$(realpath "${1:-runs/cifar10_methods}")
cd "$MISLABEL_DATA" # so that specs name files without the folder they lie in
read -ra methods <<<"${METHODS:-standard gce sce elr mixup coteaching coteaching-plus plc dividemix \
snls adaptive lra-diffusion:epochs=30 lra-diffusion-snls:epochs=30 \
lra-diffusion-adaptive:epochs=30}"
mislabel bench run --data cifar10:cifar10 --subset 4000 --test-subset 2000 --epochs 8 --known-rate \
    --map cifar10/clip_tsne_train.parquet --encoder simclr:epochs=20 \
    --noise file:published/cifar10-cluster-0.35.npy \
    --noise file:published/cifar10-pmd-0.35.npy \
    --noise human:random_label1 --noise human:worse_label \
    $(printf -- '--method %s ' "${methods[@]}") --seeds 3 --out "$run" ${WORKERS:+--workers "$WORKERS"}
for epoch in last last10 best; do
    mislabel bench table "$run" --format markdown --epoch "$epoch" -o "$here/table-$epoch.md"
done
mislabel bench table "$run" --format json -o "$here/table.json"
mislabel bench table "$run" --format csv -o "$here/table.csv"
mislabel bench report "$run" -o "$here/report.html"
python "$here/findings.py" "$run"
