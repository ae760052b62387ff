#!/usr/bin/env bash
# A matcher of pictures and texts, English and Korean, on drawn scenes.
#
# command    recipes/matcher.sh         from the encoder of the bundled detector, on two CPU cores
#            recipes/matcher.sh cuda    what that makes, runs/matcher, trained further on one GPU
#            recipes/matcher.sh relations [MODEL]       then the text encoder and the head, on one CPU core
#            recipes/matcher.sh emoji FOLDER [MODEL]    last, all of it, with captioned emoji, on one CPU core
# hardware   two CPU cores (Intel Xeon), in fp32; then one NVIDIA H200 with five worker processes that draw scenes; then
#            one CPU core (Intel Xeon with AMX)
# time       half an hour; then 7 minutes with the GPU shared with another training; then 28 minutes beside other work;
#            then 72 minutes beside other work
# score      see src/saccade/weights/matcher/README.md, which also says where the bundled model departs from these lines
set -euo pipefail

if [ "${1:-}" = cuda ]; then
  # A batch of 128 pairs is 256 pictures. A core draws and labels about 500 pictures a second. Compiling takes longer
  # than the run. No table of words is added: the words are learned.
  further=(--size 64 --captions 1 --hard-captions 2 --hard-negatives 1 --random-negatives 1 --hashed-words 0 --batch 128
    --workers 5 --device cuda --precision bf16 --compile no)
  saccade train match "${further[@]}" --data scenes:30720,objects=1-3 --weights runs/matcher \
    --name matcher-further --epochs 1 --lr 0.01 --adam-lr 1e-3 --ema 0.99
  saccade train match "${further[@]}" --data scenes:57856,objects=1-3 --weights runs/matcher-further \
    --name matcher-gpu --epochs 4 --lr 0.015 --adam-lr 1.5e-3 --ema 0.998
  saccade val scenes:1000,objects=1-3 --model runs/matcher-gpu --precision fp32
  exit
fi
if [ "${1:-}" = relations ]; then
  # Which of two things is left of the other is learned with the encoder as it is, and first where nothing else is to be
  # learned: of 2 or 3 objects that do not overlap, after about 250 steps at chance.
  head=(--lock --size 64 --captions 1 --hashed-words 0 --batch 32 --ema 0.99 --compile no)
  saccade train match "${head[@]}" --data scenes:30000,objects=2-3,apart --val scenes:100,objects=1-3 \
    --weights "${2:-runs/matcher-gpu}" --name matcher-apart --hard-captions 1 --hard-negatives 0 --random-negatives 0 \
    --budget 12m --lr 0.012 --adam-lr 1e-3
  saccade train match "${head[@]}" --data scenes:30000,objects=1-3 --val scenes:200,objects=1-3 \
    --weights runs/matcher-apart --name matcher-relations --hard-captions 2 --hard-negatives 1 --random-negatives 1 \
    --budget 16m --lr 0.006 --adam-lr 5e-4
  saccade val scenes:1000,objects=1-3 --model runs/matcher-relations --precision fp32
  exit
fi
if [ "${1:-}" = emoji ]; then
  # Scenes and emoji, each with captions of its own kind. The result is better averaged with what it began as: relations
  # are learned here, and other scores fall a little.
  before=${3:-runs/matcher-relations}
  saccade train match --data scenes:30000,objects=1-3 --val scenes:200,objects=1-3 --weights "$before" \
    --name matcher-emoji --captioned "$2" --captioned-share 0.25 --size 64 --captions 1 --hard-captions 2 \
    --hard-negatives 1 --random-negatives 1 --hashed-words 0 --batch 32 --lr 0.008 --adam-lr 8e-4 --ema 0.997 \
    --warmup 0.03 --budget 72m --compile yes
  python recipes/average.py runs/matcher-emoji "$before" --share 0.25 --out runs/matcher-average
  saccade val scenes:1000,objects=1-3 --model runs/matcher-average --precision fp32
  saccade val "$2" --model runs/matcher-average --held-out 0.1
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
