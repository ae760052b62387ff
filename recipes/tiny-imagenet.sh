#!/usr/bin/env bash
# The classifier "tiny-imagenet": a ViT of 2.8 M parameters on Tiny ImageNet (200 everyday things), from scratch.
#
# command    recipes/tiny-imagenet.sh tiny-imagenet-train.tar.gz tiny-imagenet-val.tar.gz
#            (each a folder or tar with one folder a class: abacus/ ... wooden spoon/)
# hardware   two CPU cores, or a GPU
# time       not run to its end yet: about 7 hours on two AVX-512 cores, by its first steps (1.4 s for 256 pictures at 48
#            pixels in fp32)
# score      not known yet
set -euo pipefail
train=${1:?the training pictures} test=${2:?the test pictures}

# 2 % of the training pictures are held out to choose the picture size; the test pictures are scored once, at the end.
# While the model trains on smaller pictures its validation, at full size, lags behind.
saccade train classify --data "$train" --val-fraction 0.02 --name tiny-imagenet \
  --model small-d9/8 --size 96 --cache-size 64 --epochs 30
python "$(dirname "$0")/embed.py" runs/tiny-imagenet --held-out "$train" --hold-out 0.02 --out runs/embedded
saccade val "$test" --model runs/embedded/tiny-imagenet --precision fp32
