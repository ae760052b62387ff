"""The measures of painted pictures: exact references on small arrays."""

import importlib

import numpy as np
import pytest
import torch

from saccade.tasks.judge.scores import Share


@pytest.fixture(autouse=True)
def root(monkeypatch, request):
    monkeypatch.syspath_prepend(str(request.config.rootpath))


@pytest.fixture
def metrics():
    return importlib.import_module("benchmarks.generation.metrics")


@pytest.fixture
def figures():
    return importlib.import_module("benchmarks.generation.figures")


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_a_colour_matched_copy_has_the_moments_of_the_style(metrics):
    style = (100 + 20 * np.sin(np.arange(11 * 13 * 3))).reshape(11, 13, 3).astype(np.uint8)
    found = metrics.colour_matched((noise(7, 5, 3) // 8 + 100).astype(np.uint8), style).astype(np.float64)
    assert found.mean(axis=(0, 1)) == pytest.approx(style.mean(axis=(0, 1)), abs=0.5)
    assert found.std(axis=(0, 1)) == pytest.approx(style.std(axis=(0, 1)), abs=0.5)
    flat = metrics.colour_matched(np.full((7, 5, 3), 9, np.uint8), style)
    assert (flat == np.rint(style.mean(axis=(0, 1)))).all()


def test_contours_are_the_innermost_pixels_of_objects(metrics):
    instances = np.zeros((7, 9), np.uint8)
    instances[1:6, 2:5], instances[1:6, 5:8] = 1, 2
    expected = instances > 0
    expected[2:5, 3] = expected[2:5, 6] = False
    assert (metrics.contours(instances) == expected).all()


def test_boundary_f_counts_pixels_within_the_tolerance(metrics):
    found, truth = np.zeros((11, 13), bool), np.zeros((11, 13), bool)
    found[2:10, 3], truth[2:10, 5] = True, True
    assert metrics.boundary_f(found, truth, 1.99) == 0
    assert metrics.boundary_f(found, truth, 2) == 1
    found[2:8] = False  # two pixels of eight remain: precision 1; at a distance of 1 recall is 3 of 8
    found = np.roll(found, 2, axis=1)
    assert metrics.boundary_f(found, truth, 1) == pytest.approx(2 * 0.375 / 1.375)
    assert metrics.boundary_f(found, found, 0) == 1
    nothing = np.zeros_like(found)
    assert metrics.boundary_f(nothing, truth, 3) == metrics.boundary_f(found, nothing, 3) == 0
    assert metrics.boundary_f(nothing, nothing, 3) == 1


def test_a_seam_is_the_difference_across_the_border(metrics):
    hole = np.zeros((5, 7), bool)
    hole[1:3, 4:] = True  # borders: 3 pixels above, 3 below, 2 at the left
    picture = np.zeros((5, 7, 3), np.uint8)
    picture[hole] = 10
    assert metrics.seam(picture, hole) == 10
    picture[0] = 40
    assert metrics.seam(picture, hole) == pytest.approx((3 * 30 + 5 * 10) / 8)
    picture[3:, :, 0] = 25  # in one channel of three
    assert metrics.seam(picture, hole) == pytest.approx((3 * 30 + 3 * (15 + 20) / 3 + 2 * 10) / 8)


def test_means_of_pictures_have_paired_intervals(figures):
    values = torch.randn(400, generator=torch.Generator().manual_seed(0)).tolist()
    mean = figures.Mean(values)
    error = torch.tensor(values).std().item() / 20
    assert mean.value == pytest.approx(np.mean(values))
    assert mean.interval == pytest.approx((mean.value - 1.96 * error, mean.value + 1.96 * error), abs=0.15 * error)
    higher = figures.Mean([each + 0.01 for each in values])
    assert higher.minus(mean).value == pytest.approx(0.01)
    assert higher.minus(mean).interval == pytest.approx((0.01, 0.01))
    with pytest.raises(ValueError, match="longer"):
        figures.Mean([1.0]).minus(mean)


def test_a_ratio_is_of_sums(figures):
    ratio = figures.Ratio([1.0, 3.0, 2.0], [2.0, 2.0, 1.0])
    assert ratio.value == 6 / 5
    assert ratio.interval[0] < 6 / 5 < ratio.interval[1] <= 2
    assert figures.Ratio([2.0, 6.0], [1.0, 3.0]).interval == pytest.approx((2, 2))


def test_tables_show_intervals_and_gaps(figures, capsys):
    table = {"one": {"share": Share(3, 4), "mean": figures.Mean([10.0, 10.0])}, "another": {"share": Share(0, 4)}}
    figures.print_table("a title", table)
    _, title, head, first, second = capsys.readouterr().out.splitlines()
    assert title == "## a title"
    assert head.split() == ["share", "(n=4)", "mean", "(n=2)"]
    assert first.split() == ["one", "0.750", "(0.301", "to", "0.954)", "10.0", "(10.0", "to", "10.0)"]
    assert second.split()[-1] == "-"
    assert figures.to_dict(table)["one"]["mean"] == {"value": 10.0, "interval": pytest.approx((10, 10)), "n": 2}
