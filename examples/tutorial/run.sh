#!/bin/sh
# The commands of docs/stress-tutorial.md, with what they print and their exit status.
# sh run.sh > output.txt
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

say_and_do 'mislabel stress plan --data digits --train nearest:train --suite smoke --no-timing'
say_and_do 'mislabel stress run --data digits --train nearest:train --suite smoke --threshold "drop <= 0.05 at human-like:0.2" --out runs/nearest'
say_and_do 'mislabel stress run --data digits --train mended:train --suite smoke --threshold "drop <= 0.05 at human-like:0.2" --out runs/mended'
say_and_do 'mislabel stress diff runs/nearest runs/mended'
