"""Holes are never empty and never everything."""

import numpy as np
import pytest

from saccade.data.scenes import Scenes, sample_inpainting_mask
from saccade.data.scenes.conditioning import GUIDE, _object
from saccade.data.scenes.random_stream import RandomStream
from saccade.errors import DataError


@pytest.mark.parametrize("size", [(2, 2), (32, 32), (61, 61), (37, 53), (701, 97)])
def test_neither_empty_nor_everything(size):
    stream = RandomStream(3, GUIDE)
    holes = [sample_inpainting_mask(size, stream) for _ in range(300)]
    assert all(hole.shape == size and hole.dtype == bool and hole.any() and not hole.all() for hole in holes)
    if min(size) >= 32:
        shares = [hole.mean() for hole in holes]
        assert min(shares) < 0.1
        assert max(shares) > 0.6
        assert 0.15 < np.mean(shares) < 0.5
        assert any(hole[0].all() for hole in holes)
        assert any(hole[:, -1].all() for hole in holes)
        assert len({hole.tobytes() for hole in holes}) > 250


def test_the_hole_of_an_object_covers_it():
    scenes, stream = Scenes(40, (61, 53), seed=2), RandomStream(3, GUIDE)
    for i in range(40):
        scene = scenes.scene(i)
        hole = _object((61, 53), stream, scene)
        assert any((hole | ~mask).all() for mask in scene.objects.masks.numpy())


def test_it_depends_on_the_stream_alone():
    scene = Scenes(1, 61, seed=2).scene(0)
    for seed in range(20):
        first, second = (sample_inpainting_mask((61, 61), RandomStream(seed, GUIDE), scene) for _ in range(2))
        assert np.array_equal(first, second)


def test_bad_sizes_are_refused():
    with pytest.raises(DataError, match="a hole in 1 x 5 pixels"):
        sample_inpainting_mask((5, 1), RandomStream(0))
    with pytest.raises(DataError, match="the scene has 61 x 61 pixels; 53 x 61"):
        sample_inpainting_mask((61, 53), RandomStream(0), Scenes(1, 61).scene(0))
