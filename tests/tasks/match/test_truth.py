"""Which captions are true of which scenes."""

import itertools
from dataclasses import replace

import pytest
import torch

from saccade.data.scenes import Description, Scenes, minimal_edit, sample_caption
from saccade.data.scenes.random_stream import RandomStream
from saccade.tasks.match.truth import describes, missing_objects, true_pairs

SCENE = Description(
    (("star", "red"), ("ring", "blue"), ("star", "green")), ((0, "left of", 1), (1, "above", 2)), "dark"
)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        (SCENE, True),
        (SCENE.select([2, 0, 1]), True),
        (SCENE.select([1]), True),
        (Description((("star", "red"),)), True),
        (Description((("star", ""),)), True),
        (Description((("star", ""), ("star", ""))), True),
        (Description((("ring", ""), ("ring", ""))), False),  # there is one ring
        (Description((("star", "blue"),)), False),
        (Description((("star", "red"),), background="light"), False),
        (Description((("star", "red"),), background="dark"), True),
        (Description((("star", "red"), ("ring", "blue")), ((1, "left of", 0),)), False),
        (Description((("ring", "blue"), ("star", "red")), ((1, "left of", 0),)), True),
        (Description((("star", ""), ("ring", "blue")), ((1, "above", 0),)), True),  # of the green one
        (Description((("star", "red"), ("ring", "blue")), ((1, "above", 0),)), False),
    ],
)
def test_describes(caption, expected):
    assert describes(caption, SCENE) is expected


def reference(caption, scene):
    """All assignments of mentions to objects, one by one."""
    if caption.background not in (None, scene.background):
        return False
    return any(
        all(
            scene.objects[i][0] == shape and colour in ("", scene.objects[i][1])
            for i, (shape, colour) in zip(order, caption.objects, strict=True)
        )
        and all((order[a], name, order[b]) in scene.relations for a, name, b in caption.relations)
        for order in itertools.permutations(range(len(scene.objects)), len(caption.objects))
    )


@pytest.mark.parametrize("changes", [{}, {"apart": True, "objects": (2, 3)}, {"objects": (3, 4)}])
def test_pairs_are_those_of_all_assignments(changes):
    world = Scenes(340, 64, 3, **{"objects": (1, 3), **changes})
    for first in range(0, len(world), 34):
        _check_pairs([world.scene(i).description for i in range(first, first + 34)], RandomStream(first))


def _check_pairs(scenes, stream):
    scenes += [replace(each, objects=(each.objects[0],) * len(each.objects)) for each in scenes[:3]]  # all alike
    n = len(scenes)
    captions = [sample_caption(scene, stream).description for scene in scenes for _ in range(2)]
    captions += [replace(each, objects=tuple((shape, "") for shape, _ in each.objects)) for each in captions[:9]]
    for kind in ("colour", "relation"):
        captions += [e for scene in scenes if (e := minimal_edit(scene, stream, kind)) is not None]
    found = true_pairs(scenes, captions)
    expected = torch.tensor([[reference(caption, scene) for caption in captions] for scene in scenes])
    assert torch.equal(found, expected)
    assert found[torch.arange(2 * n) // 2, torch.arange(2 * n)].all()  # drawn captions are true of their own scenes
    assert 2 * n < expected.sum() < expected.numel() / 2


def test_edits_are_false_of_their_scene():
    world = Scenes(31, 64, 4, objects=(2, 3))
    for i in range(31):
        scene = world.scene(i).description
        for kind in ("colour", "shape", "relation"):
            edit = minimal_edit(scene, RandomStream(i), kind)
            assert edit is None or not describes(edit, scene)


def test_missing_objects():
    captions = [Description((("star", "red"), ("cross", "red"), ("cross", ""))), Description((("ring", ""),))]
    assert missing_objects([SCENE, SCENE.select([0])], captions).tolist() == [[2, 0], [2, 1]]
