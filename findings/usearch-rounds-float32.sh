#!/usr/bin/env bash
# usearch stores float32 vectors as bf16 unless dtype="f32" is given, and exact=True is exact over the rounded vectors.
#
# Embeddings of images share a large common mean, which uses up the 8 bits of a bf16 significand: an exact search then
# misses true neighbours, although vectors, queries and metric are those of an exact NumPy search.
# Consequence: pass dtype="f32" where the order of near neighbours matters, and measure recall against a plain product.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q usearch==2.26.6 'numpy==2.4.*'
cd "$work"
venv/bin/python - <<'PY'
import numpy as np
import usearch
from usearch.index import Index

print(f"usearch {usearch.__version__}, NumPy {np.__version__}")
generator = np.random.default_rng(0)
vectors = (generator.standard_normal((5_000, 64)) + 3 * generator.standard_normal(64)).astype(np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
queries = vectors[:100]
true = np.argsort(-(queries.astype(np.float64) @ vectors.T.astype(np.float64)), axis=1)[:, :10]


def recall(**options):
    index = Index(ndim=64, metric="ip", **options)
    index.add(np.arange(len(vectors)), vectors)
    found = index.search(queries, 10, exact=True).keys
    return index.dtype, float(np.mean([len({*a} & {*b}) / 10 for a, b in zip(true, found)]))


seen = []
for options in ({}, {"dtype": "f32"}):
    seen.append(recall(**options))
    print(f"{options or 'default'}: stored as {seen[-1][0]}, recall@10 of an exact search {seen[-1][1]:.3f}")
(_, rounded), (_, kept) = seen
raise SystemExit(0 if rounded < 0.99 and kept == 1 else f"changed: expected below 0.99 and 1, found {rounded}, {kept}")
PY
