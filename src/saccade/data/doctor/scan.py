"""Decode all pictures of a set once, to find unreadable ones, duplicates and similar ones."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from saccade.data.doctor.near_copies import SIDE, near_copies
from saccade.data.images import read_image, read_size
from saccade.data.store import Store
from saccade.data.threads import map_threads
from saccade.errors import DataError


@dataclass(frozen=True)
class ScannedImage:
    """Scan of one picture. error: why it cannot be decoded, "" if it can. size: (height, width) as stored. orientation:
    EXIF's 1..8. digest: of the file. thumb: SIDE x SIDE grey pixels."""

    error: str = ""
    size: tuple[int, int] = (0, 0)
    orientation: int = 1
    digest: bytes = b""
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
    thumb = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX).tobytes()
    return ScannedImage("", size, orientation, hashlib.blake2b(data, digest_size=16).digest(), thumb)


def copies(seen: dict[str, ScannedImage]) -> list[list[str]]:
    """Groups of pictures with identical files."""
    groups: dict[bytes, list[str]] = {}
    for name, each in seen.items():
        if not each.error:
            groups.setdefault(each.digest, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def similar(seen: dict[str, ScannedImage]) -> list[tuple[str, str]]:
    """Pairs of pictures that are nearly the same, with different files."""
    names = [name for name, each in seen.items() if not each.error]
    thumbs = np.frombuffer(b"".join(seen[name].thumb for name in names), dtype=np.uint8).reshape(-1, SIDE, SIDE)
    pairs = [(names[i], names[j]) for i, j in near_copies(thumbs)]
    return [(a, b) for a, b in pairs if seen[a].digest != seen[b].digest]
