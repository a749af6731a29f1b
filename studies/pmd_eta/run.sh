#!/usr/bin/env bash
# Which probabilities make PMD noise like the published one? A class-balanced subset of CIFAR-10:
# cross-fitted eta on the published map and on pixels, and a small network in training.
# One command: run.sh [FOLDER [IMAGES]]. Probabilities that are written already are not computed
# again, and a training that was stopped goes on. Needs the folder named by MISLABEL_DATA (cifar10/,
# published/). About ten minutes on one free CPU core; 50000 as IMAGES takes five times as long.
# Writes result.json, result.csv and README.md beside this file.
set -euo pipefail
: "${MISLABEL_DATA:?is not set: the folder that holds cifar10/ and published/}"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # threads of one small network only wait for each other
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-runs/pmd_eta} images=${2:-10000}
mkdir -p "$work"
eta() { # NAME OPTIONS: the file NAME-IMAGES.npy, unless it is there
    local file="$work/$1-$images.npy"
    [ -e "$file" ] || mislabel noise eta --data "cifar10:$MISLABEL_DATA/cifar10" \
        --subset "$images" --device cpu -o "$file" "${@:2}"
}
eta map --map "$MISLABEL_DATA/cifar10/clip_tsne_train.parquet"
eta pixels --encoder pixels
eta cnn --eta network:cnn,epochs=25
eta cnn-fitted --eta network:cnn,recipe=fast,epochs=15,augment=none
python "$here/run.py" "$work" "$images"
