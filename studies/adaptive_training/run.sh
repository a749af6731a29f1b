#!/usr/bin/env bash
# What training on adaptive targets gains over SNLS and over the given labels, for Standard and
# LRA-Diffusion: trainings of the study of the methods (same images, labels and seeds, paired). One
# command, resumable; needs the data folder named by MISLABEL_DATA. About 40 minutes on two CPU
# cores, less what that study has trained already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
run=$(realpath "${1:-runs/cifar10_methods}")
METHODS="standard snls adaptive lra-diffusion:epochs=30 lra-diffusion-snls:epochs=30 \
lra-diffusion-adaptive:epochs=30" "$here/../cifar10_methods/run.sh" "$run"
python "$here/findings.py" "$run"
