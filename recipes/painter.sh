#!/usr/bin/env bash
# A generator of drawn scenes from text, English and Korean; its text encoder starts as the bundled matcher's.
#
# command    recipes/painter.sh             on two CPU cores
#            recipes/painter.sh cuda        on a GPU: larger batches, more pictures, scenes drawn by worker processes
# hardware   two CPU cores (Intel Xeon), in fp32
# time       see src/saccade/weights/painter/README.md, which also says where the bundled model departs from these lines
# score      as there
set -euo pipefail
device=${1:-cpu}
if [ "$device" = cuda ]; then
  flow=(--data scenes:102400,objects=1-3,apart --batch 512 --epochs 100 --workers 12 --precision bf16 --device cuda)
  mean_flow=(--data scenes:102400,objects=1-3,apart --batch 512 --epochs 10 --workers 12 --precision bf16 --device cuda)
else
  flow=(--data scenes:11520,objects=1-3,apart --batch 96 --epochs 26 --precision fp32 --compile yes)
  mean_flow=(--data scenes:9600,objects=1-3,apart --batch 96 --epochs 5 --precision fp32 --compile yes)
fi
# First the flow, for tens of steps with guidance.
saccade train generate "${flow[@]}" --weights matcher --name painter-flow \
  --lr 0.02 --adam-lr 2e-3 --weight-decay 0.01 --warmup 0.02 --ema 0.999
# Then the same weights as a map over intervals, for few steps.
saccade train generate "${mean_flow[@]}" --weights runs/painter-flow --objective mean-flow --name painter \
  --lr 0.005 --adam-lr 5e-4 --weight-decay 0.01 --ema 0.99
saccade val scenes:500,objects=1-3,apart --model runs/painter
python -m benchmarks.generation.compose --model runs/painter
