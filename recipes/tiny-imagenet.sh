#!/usr/bin/env bash
# The bundled model "tiny-imagenet": a ViT of 2.8 M parameters on Tiny ImageNet (200 everyday things), from scratch.
#
# command    recipes/tiny-imagenet.sh tiny-imagenet-train.tar.gz tiny-imagenet-val.tar.gz
#            (each a folder or tar with one folder a class: abacus/ ... wooden spoon/)
# hardware   two CPU cores with bf16 units (Intel Xeon with AMX)
# time       2 hours and 10 minutes
# score      46.6 % top1 on 5,000 validation pictures (the bundled run; its card says how that departed from this)
set -euo pipefail
train=${1:?the training pictures} test=${2:?the test pictures}

# 2 % of the training pictures are held out to choose the picture size; the test pictures are scored once, at the end.
# While the model trains on smaller pictures its validation, at full size, lags behind. In a dozen epochs it learns more
# from pictures that are rarely mixed.
saccade train classify --data "$train" --val-fraction 0.02 --name tiny-imagenet \
  --model small-d9/8 --size 96 --cache-size 64 --mixup-prob 0.2 --budget 2h10m
python "$(dirname "$0")/embed.py" runs/tiny-imagenet --held-out "$train" --hold-out 0.02 --test "$test" --out runs/embedded
