#!/usr/bin/env bash
# The decoder of CogVideoX in diffusers makes 4 frames of the first latent frame where the number of these is even.
#
# An odd number n of latent frames becomes 4 n - 3 frames, as the encoder makes them: 1, 9 and 17 of 1, 3 and 5. An even
# number becomes 4 n: 8 and 16 of 2 and 4, where 5 and 13 are expected. So CogVideoXPipeline(num_frames=5) returns 8
# frames and num_frames=13 returns 16, without a warning, although both are 4 k + 1, which the pipeline's sums round to.
# Consequence: request 8 k + 1 frames of CogVideoX, and check the length of every film that a pipeline returns.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q diffusers==0.42.1 torch==2.13.0
cd "$work"
export HF_HUB_OFFLINE=1 HF_HOME="$work/home"
venv/bin/python - <<'PY'
import diffusers
import torch

print(f"diffusers {diffusers.__version__}, torch {torch.__version__}")
torch.manual_seed(0)
network = diffusers.AutoencoderKLCogVideoX(
    down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4,
    block_out_channels=(8, 8, 8, 8), latent_channels=4, layers_per_block=1, norm_num_groups=2,
    temporal_compression_ratio=4,
).eval()
seen = {}
with torch.no_grad():
    for frames in (1, 5, 9, 13, 17):
        latents = network.encode(torch.randn(1, 3, frames, 32, 32)).latent_dist.mode()
        seen[frames] = (latents.shape[2], network.decode(latents).sample.shape[2])
        print(f"{frames:>2} frames are encoded to {seen[frames][0]} latent frames and decoded to {seen[frames][1]} frames")

expected = {1: (1, 1), 5: (2, 8), 9: (3, 9), 13: (4, 16), 17: (5, 17)}
raise SystemExit(0 if seen == expected else f"changed: expected {expected}, found {seen}")
PY
