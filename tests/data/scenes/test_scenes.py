"""Scenes are what they say: the same everywhere, boxes and masks exact, objects well to be seen."""

import hashlib
import os
import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from saccade.data.scenes import RELATIONS, SHAPES, Scenes
from saccade.data.scenes.compose import sample_layout
from saccade.data.scenes.random_stream import RandomStream, angle_from_tangent
from saccade.errors import DataError

SIZE = (97, 131)  # rows, columns: primes
# Of scenes 0, 1 and 7 of seed 5. Whoever changes how scenes look changes these, on purpose.
GOLDEN = {
    0: "7b8a9dc62b449f39",
    1: "3c588bef64ced3b1",
    7: "1e1bc1a7c0eaf9db",
}


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return Scenes(60, SIZE, seed=5)


def fingerprint(scene) -> str:
    parts = (
        scene.pixels,
        scene.semantic,
        scene.instances,
        scene.objects.boxes.numpy(),
        scene.objects.relations.numpy(),
    )
    found = hashlib.sha256()
    for part in parts:
        found.update(f"{part.dtype.str}{part.shape}".encode())
        found.update(np.ascontiguousarray(part).tobytes())
    found.update(repr((scene.colours, scene.captions)).encode())
    return found.hexdigest()[:16]


@pytest.mark.parametrize("index", GOLDEN)
def test_a_scene_is_the_same_on_every_machine(scenes, index):
    assert fingerprint(scenes.scene(index)) == GOLDEN[index]


def test_vector_instructions_change_nothing():
    """numpy has other code for other processors; here the features of this one are disabled."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    script = "import test_scenes as t; from saccade.data.scenes import Scenes; s = Scenes(8, t.SIZE, seed=5)"
    script += "; print({i: t.fingerprint(s.scene(i)) for i in t.GOLDEN})"
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(found)}
    here = Path(__file__).parent
    message = subprocess.run([sys.executable, "-c", script], env=environment, cwd=here, capture_output=True, text=True)
    assert message.stdout.strip() == str(GOLDEN), message.stderr


def test_a_scene_depends_on_seed_index_and_size_only(scenes):
    again = Scenes(8, SIZE, seed=5)
    assert fingerprint(again.scene(7)) == fingerprint(scenes.scene(7))  # whatever was drawn before, and however many
    others = [Scenes(8, SIZE, seed=6), Scenes(8, SIZE[::-1], seed=5), Scenes(8, SIZE, seed=5 + 2**32)]
    for other, index in zip([*others, again], [7, 7, 7, 6], strict=True):
        assert fingerprint(other.scene(index)) != fingerprint(again.scene(7))


def test_the_random_stream_is_numpy_s_raw_one():
    raw = np.random.PCG64(np.random.SeedSequence(3, spawn_key=(1, 4))).random_raw(192)[::-1]
    stream = RandomStream(3, 1, 4)
    assert [stream.unit_uniform() for _ in range(5)] == [int(value >> 11) / 2**53 for value in raw.tolist()[:5]]


def test_turns_have_length_one():
    for tangent in (-1.0, -0.3, 0.0, 0.5, 1.0):
        cosine, sine = angle_from_tangent(tangent)
        assert cosine * cosine + sine * sine == pytest.approx(1, abs=1e-15)
    assert angle_from_tangent(1.0) == (0.0, 1.0)  # a positive angle, 90 degrees here, turns right into down: clockwise


def test_types_and_shapes(scenes):
    scene = scenes.scene(0)
    count = len(scene.objects)
    assert scene.pixels.dtype == scene.semantic.dtype == scene.instances.dtype == np.uint8
    assert scene.pixels.shape == (*SIZE, 3)
    assert scene.semantic.shape == scene.instances.shape == SIZE
    assert scene.objects.size == SIZE
    assert scene.objects.masks.shape == (count, *SIZE)
    assert len(scene.colours) == count
    assert scenes.classes == list(SHAPES)
    assert scenes.relations == list(RELATIONS)
    assert len(scenes.names) == len(set(scenes.names)) == len(scenes) == 60


def test_boxes_are_the_extents_of_the_masks(scenes):
    for i in range(len(scenes)):
        objects = scenes.objects(i)
        for box, mask in zip(objects.boxes.tolist(), objects.masks, strict=True):
            rows, columns = mask.nonzero().T
            assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_masks_are_disjoint_and_agree_with_the_index_masks(scenes):
    for i in range(len(scenes)):
        scene = scenes.scene(i)
        masks, labels = scene.objects.masks, scene.objects.labels
        assert masks.sum(dim=0).max() == 1
        semantic = (masks * (labels + 1)[:, None, None]).sum(dim=0)
        instances = (masks * torch.arange(1, len(labels) + 1)[:, None, None]).sum(dim=0)
        assert np.array_equal(semantic.numpy(), scene.semantic)
        assert np.array_equal(instances.numpy(), scene.instances)


@pytest.mark.parametrize("size", [128, 61, (211, 83)])
def test_objects_can_be_seen(size):
    scenes = Scenes(40, size, seed=2)
    counts = []
    for i in range(40):
        layout = sample_layout(RandomStream(scenes.seed, 0, i, *scenes.size), *scenes.size)
        objects, colours = scenes.objects(i), scenes.scene(i).colours
        areas = objects.masks.sum(dim=(1, 2)).tolist()
        assert areas == layout.seen
        for area, drawn in zip(areas, layout.stencils, strict=True):
            assert area >= 0.35 * np.count_nonzero(drawn.mask)
            assert area >= 40 * (min(scenes.size) / 128) ** 2
        assert len(set(zip(objects.labels.tolist(), colours, strict=True))) == len(objects)
        counts.append(len(objects))
    assert set(counts) == {3, 4, 5, 6, 7, 8}


def test_sizes_colours_and_shapes_vary():
    scenes = Scenes(150, 64, seed=1)
    found = [scenes.scene(i) for i in range(len(scenes))]
    labels = torch.cat([scene.objects.labels for scene in found])
    assert torch.bincount(labels, minlength=10).min() > 0.05 * len(labels)
    colours = [colour for scene in found for colour in scene.colours]
    assert min(colours.count(colour) for colour in set(colours)) > 0.05 * len(colours)
    assert len(set(colours)) == 10
    boxes = torch.cat([scene.objects.boxes for scene in found])
    longer = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1) / 64
    assert longer.quantile(0.05) < 0.15
    assert longer.quantile(0.95) > 0.4


def test_objects_have_their_annotated_colours():
    """The mean of an object's pixels is of the hue its colour has: checked for three that lie far apart."""
    scenes = Scenes(60, 128, seed=4)
    parts = {"red": 0, "green": 1, "blue": 2}
    seen = 0
    for i in range(len(scenes)):
        scene = scenes.scene(i)
        for colour, mask in zip(scene.colours, scene.objects.masks.numpy(), strict=True):
            if colour in parts:
                assert scene.pixels[mask].mean(axis=0).argmax() == parts[colour]
                seen += 1
    assert seen > 50


