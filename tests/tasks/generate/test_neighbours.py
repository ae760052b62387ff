"""The nearest training picture and the nearest unseen one."""

import numpy as np
import pytest

from saccade.tasks.generate import neighbours
from saccade.tasks.generate.neighbours import Neighbours


def test_copies_of_training_pictures_have_a_low_ratio():
    rng = np.random.default_rng(0)
    seen, unseen, others = (rng.integers(0, 256, (n, 5, 7, 3), dtype=np.uint8) for n in (13, 13, 11))
    copies = np.clip(seen[[4, 9, 2]].astype(int) + 3, 0, 255).astype(np.uint8)
    found = Neighbours.of(copies, seen, unseen)
    assert found.seen.tolist() == [4, 9, 2]
    assert found.seen_distance.max() <= 3 / 255 + 1e-6
    assert found.ratios.max() < 0.1
    plain = Neighbours.of(others, seen, unseen)
    exact = ((others[:, None].astype(float) - seen[None]) / 255) ** 2
    assert plain.seen_distance == pytest.approx(np.sqrt(exact.mean(axis=(2, 3, 4)).min(axis=1)), rel=1e-5)
    median, low, high = plain.median
    assert 0.8 < low <= median <= high < 1.25


@pytest.mark.parametrize("chunk", [1, 5, 100])
def test_the_nearest_of_many_does_not_depend_on_chunks(chunk, monkeypatch):
    rng = np.random.default_rng(1)
    pictures, references = (rng.integers(0, 256, (n, 3, 5, 3), dtype=np.uint8) for n in (7, 11))
    monkeypatch.setattr(neighbours, "CHUNK", chunk)
    index, distance = neighbours.nearest(pictures, references)
    exact = np.sqrt((((pictures[:, None].astype(float) - references[None]) / 255) ** 2).mean(axis=(2, 3, 4)))
    assert index.tolist() == exact.argmin(axis=1).tolist()
    assert distance == pytest.approx(exact.min(axis=1), rel=1e-5)
