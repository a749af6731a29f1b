#!/bin/sh
# A training, the same training mended, and the two compared, with exit statuses.
# CIFAR10=path sh run.sh > output.txt
cd "$(dirname "$0")" || exit
export COLUMNS=100
rm -rf runs

say_and_do() {
    echo "\$ $1"
    eval "$1" > printed.txt 2> errors.txt
    status=$?
    sed "s|file://$PWD/||; s/ *$//" printed.txt
    echo "[exit status $status]"
    echo
    rm printed.txt errors.txt
}

say_and_do 'mislabel stress run --data "cifar10:$CIFAR10" --subset 2000 --test-subset 2000 --suite smoke --train "python train.py --x-train {x_train} --x-test {x_test} --labels {labels} --seed {seed} --out {out}" --threshold "accuracy >= 0.5 at human-like:0.2" --out runs/plain'
say_and_do 'mislabel stress run --data "cifar10:$CIFAR10" --subset 2000 --test-subset 2000 --suite smoke --train "python train.py --x-train {x_train} --x-test {x_test} --labels {labels} --seed {seed} --out {out} --mend" --threshold "accuracy >= 0.5 at human-like:0.2" --out runs/mended'
say_and_do 'mislabel stress diff runs/plain runs/mended'
