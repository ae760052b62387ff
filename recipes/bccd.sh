#!/usr/bin/env bash
# Blood cells (BCCD, Pascal VOC with its own split), from the bundled detector of scenes (recipes/scenes.sh).
#
# command    recipes/bccd.sh path/to/bccd
# hardware   two CPU cores with bf16 arithmetic (AMD Zen 5)
# time       56 minutes beside other work
# score      test: mAP50 0.895 (platelets 0.862, red cells 0.856, white cells 0.967), mAP 0.609; validation: mAP50 0.899
# measured   from the weights of runs/scenes in fp32, of which the bundled ones are the fp16 rounding
# again      one core (Intel Xeon with AMX, bf16) beside much other work, --budget 100m in place of --epochs, of which 176
#            epochs came, few of them at the full size: test mAP50 0.860 (platelets 0.787, red cells 0.821, white cells
#            0.974), mAP 0.566; validation: mAP50 0.873
set -euo pipefail
data=${1:?the folder with Annotations, ImageSets and JPEGImages}

# Cells have no up: pictures are mirrored both ways. The validation split chooses the weights; the test split is scored
# once, at the end.
saccade train detect --data "$data" --name bccd --weights scenes \
  --size 320 --queries 60 --vflip --progressive-resize --batch 16 --epochs 150 --lr 0.01 --adam-lr 0.001
saccade val "$data" --split test --model runs/bccd --precision fp32
