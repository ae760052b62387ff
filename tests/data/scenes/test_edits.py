"""Minimal edits are false of the picture they come from and true of the picture drawn for them."""

import numpy as np
import pytest

from saccade.data.scenes import RELATIONS, Description, Scenes, edited_scene, is_held_out, minimal_edit, sample_caption
from saccade.data.scenes.random_stream import RandomStream
from saccade.errors import DataError

WORLD = {"objects": (2, 4), "apart": True}


def facts(scene, scenes) -> set:
    """Objects and relations, read from the exact labels, colours and relations of the picture."""
    kinds = [(scenes.classes[k], c) for k, c in zip(scene.objects.labels.tolist(), scene.colours, strict=True)]
    return {*kinds, *((kinds[a], RELATIONS[r], kinds[b]) for a, r, b in scene.objects.relations.tolist())}


def claims(description: Description) -> set:
    kinds = description.objects
    return {*kinds, *((kinds[a], r, kinds[b]) for a, r, b in description.relations)}


def edits(kind, count=60, **arguments):
    scenes, stream = Scenes(count, 61, seed=4, **arguments), RandomStream(1)
    for i in range(count):
        scene = scenes.scene(i)
        edit = minimal_edit(scene.description, stream, kind, combinations=scenes.composition.combinations)
        if edit is not None:
            yield scenes, scene, edit


@pytest.mark.parametrize("kind", ["colour", "shape", "relation"])
@pytest.mark.parametrize("world", [WORLD, {}])
def test_one_thing_is_changed_and_false(kind, world):
    seen = 0
    for scenes, scene, edit in edits(kind, **world):
        old = scene.description
        changed = [(new, was) for new, was in zip(edit.objects, old.objects, strict=True) if new != was]
        if kind == "relation":
            assert not changed
            assert len(set(edit.relations) - set(old.relations)) == len(set(old.relations) - set(edit.relations)) == 1
            assert claims(edit) - facts(scene, scenes)
        else:
            ((new, was),) = changed
            assert (new[0] == was[0]) == (kind == "colour")
            assert (new[1] == was[1]) == (kind == "shape")
            assert new not in facts(scene, scenes)
        seen += 1
    assert seen >= 30


@pytest.mark.parametrize("kind", ["colour", "shape", "relation"])
def test_the_edited_picture_shows_the_change_and_little_else(kind):
    drawn = 0
    for scenes, scene, edit in edits(kind, **WORLD):
        new = edited_scene(scenes, scene, edit)
        if new is None:
            continue
        drawn += 1
        assert new.description.objects == edit.objects
        assert claims(new.description) == facts(new, scenes)
        assert set(edit.relations) - set(scene.description.relations) <= set(new.description.relations)
        assert claims(scene.description) - facts(new, scenes)  # the old description is false of the new picture
        if kind == "colour":
            assert np.array_equal(new.instances, scene.instances)
        untouched = [k for k in range(len(edit.objects)) if edit.objects[k] == scene.description.objects[k]]
        if kind == "shape":
            for k in untouched:
                assert np.array_equal(new.instances == k + 1, scene.instances == k + 1)
        both = (new.semantic == 0) & (scene.semantic == 0)
        assert (new.pixels[both] == scene.pixels[both]).all(axis=-1).mean() > 0.8  # all but shadows
    assert drawn >= 25


@pytest.mark.parametrize(("name", "fewest"), [("in front of", 20), ("bigger than", 20), ("inside", 0)])
def test_covering_and_sizes_are_exchanged(name, fewest):
    scenes, drawn = Scenes(150, 61, seed=9, objects=(2, 3)), 0
    for i in range(150):
        scene = scenes.scene(i)
        old = scene.description
        for a, _, b in (each for each in old.relations if each[1] == name):
            relations = tuple((b, name, a) if each == (a, name, b) else each for each in old.relations)
            edit = Description(old.objects, relations)
            new = edited_scene(scenes, scene, edit)
            if new is None:
                continue
            drawn += 1
            kinds = edit.objects
            assert claims(new.description) == facts(new, scenes)
            assert (kinds[b], name, kinds[a]) in facts(new, scenes)
            assert (kinds[a], name, kinds[b]) not in facts(new, scenes)
            assert sorted(new.description.objects) == sorted(kinds)
            if name == "in front of":
                assert np.array_equal(new.semantic > 0, scene.semantic > 0), "the outline of both together is the same"
    assert drawn >= fewest if fewest else drawn == 0


def test_edits_for_training_hold_nothing_out():
    for kind in ("colour", "shape", "relation"):
        for scenes, scene, edit in edits(kind, combinations="seen", **WORLD):
            assert not is_held_out(edit.objects, edit.relations)
            new = edited_scene(scenes, scene, edit)
            assert new is None or not is_held_out(new.description.objects, new.description.relations)


def test_a_part_is_edited_into_something_false_of_the_whole():
    scenes, stream = Scenes(60, 61, seed=6), RandomStream(3)
    for i in range(60):
        scene = scenes.scene(i)
        part = sample_caption(scene.description, stream, "en").description
        for kind in ("colour", "shape"):
            edit = minimal_edit(part, stream, kind, scene=scene.description)
            if edit is None:
                continue
            (new,) = set(edit.objects) - set(part.objects)
            assert all(new[0] != shape or new[1] not in ("", colour) for shape, colour in scene.description.objects)


def test_nothing_to_edit():
    lone = Description((("cat", ""),))
    assert [minimal_edit(lone, RandomStream(1), kind) for kind in ("colour", "shape", "relation")] == [None] * 3


def test_bad_edits():
    scenes = Scenes(2, 61, seed=4, **WORLD)
    scene = scenes.scene(0)
    with pytest.raises(DataError, match="kind='size' was given; one of colour, shape, relation expected"):
        minimal_edit(scene.description, RandomStream(1), "size")
    edit = minimal_edit(scene.description, RandomStream(1), "colour")
    edited = edited_scene(scenes, scene, edit)
    with pytest.raises(DataError, match="not one of these scenes as it was drawn"):
        edited_scene(scenes, edited, edit)
    with pytest.raises(DataError, match="the edit has 1 objects"):
        edited_scene(scenes, scene, Description((("disc", "red"),)))
