#!/usr/bin/env bash
# A matcher of pictures and texts, English and Korean, on drawn scenes.
#
# command    recipes/matcher.sh         from the encoder of the bundled detector, on two CPU cores
#            recipes/matcher.sh cuda    the bundled matcher trained further, on one GPU with 16 CPU cores
# hardware   two CPU cores (Intel Xeon), in fp32
# time       half an hour beside other work; see the model's card for where the bundled model departs from these lines
# score      see src/saccade/weights/matcher/README.md
set -euo pipefail

if [ "${1:-}" = cuda ]; then
  # A batch of 128 pairs is 256 pictures. A core draws and labels about 500 pictures a second. Compiling takes longer
  # than the run. No table of words is added: the words are learned.
  saccade train match --data "scenes:${PAIRS:-90000},objects=1-3" --weights matcher --name matcher-further \
    --size 64 --captions 1 --hard-captions 2 --hard-negatives 1 --random-negatives 1 --hashed-words 0 \
    --batch "${BATCH:-128}" --epochs "${EPOCHS:-3}" --ema 0.995 --workers "${WORKERS:-12}" \
    --device "${DEVICE:-cuda}" --precision "${PRECISION:-bf16}" --compile no
  exit
fi
# First the words: the encoder is kept as it is, scenes have one or two objects.
saccade train match --data scenes:6400,objects=1-2 --weights scenes --lock --name matcher-words \
  --size 64 --captions 1 --hard-captions 1 --hard-negatives 1 --random-negatives 2 --hashed-words 0 \
  --batch 32 --epochs 3 --ema 0.99 --precision fp32 --compile no
# Then everything, on scenes of two or three objects.
saccade train match --data scenes:4000,objects=2-3 --weights runs/matcher-words --name matcher \
  --size 64 --captions 1 --hard-captions 2 --hard-negatives 1 --random-negatives 1 --hashed-words 0 \
  --batch 32 --epochs 5 --ema 0.99 --lr 0.01 --adam-lr 1.5e-3 --precision fp32 --compile no
saccade val scenes:1000,objects=1-3 --model runs/matcher --precision fp32
