#!/usr/bin/env bash
# Emoji of one designer as another one draws them, from the bundled generator of scenes (recipes/painter.sh).
#
# command    recipes/emoji.sh path/to/emoji         on two CPU cores
#            recipes/emoji.sh path/to/emoji cuda    on one GPU
# data       a folder for each designer with pictures of equal names, and captions.tsv with a name for each code point
# hardware   not measured
# time       not measured as a whole; with three designers of 822 emoji an epoch is 2,165 pictures, which take one core
#            (Intel Xeon, fp32) about two minutes
# score      not measured
set -euo pipefail
data=${1:?the folder with a folder for each designer}

if [ "${2:-cpu}" = cuda ]; then
  machine=(--batch 256 --precision bf16 --compile yes --device cuda) epochs=400
else
  machine=(--batch 48 --precision fp32 --compile yes) epochs=60
fi
# A tenth of the code points is held out, in all designers. Nothing is mirrored: arrows, hands and letters would change
# their meaning.
saccade train generate --styles "$data" --size 64 --weights painter --name emoji "${machine[@]}" --epochs "$epochs" \
  --views 1 --lr 0.01 --adam-lr 1e-3 --weight-decay 0.01 --warmup 0.05 --ema 0.998
python -m benchmarks.generation.emoji --model runs/emoji --data "$data" --sheets runs/emoji/sheets
