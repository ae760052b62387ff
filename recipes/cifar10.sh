#!/usr/bin/env bash
# The embedded model "cifar": a ViT of 1.2 M parameters on CIFAR-10, from scratch.
#
# command    recipes/cifar10.sh cifar10-train.tar.gz cifar10-test.tar.gz
#            (each a folder or tar with one folder a class: airplane/ ... truck/)
# hardware   two CPU cores with bf16 arithmetic (AMD Zen 5)
# time       about 1.5 core-hours; 80 minutes beside other work
# score      86.9 % top1 on the test pictures (the bundled run; its card says how that departed from this)
set -euo pipefail
train=${1:?the training pictures} test=${2:?the test pictures}

# 2 % of the training pictures are held out to choose the picture size; the test pictures are scored once, at the end.
# While the model trains on smaller pictures its validation, at full size, lags behind.
saccade train classify --data "$train" --val-fraction 0.02 --name cifar \
  --model tiny --size 48 --cache-size 32 --crop pad --epochs 28
python "$(dirname "$0")/embed.py" runs/cifar --held-out "$train" --hold-out 0.02 --out runs/embedded
saccade val "$test" --model runs/embedded/cifar --precision fp32
