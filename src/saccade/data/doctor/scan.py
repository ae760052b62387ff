"""Decode all pictures of a set once, to find unreadable ones, duplicates and similar ones."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from saccade.data.images import read_image, read_size
from saccade.data.store import Store
from saccade.data.threads import map_threads
from saccade.errors import DataError

THUMB = 16  # side in pixels of the greyscale thumbnails that are compared
NEIGHBOURS = 64  # in an order by hash, that each picture is compared with
BITS, LEVELS, FLAT = 4, 5.0, 6.0


@dataclass(frozen=True)
class ScannedImage:
    """Scan of one picture. error: why it cannot be decoded, "" if it can. size: (height, width) as stored. orientation:
    EXIF's 1..8. digest: of the file. hash: difference hash, 64 bits: whether each of 8 x 8 cells is darker than the
    next. thumb: THUMB x THUMB grey pixels."""

    error: str = ""
    size: tuple[int, int] = (0, 0)
    orientation: int = 1
    digest: bytes = b""
    hash: int = 0
    thumb: bytes = b""


def scan_images(store: Store, names: Sequence[str]) -> dict[str, ScannedImage]:
    """Decode all pictures, in threads, with a progress bar."""
    return dict(zip(names, map_threads(lambda name: _scan_image(store, name), names, "pictures"), strict=True))


def _scan_image(store: Store, name: str) -> ScannedImage:
    display = os.path.basename(name)
    try:
        source = store.read(name)
        data = source.read_bytes() if isinstance(source, Path) else source
        picture = read_image(data, name=display)
        image, size, orientation = picture.image, picture.image.size[::-1], 1
        if any("upright" in note for note in picture.notes):
            size, orientation = read_size(data, display)
    except OSError as error:
        return ScannedImage(f"{display} cannot be opened ({error.strerror})")
    except DataError as error:
        return ScannedImage(str(error))
    grey = image.convert("L")
    small = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = np.packbits(small[:, 1:] > small[:, :-1])
    thumb = grey.resize((THUMB, THUMB), Image.Resampling.BOX).tobytes()
    digest = hashlib.blake2b(data, digest_size=16).digest()
    return ScannedImage("", size, orientation, digest, int.from_bytes(bits.tobytes(), "big"), thumb)


def copies(seen: dict[str, ScannedImage]) -> list[list[str]]:
    """Groups of pictures with identical files."""
    groups: dict[bytes, list[str]] = {}
    for name, each in seen.items():
        if not each.error:
            groups.setdefault(each.digest, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def similar(seen: dict[str, ScannedImage]) -> list[tuple[str, str]]:
    """Pairs of similar pictures with different files: at most BITS of their hashes differ, and their thumbnails, with
    the mean subtracted, differ by at most LEVELS (of 255) on average. Flat pictures (standard deviation below FLAT) are
    skipped.

    Each picture is compared with its NEIGHBOURS in four orders of the hashes, sorted by different 16 bits: two hashes
    that differ in at most BITS bits nearly always share one of the four parts."""
    names = [name for name, each in seen.items() if not each.error]
    if len(names) < 2:
        return []
    hashes = np.array([seen[name].hash for name in names], dtype=np.uint64)
    thumbs = np.frombuffer(b"".join(seen[name].thumb for name in names), dtype=np.uint8).reshape(len(names), -1)
    pairs = _close(hashes)
    kept = []
    for first in range(0, len(pairs), 1 << 14):
        some = pairs[first : first + (1 << 14)]
        a, b = (thumbs[some[:, i]].astype(np.float32) for i in (0, 1))
        a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
        alike = (np.abs(a - b).mean(1) <= LEVELS) & (a.std(1) > FLAT) & (b.std(1) > FLAT)
        kept += [(names[i], names[j]) for i, j in some[alike].tolist()]
    return [(a, b) for a, b in kept if seen[a].digest != seen[b].digest]


def _close(hashes: np.ndarray) -> Int64[np.ndarray, "p 2"]:
    """Pairs of indices of hashes that differ in at most BITS bits."""
    found = [np.empty((0, 2), dtype=np.int64)]
    for turn in (0, 16, 32, 48):
        turned = hashes if turn == 0 else (hashes << np.uint64(turn)) | (hashes >> np.uint64(64 - turn))
        order = np.argsort(turned, kind="stable")
        for step in range(1, min(NEIGHBOURS, len(order) - 1) + 1):
            a, b = order[:-step], order[step:]
            # equal leading bits are adjacent in this order: without any at this distance, there are none further away
            alike = (turned[a] >> np.uint64(48)) == (turned[b] >> np.uint64(48))
            if not alike.any():
                break
            a, b = a[alike], b[alike]
            close = _ones((hashes[a] ^ hashes[b])[:, None].view(np.uint8)) <= BITS
            found.append(np.stack([np.minimum(a, b), np.maximum(a, b)], axis=1)[close])
    return np.unique(np.concatenate(found), axis=0)


def _ones(data: UInt8[np.ndarray, "n 8"]) -> np.ndarray:
    return np.unpackbits(data, axis=1).sum(1)
