#!/usr/bin/env bash
# A generator of drawn scenes and films from text, English and Korean, from pictures, and in the style of pictures.
#
# command    recipes/painter.sh             on two CPU cores, all stages
#            recipes/painter.sh cuda        on one GPU with 16 CPU cores
# hardware   see src/saccade/weights/painter/README.md
# time       as there, which also says where the bundled model departs from these lines
# score      as there
set -euo pipefail
device=${1:-cpu}
scenes=objects=1-3,apart
sources=(--picture-share 0.12 --mask-share 0.05 --style-share 0.08)
if [ "$device" = cuda ]; then
  machine=(--batch 512 --views 4 --workers 12 --precision bf16 --compile yes --device cuda)
  words=102400 words_epochs=4 all=614400 all_epochs=4 last=102400 last_epochs=4 films=307200 few=102400
else
  machine=(--batch 96 --precision auto --compile yes)
  words=11520 words_epochs=26 all=11520 all_epochs=80 last=11520 last_epochs=16 films=5760 few=11520
fi
# First from words alone; its text encoder starts as the bundled matcher's.
saccade train generate --data "scenes:$words,$scenes" --weights matcher --name painter-words "${machine[@]}" \
  --epochs "$words_epochs" --lr 0.02 --adam-lr 2e-3 --weight-decay 0.01 --warmup 0.02 --ema 0.999
# Then with pictures, holes and styles too.
saccade train generate --data "scenes:$all,$scenes" --weights runs/painter-words --name painter-all "${machine[@]}" \
  --epochs "$all_epochs" "${sources[@]}" --lr 0.02 --adam-lr 2e-3 --weight-decay 0.01 --warmup 0.05 --ema 0.999 \
  --time-mean -0.8
# Then mostly from words again, with falling rates.
saccade train generate --data "scenes:$last,$scenes" --weights runs/painter-all --name painter-last "${machine[@]}" \
  --epochs "$last_epochs" --picture-share 0.06 --mask-share 0.03 --style-share 0.04 --lr 0.01 --adam-lr 1e-3 \
  --weight-decay 0.01 --warmup 0.01 --ema 0.998 --time-mean -0.7
# Then films too: at each step one sample of twelve is a film of 17 frames, which costs as much as nine pictures. Times
# are spread wider, as the convolutions behind the blocks work where there is little noise.
saccade train generate --data "scenes:$films,$scenes" --weights runs/painter-last --name painter-films "${machine[@]}" \
  --epochs 15 --film-share 0.084 --frames 17 --picture-share 0.08 --mask-share 0.04 --style-share 0.04 --lr 0.01 \
  --adam-lr 1.5e-3 --weight-decay 0.01 --warmup 0.02 --ema 0.998 --time-mean -0.4 --time-std 1.2
# Then the same with predictions compared with the data in the features of the matcher too: outlines are few pixels, and
# count for little in a squared error.
saccade train generate --data "scenes:$films,$scenes" --weights runs/painter-films --name painter-outlines \
  "${machine[@]}" --epochs 21 --film-share 0.084 --frames 17 --picture-share 0.06 --mask-share 0.03 --style-share 0.03 \
  --perceptual-model matcher --perceptual-weight 0.1 --lr 0.014 --adam-lr 1.4e-3 --weight-decay 0.01 --warmup 0.03 \
  --ema 0.998 --time-mean -0.4 --time-std 1.2
# Then the same weights as a map over intervals, for few steps.
saccade train generate --data "scenes:$few,$scenes" --weights runs/painter-outlines --objective mean-flow --name painter \
  "${machine[@]}" --epochs 5 --film-share 0.084 --picture-share 0.06 --mask-share 0.03 --style-share 0.04 \
  --lr 0.005 --adam-lr 5e-4 --weight-decay 0.01 --ema 0.99
saccade val "scenes:500,$scenes" --model runs/painter
python -m benchmarks.generation.compose --model runs/painter
python -m benchmarks.generation.edits --model runs/painter
python -m benchmarks.generation.style --model runs/painter
python -m benchmarks.generation.films --model runs/painter