def test_picture_and_objects_are_of_one_scene(scenes):
    picture, objects = scenes.picture(3), scenes.objects(3)
    assert picture.name == scenes.names[3]
    assert np.array_equal(np.asarray(picture.image), scenes.scene(3).pixels)
    assert objects is scenes.scene(3).objects
    bare = scenes.objects(3, masks=False)
    assert bare.masks is None
    assert torch.equal(bare.boxes, objects.boxes)
    assert torch.equal(bare.relations, objects.relations)


@pytest.mark.parametrize("seed", [0, 5, 2**62])
@pytest.mark.parametrize("size", [SIZE, (64, 48)])
def test_a_fresh_scene_is_scene_0_of_its_seed_and_size(scenes, size, seed):
    before = scenes.scene(4)
    assert fingerprint(scenes.fresh(size, seed)) == fingerprint(Scenes(1, size, seed).scene(0))
    assert scenes.scene(4) is before


def test_invalid_fresh_scenes_are_refused(scenes):
    with pytest.raises(DataError, match="sides of 32 to 8192"):
        scenes.fresh((64, 31), 1)
    with pytest.raises(DataError, match="the seed of the scenes is -1"):
        scenes.fresh((64, 64), -1)


def test_a_set_of_very_many_takes_no_memory_for_them():
    tracemalloc.start()
    scenes = Scenes(2**40, 32)
    assert scenes.picture(2**40 - 1).name == f"scene-{2**40 - 1}"
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 24


def test_scenes_go_to_other_processes(scenes):
    assert fingerprint(pickle.loads(pickle.dumps(scenes)).scene(2)) == fingerprint(scenes.scene(2))


@pytest.mark.parametrize("index", [-1, 60])
def test_there_is_none_beyond_the_last(scenes, index):
    with pytest.raises(IndexError, match=f"scene {index} was requested; there are 60"):
        scenes.scene(index)
    with pytest.raises(IndexError):
        scenes.film(index)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": -1}, "-1 scenes were requested; 0 or more expected"),
        ({"n": 1, "size": 31}, "31 x 31 pixels were requested; sides of 32 to 8192"),
        ({"n": 1, "size": (64, 9000)}, "9000 x 64 pixels"),
        ({"n": 1, "seed": -3}, "the seed of the scenes is -3"),
    ],
)
def test_invalid_arguments_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        Scenes(**arguments)


def test_none_is_a_set_too():
    assert len(Scenes(0)) == 0
    assert Scenes(0).names == []


@pytest.mark.parametrize("size", [32, (32, 700), (700, 32)])
def test_extreme_sizes(size):
    scenes = Scenes(6, size)
    for i in range(6):
        assert len(scenes.objects(i)) >= 3
