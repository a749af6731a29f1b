#!/usr/bin/env bash
# A stress test of a program that anybody could have written, and of the same program mended: the
# example's plain PyTorch training on real CIFAR-10 images (4,000 for training, 2,000 for testing).
# One command, resumable; needs the data folder named by MISLABEL_DATA. WORKERS may be set.
set -euo pipefail
: "${MISLABEL_DATA:?is not set: the folder that holds cifar10/ and cifar-n/}"
here=$(cd "$(dirname "$0")" && pwd)
runs=$(realpath -m "${1:-runs/stress_cifar10}")
mkdir -p "$runs"
cd "$here/../../examples/cifar10_pytorch"
program="python train.py --x-train {x_train} --x-test {x_test} --labels {labels} --seed {seed} --out {out}"
stress() { # OUT, TRAIN, more options; status 1 and 3 are verdicts, 2 is an error
    local status=0
    mislabel stress run --data "cifar10:$MISLABEL_DATA/cifar10" --subset 4000 --test-subset 2000 \
        --map "$MISLABEL_DATA/cifar10/clip_tsne_train.parquet" --suite "$here/suite.yaml" \
        --out "$runs/$1" --train "$2" --json "${@:3}" ${WORKERS:+--workers "$WORKERS"} \
        >"$here/$1.json" || status=$?
    [ "$status" != 2 ]
}
stress plain "$program" --reference standard --reference elr
stress mended "$program --mend"
mislabel stress report "$runs/plain" -o "$here/report.html"
mislabel stress diff "$runs/plain" "$runs/mended" --json >"$here/diff.json" || [ $? = 1 ]
python "$here/findings.py" "$here"
