#!/usr/bin/env bash
# Pillow joins equal neighbouring frames when it writes GIF, APNG and WebP, and keeps them in AVIF.
#
# A still clip of 16 frames comes back as one frame from GIF, APNG and WebP, as Pillow and PyAV read it, so the frame
# count of a written animation is not the count that was passed to save(). Where two of three frames are equal, the
# joined frame has the sum of their durations; where all are, APNG and WebP lose the duration altogether.
# Consequence: index frames by their time stamps, never by position, and check the frame count after writing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q pillow==13.0.0 av==18.1.0
cd "$work"
venv/bin/python - <<'PY'
import av
import PIL
from PIL import Image, ImageSequence

print(f"Pillow {PIL.__version__}, PyAV {av.__version__}")
red, blue = (Image.new("RGB", (32, 24), color) for color in ("red", "blue"))


def write(name, frames):
    frames[0].save(name, save_all=True, append_images=frames[1:], duration=100, loop=0)


def by_pillow(name):
    with Image.open(name) as image:
        return [frame.load() and frame.info.get("duration") for frame in ImageSequence.Iterator(image)]


def by_pyav(name):
    with av.open(name) as container:
        return sum(1 for _ in container.decode(video=0))


seen = {}
for suffix in ("gif", "png", "webp", "avif"):
    write(f"still.{suffix}", [red.copy() for _ in range(16)])
    still = by_pillow(f"still.{suffix}")
    decoded = by_pyav(f"still.{suffix}") if suffix in ("gif", "png") else None
    write(f"pair.{suffix}", [red.copy(), red.copy(), blue.copy()])
    pair = by_pillow(f"pair.{suffix}")
    seen[suffix] = (still, decoded, pair)
    print(f"{suffix:>4}: 16 equal frames -> Pillow {len(still)} ({still[0]} ms), PyAV {decoded}; durations of red, red, blue: {pair}")

joined = [200, 100]
expected = {
    "gif": ([1600], 1, joined),
    "png": ([None], 1, joined),
    "webp": ([0], None, joined),
    "avif": ([100] * 16, None, [100] * 3),
}
raise SystemExit(0 if seen == expected else f"changed: expected {expected}, found {seen}")
PY
