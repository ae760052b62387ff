"""Augmentation: shapes, ranges, soft labels, one seed one result, and each operation against its reference."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from saccade.data import IMAGENET_MEAN, IMAGENET_STD, Augment, Preprocess, smooth_labels
from saccade.data import augment as module
from saccade.errors import DataError

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def batch(b: int = 13, rows: int = 23, columns: int = 29, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    pictures = torch.randint(0, 256, (b, 3, rows, columns), dtype=torch.uint8, generator=g)
    return pictures, torch.randint(0, 7, (b,), generator=g)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


ALL = {"trivial_augment": True, "random_erasing": 0.5, "mixup": 0.8, "cutmix": 1.0, "label_smoothing": 0.1}


@pytest.mark.parametrize("crop", ["pad", "resized", "none"])
@pytest.mark.parametrize("size", [(23, 29), (11, 17), (31, 37)])
def test_shapes_ranges_and_labels(crop: str, size: tuple[int, int]):
    pictures, labels = batch()
    kept = pictures.clone()
    augment = Augment(size, 7, crop=crop, **ALL, **PLAIN)
    for seed in range(4):
        x, y = augment(pictures, labels, seeded(seed))
        assert (x.shape, x.dtype, y.shape) == ((13, 3, *size), torch.float32, (13, 7))
        assert -1e-6 <= x.min() < x.max() <= 1 + 1e-6
        assert y.min() >= 0
        torch.testing.assert_close(y.sum(1), torch.ones(13))
    assert torch.equal(pictures, kept)


@pytest.mark.parametrize("crop", ["pad", "resized"])
def test_the_result_depends_on_the_seed_and_not_on_global_state(crop: str):
    pictures, labels = batch()
    augment = Augment((23, 29), 7, crop=crop, **ALL)
    state = torch.get_rng_state()
    first = augment(pictures, labels, seeded(5))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    again, other = augment(pictures, labels, seeded(5)), augment(pictures, labels, seeded(6))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_nothing_on_is_plain_normalisation():
    pictures, labels = batch()
    x, y = Augment((23, 29), 7, crop="none", hflip=False)(pictures, labels, seeded())
    assert torch.equal(x, Preprocess((1, 1), mean=IMAGENET_MEAN, std=IMAGENET_STD).normalize(pictures))
    assert torch.equal(y, F.one_hot(labels, 7).float())
    mean, std = torch.tensor(module.IMAGENET_MEAN), torch.tensor(module.IMAGENET_STD)
    expected = (pictures.permute(0, 2, 3, 1) / 255 - mean) / std
    torch.testing.assert_close(x.permute(0, 2, 3, 1), expected)


def test_padded_crop_is_a_window_of_the_mirrored_picture():
    pictures, labels = batch(rows=17, columns=24)
    x, _ = Augment((17, 24), 7, crop="pad", **PLAIN)(pictures, labels, seeded())
    padded = F.pad(pictures.float() / 255, (3, 3, 2, 2), mode="reflect")
    seen = set()
    for picture, result in zip(padded, x, strict=True):
        windows = {(i, j): picture[:, i : i + 17, j : j + 24] for i, j in itertools.product(range(5), range(7))}
        found = {(i, j, f) for (i, j), w in windows.items() for f in (0, 1) if (w.flip(-1) if f else w).equal(result)}
        assert len(found) == 1
        seen |= found
    assert len(seen) > 8


def test_one_pixel_pictures():
    pictures, labels = batch(rows=1, columns=1)
    for crop in ("pad", "resized", "none"):
        x, _ = Augment((1, 1), 7, crop=crop, **PLAIN)(pictures, labels, seeded())
        torch.testing.assert_close(x, pictures / 255)


def test_resized_crops_keep_the_share_asked_for():
    boxes = module._boxes(997, (0.35, 1.0), (224, 224), seeded()).float()
    share = boxes[:, 2] * boxes[:, 3] / 224**2
    assert 0.33 < share.min() < 0.4
    assert 0.95 < share.max() <= 1
    assert (boxes[:, 0] >= 0).all()
    assert (boxes[:, 1] >= 0).all()


def test_mixup_mixes_pictures_and_labels_alike():
    labels = torch.arange(7)
    pictures = torch.zeros(7, 3, 5, 5, dtype=torch.uint8)
    pictures[labels, 0] = (labels * 30).to(torch.uint8)[:, None, None]  # the red level tells the class
    augment = Augment((5, 5), 7, crop="none", mixup=1.0, **PLAIN)
    for seed in range(5):
        x, y = augment(pictures, labels, seeded(seed))
        torch.testing.assert_close(x[:, 0, 0, 0] * 255, (y * labels * 30).sum(1))


def test_cutmix_labels_are_the_exact_areas():
    labels = torch.arange(7)
    pictures = (labels * 30).to(torch.uint8).view(7, 1, 1, 1).repeat(1, 3, 19, 23)
    augment = Augment((19, 23), 7, crop="none", hflip=False, cutmix=1.0, **PLAIN)
    areas = set()
    for seed in range(11):
        x, y = augment(pictures, labels, seeded(seed))
        torch.testing.assert_close(x.mean((1, 2, 3)) * 255, (y * labels * 30).sum(1), atol=1e-3, rtol=1e-4)
        areas.add(round(float(y.max(1).values.min()), 6))
    assert len(areas) > 5


def test_mixing_takes_one_of_the_two_and_only_at_times():
    pictures, labels = batch()
    augment = Augment((23, 29), 7, crop="none", hflip=False, mixup=1.0, cutmix=1.0, mixup_prob=0.5, **PLAIN)
    kinds = {"plain": 0, "cutmix": 0, "mixup": 0}
    for seed in range(60):
        x, _ = augment(pictures, labels, seeded(seed))
        whole = x * 255
        levels = (whole - whole.round()).abs().max() < 1e-3  # CutMix moves pixels, MixUp makes new values
        same = torch.equal(x, pictures / 255)
        kinds["plain" if same else "cutmix" if levels else "mixup"] += 1
    assert kinds["plain"] > 15
    assert kinds["cutmix"] > 5
    assert kinds["mixup"] > 5


def test_erasing_blanks_a_box_of_some_pictures():
    pictures, labels = batch(b=101)
    x, _ = Augment((23, 29), 7, crop="none", hflip=False, random_erasing=0.5)(pictures.clamp(min=1), labels, seeded())
    blank = (x == 0).all(1)
    share = blank.float().mean((1, 2))
    assert 30 < (share > 0).sum() < 71
    assert share.max() < 0.36
    for mask in blank[share > 0]:
        rows, columns = mask.any(1), mask.any(0)
        assert torch.equal(mask, rows[:, None] & columns[None, :])


def test_smooth_labels():
    y = smooth_labels(torch.tensor([0, 4]), 5, 0.1)
    torch.testing.assert_close(y, torch.tensor([[0.92] + [0.02] * 4, [0.02] * 4 + [0.92]]))
    with pytest.raises(DataError, match=r"0\.\.4 expected"):
        smooth_labels(torch.tensor([0, 5]), 5, 0.1)


@pytest.mark.parametrize(
    "options",
    [
        {"random_erasing": 2},
        {"mixup": -1},
        {"crop": "middle"},
        {"scale": (0.5, 0.1)},
        {"label_smoothing": -0.1},
        {"mixup_prob": 1.1},
    ],
)
def test_bad_options(options: dict):
    with pytest.raises(DataError, match=next(iter(options))):
        Augment((8, 8), 7, **options)


def test_float_pictures_are_refused():
    with pytest.raises(DataError, match="float32"):
        Augment((8, 8), 7)(torch.rand(2, 3, 8, 8), torch.zeros(2, dtype=torch.int64), seeded())
