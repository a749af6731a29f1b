#!/usr/bin/env bash
# Draws docs/images/kinds.png: every kind of noise at the human rate, on 5,000 images of CIFAR-10.
# Needs the data folder named by MISLABEL_DATA.
set -euo pipefail
: "${MISLABEL_DATA:?is not set: the folder that holds cifar10/ and cifar-n/}"
here=$(cd "$(dirname "$0")" && pwd)
mislabel noise compare symmetric:0.17 pair:0.17 asymmetric:0.17 \
    class-dependent:random_label1,rate=0.17 instance:0.17 pmd:0.17 cluster:0.17 \
    "hybrid:pmd:0.12+symmetric:0.06" human:random_label1 \
    --data "cifar10:$MISLABEL_DATA/cifar10" --subset 5000 \
    --map "$MISLABEL_DATA/cifar10/clip_tsne_train.parquet" -o "$here/images/kinds.png"
