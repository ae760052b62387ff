#!/usr/bin/env bash
# All timing benchmarks, one after the other, and docs/speed.md of what they found. Needs the dev extra, a quiet machine
# and about 45 minutes of two cores; onnxruntime, openvino, timm and diffusers are compared where they are installed.
#
#   benchmarks/all.sh            # writes docs/speed.md
#   benchmarks/all.sh --quick    # shows that all of them run: small sizes, a table on standard output
set -euo pipefail
cd "$(dirname "$0")/.."
quick=${1:-}
[ -z "$quick" ] || [ "$quick" = --quick ] || { sed -n 2,7p "$0"; exit 2; }

# Module and its options in a full run.
benchmarks=(
  "core.vit --compile --repeats 3 --only 256"
  "core.train_step --compile --repeats 5 --only 65"
  "core.match"
  "core.engines"
  "core.segmenter --repeats 7"
  "core.detector --repeats 7"
  "lens.watch --sizes 224 512"
  "lens.cost"
  "lens.views --sizes 256 1024"
  "lens.ask"
  "generation.generate --repeats 3"
  "generation.film_speed --repeats 3 --only 1"
  "generation.cached_sources --repeats 3"
)
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
failed=0
for each in "${benchmarks[@]}"; do
  read -r name options <<<"$each"
  [ -z "$quick" ] || options=$quick
  echo "+ python -m benchmarks.$name $options" >&2
  # shellcheck disable=SC2086  # options are words
  if ! python -m "benchmarks.$name" $options --json-file "$found/$name.json" >"$found/log" 2>&1; then
    tail -n 1 "$found/log" >"$found/$name.failed"
    cat "$found/log" >&2
    failed=1
  fi
done
if [ -n "$quick" ]; then
  python -m benchmarks.common.speed_table "$found"
else
  python -m benchmarks.common.speed_table "$found" >docs/speed.md
fi
exit $failed
