#!/usr/bin/env bash
# Does realism matter? CIFAR-10 (8,000 training, 4,000 test images), human labels and each kind of
# noise at the human rate, nine methods. Which kind predicts accuracy under the human labels?
# One command, resumable; needs the data folder named by MISLABEL_DATA. SEEDS (1 by default),
# METHODS, WORSE and RANDOM1 (noises at the two rates) and WORKERS may be set.
set -euo pipefail
: "${MISLABEL_DATA:?is not set: the folder that holds cifar10/ and cifar-n/}"
here=$(cd "$(dirname "$0")" && pwd)
run=$(realpath -m "${1:-runs/realism_matters}")
mkdir -p "$(dirname "$run")"
cd "$MISLABEL_DATA" # so that specs name files without the folder they lie in
read -ra methods <<<"${METHODS:-standard gce sce elr mixup coteaching coteaching-plus plc snls}"
read -ra worse <<<"${WORSE:-human:worse_label symmetric:0.402 class-dependent:like=worse_label,rate=0.402 \
pmd:0.402 cluster:0.402 instance:0.402 human-like:0.402,like=random_label1,effects=fitted human-like:0.402}"
read -ra random <<<"${RANDOM1:-human:random_label1 human:random_label2 symmetric:0.172 \
class-dependent:like=random_label1,rate=0.172 pmd:0.172 cluster:0.172 instance:0.172 \
human-like:0.172,like=random_label1,effects=fitted human-like:0.172}"
train() { # one training per noise, method and seed, under the noises given
    mislabel bench run --data cifar10:cifar10 --subset 8000 --test-subset 4000 --epochs 10 \
        --augment none --known-rate --map cifar10/clip_tsne_train.parquet \
        $(printf -- '--noise %s ' "$@") \
        $(printf -- '--method %s:precision=bfloat16 ' "${methods[@]}") \
        --seeds "${SEEDS:-1}" --out "$run" ${WORKERS:+--workers "$WORKERS"}
}
train "${worse[@]}"
train "${random[@]}"
for epoch in last best; do
    mislabel bench table "$run" --format markdown --epoch "$epoch" -o "$here/table-$epoch.md"
done
mislabel bench table "$run" --format csv -o "$here/table.csv"
python "$here/findings.py" "$run"
