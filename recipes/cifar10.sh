#!/usr/bin/env bash
# The embedded model "cifar": a ViT of 1.2 M parameters on CIFAR-10, from scratch.
#
# command    recipes/cifar10.sh cifar10-train.tar.gz cifar10-test.tar.gz
#            (each a folder or tar with one folder a class: airplane/ ... truck/)
# hardware   TIME
# score      SCORE
set -euo pipefail
train=${1:?the training pictures} test=${2:?the test pictures}

# 2 % of the training pictures are held out to choose the epoch; the test pictures are scored once, at the end.
saccade train classify --data "$train" --hold-out 0.02 --name cifar \
  --model tiny --size 48 --detail 32 --crop pad --epochs 40
saccade val "$test" --model runs/cifar
