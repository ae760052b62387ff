#!/usr/bin/env bash
# A detector of ten shapes and six relations between them, from scratch on drawn scenes.
#
# command    recipes/scenes.sh
# hardware   two CPU cores with bf16 arithmetic (AMD Zen 5)
# time, score  not measured yet: no run of it has come to its end
set -euo pipefail

# No scene is seen twice. Pictures of 64 pixels come first, then 96, then 128: the first half of the steps costs a
# quarter of what it would.
saccade train detect --data scenes:20000 --name scenes \
  --size 128 --queries 30 --noised 24 --grow --batch 64 --epochs 18
saccade val scenes:1000 --model runs/scenes --precision fp32
