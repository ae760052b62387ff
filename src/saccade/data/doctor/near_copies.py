"""Pictures that are nearly the same: brighter, darker, compressed, resized or cut a little.

Each picture has a hash of 63 bits: whether each of its lowest cosine coefficients is above their median (Zauner 2010,
"Implementation and benchmarking of perceptual image hash functions", section 3.2.1). A cut picture has another hash, so
each picture is also hashed as if it were cut in several ways (CUTS), and the hash of a whole picture is compared with
both. Candidates are confirmed by the correlation of more coefficients, in which fine detail counts as much as coarse.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8, UInt64

SIDE = 32  # pixels of the grey thumbnails that are compared
BITS = 6  # of a hash, by which near copies differ at most
ALIKE = 0.9  # correlation of their coefficients, from which candidates are near copies
FLAT = 6.0  # standard deviation of the grey values, below which a picture shows too little to compare
_HASHED, _COMPARED = 8, 12  # coefficients a side
# (left, top, size) of the parts, as fractions of the picture: all of it, and cuts around the middle and at the corners
CUTS = [(0.0, 0.0, 1.0), (0.03, 0.03, 0.94), (0.05, 0.05, 0.9)]
CUTS += [(left, top, 0.94) for left in (0.0, 0.06) for top in (0.0, 0.06)]
_ORDERS, _NEIGHBOURS = 16, 32  # of the sorted hashes: how many orders, and with how many others each is compared
_CHUNK = 1 << 13
_ALL = 1 << 17  # pairs of hashes, up to which every pair is compared: 136 pictures

Thumbs = UInt8[np.ndarray, "n y x"]


def near_copies(thumbs: Thumbs) -> list[tuple[int, int]]:
    """Pairs of indices of pictures that are nearly the same, smaller first. Time and memory are linear in n: of very
    many pictures alike, each is compared with some."""
    shown = np.flatnonzero(thumbs.std((1, 2)) >= FLAT)
    if len(shown) < 2:
        return []
    thumbs = thumbs[shown]
    parts = [_hashes(thumbs, cut) for cut in CUTS]
    found: set[tuple[int, int]] = set()
    for pairs in _candidates(np.concatenate(parts), len(thumbs)):
        whole, cut, other = pairs[:, 0], pairs[:, 1] // len(thumbs), pairs[:, 1] % len(thumbs)
        alike = np.zeros(len(pairs), dtype=bool)
        for index in np.unique(cut):
            rows = cut == index
            a, b = _details(thumbs[whole[rows]], CUTS[0]), _details(thumbs[other[rows]], CUTS[index])
            alike[rows] = (a * b).sum(1) >= ALIKE
        a, b = shown[whole[alike]], shown[other[alike]]
        found.update(zip(np.minimum(a, b).tolist(), np.maximum(a, b).tolist(), strict=True))
    return sorted(found)


def _hashes(thumbs: Thumbs, cut: tuple[float, float, float]) -> Bool[np.ndarray, "n 64"]:
    """Bits of the pictures as if cut; the first is 0."""
    bits = np.zeros((len(thumbs), _HASHED**2), dtype=bool)
    for first in range(0, len(thumbs), _CHUNK):
        found = _coefficients(thumbs[first : first + _CHUNK], cut, _HASHED)
        bits[first : first + _CHUNK, 1:] = found > np.median(found, axis=1, keepdims=True)
    return bits


def _details(thumbs: Thumbs, cut: tuple[float, float, float]) -> Float32[np.ndarray, "n k"]:
    """Unit vectors of coefficients, each times its frequency: pictures have little of high ones (a 1/f spectrum)."""
    u = np.arange(_COMPARED, dtype=np.float32)
    weight = np.hypot(u[:, None], u[None]).ravel()[1:]
    found = _coefficients(thumbs, cut, _COMPARED) * weight
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)


def _coefficients(thumbs: Thumbs, cut: tuple[float, float, float], count: int) -> Float32[np.ndarray, "n k"]:
    """The count x count lowest cosine coefficients of a part of each picture, without the mean."""
    left, top, size = cut
    rows, columns = _cosines(top, size, count), _cosines(left, size, count)
    return np.matmul(np.matmul(rows, thumbs.astype(np.float32)), columns.T).reshape(len(thumbs), -1)[:, 1:]


def _cosines(start: float, size: float, count: int) -> Float32[np.ndarray, "k x"]:
    """Cosines over an interval of the side; pixels at its ends count by their part inside it."""
    x = np.arange(SIDE)
    low, high = start * SIDE, (start + size) * SIDE
    left, right = np.maximum(x, low), np.minimum(x + 1, high)
    waves = np.cos(np.pi * np.arange(count)[:, None] * ((left + right) / 2 - low) / (high - low))
    return (waves * np.clip(right - left, 0, 1)).astype(np.float32)


def _candidates(bits: Bool[np.ndarray, "h 64"], pictures: int) -> Sequence[Int64[np.ndarray, "p 2"]]:
    """Chunks of pairs (a whole picture, a hash of another) of hashes that differ in at most BITS bits."""
    hashes = _packed(bits)
    if pictures * len(hashes) <= _ALL:
        whole, other = np.nonzero(_ones(hashes[:pictures, None] ^ hashes) <= BITS)
        pairs = np.stack([whole, other], axis=1)[whole != other % pictures]
    else:
        keys = _neighbours(bits, hashes, pictures)
        pairs = np.stack([keys // len(hashes), keys % len(hashes)], axis=1)
    return [pairs[first : first + _CHUNK] for first in range(0, len(pairs), _CHUNK)]


def _neighbours(
    bits: Bool[np.ndarray, "h 64"], hashes: UInt64[np.ndarray, "h"], pictures: int
) -> Int64[np.ndarray, "p"]:
    """The pairs of `_candidates` as whole * h + other, without comparing all pairs.

    Hashes are sorted with their bits in several random orders; two that are close are neighbours in nearly always at
    least one of them."""
    rng, found = np.random.default_rng(0), [np.empty(0, dtype=np.int64)]
    for _ in range(_ORDERS):
        order = np.argsort(_packed(bits[:, rng.permutation(64)]), kind="stable")
        ordered = hashes[order]
        for step in range(1, min(_NEIGHBOURS, len(order) - 1) + 1):
            near = np.flatnonzero(_ones(ordered[:-step] ^ ordered[step:]) <= BITS)
            a, b = order[near], order[near + step]
            for whole, other in ((a, b), (b, a)):
                different = (whole < pictures) & (whole != other % pictures)
                found.append((whole * len(hashes) + other)[different])
    return np.unique(np.concatenate(found))


def _packed(bits: Bool[np.ndarray, "h 64"]) -> UInt64[np.ndarray, "h"]:
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(">u8")[:, 0].astype(np.uint64)


def _ones(values: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    """The number of bits that are set (Warren, Hacker's Delight, section 5-1)."""
    values = values - ((values >> np.uint64(1)) & np.uint64(0x5555555555555555))
    values = (values & np.uint64(0x3333333333333333)) + ((values >> np.uint64(2)) & np.uint64(0x3333333333333333))
    values = (values + (values >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (values * np.uint64(0x0101010101010101)) >> np.uint64(56)
