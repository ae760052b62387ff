"""Pictures that are nearly the same."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from saccade.data.doctor.near_copies import SIDE, _candidates, _ones, near_copies

COUNT = 40


def picture(seed: int) -> Image.Image:
    """Smooth noise with coarse and fine parts, as photographs have."""
    g = np.random.default_rng(seed)
    sizes = ((4, 3), (16, 12), (64, 48))
    parts = [Image.fromarray((g.random(size) * 255).astype(np.uint8)).resize((320, 240), 3) for size in sizes]
    return Image.fromarray(np.mean([np.asarray(part) for part in parts], axis=0).astype(np.uint8))


def compressed(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=40)
    return Image.open(file)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.25),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "compressed": compressed,
    "half": lambda image: image.resize((160, 120)),
    "cut around": lambda image: image.crop((10, 7, 310, 233)),
    "cut at a corner": lambda image: image.crop((19, 14, 320, 240)),
    "cut and brighter": lambda image: ImageEnhance.Brightness(image.crop((10, 7, 310, 233))).enhance(1.2),
}


def thumbs(images: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)) for image in images])


@pytest.mark.parametrize("change", COPIES)
def test_copies_are_found_and_nothing_else(change):
    images = [picture(i) for i in range(COUNT)]
    got = near_copies(thumbs(images + [COPIES[change](image) for image in images]))
    expected = {(i, COUNT + i) for i in range(COUNT)}
    assert set(got) <= expected
    assert len(got) >= 0.95 * COUNT


def test_other_parts_of_a_picture_and_mirrors_are_not_copies():
    images = [picture(i) for i in range(COUNT)]
    halves = [image.crop((0, 0, 200, 240)) for image in images]
    mirrors = [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for image in images]
    assert near_copies(thumbs(images + halves + mirrors)) == []


def test_flat_pictures_are_not_compared():
    assert near_copies(np.full((7, SIDE, SIDE), 40, np.uint8)) == []
    assert near_copies(np.zeros((0, SIDE, SIDE), np.uint8)) == []


@pytest.mark.parametrize(("count", "found"), [(311, 1.0), (401, 0.97)])
def test_candidates_against_all_pairs(count, found):
    g = np.random.default_rng(0)
    bits = g.random((count, 64)) < 0.5
    bits[:, 0] = False
    for i in range(80):  # planted: up to seven bits changed
        bits[100 + i] = bits[i]
        bits[100 + i, g.choice(np.arange(1, 64), size=i % 8, replace=False)] ^= True
    distance = (bits[:, None] != bits[None]).sum(2)
    expected = {(i, j) for i, j in np.argwhere(distance <= 6).tolist() if i != j}
    got = {(i, j) for chunk in _candidates(bits, len(bits)) for i, j in chunk.tolist()}
    assert got <= expected
    assert len(got) >= found * len(expected) > 100


def test_many_equal_pictures_make_no_more_than_a_linear_number_of_pairs():
    one = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE), dtype=np.uint8)
    assert 499 <= len(near_copies(one.repeat(500, 0))) < 500 * 16 * 32


def test_ones():
    values = np.array([0, 1, 2**63, 2**64 - 1, 0xF0F0], np.uint64)
    assert _ones(values).tolist() == [0, 1, 1, 64, 8]
