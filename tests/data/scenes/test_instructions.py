"""Instructions name one object of the first scene, and the second scene shows the change."""

import numpy as np
import pytest

from saccade.data.scenes import Scenes, edited_pair, edited_scene, is_held_out, korean, minimal_edit
from saccade.data.scenes.instructions import _unambiguous, sample_instruction
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.shapes import SHAPES
from saccade.data.scenes.vocabulary import (
    ENGLISH_COLOURS,
    ENGLISH_SHAPES,
    KOREAN_COLOUR_ADVERBS,
    KOREAN_COLOUR_NOUNS,
    KOREAN_SHAPES,
)
from saccade.errors import DataError

APART = {"objects": (2, 4), "apart": True}


def pairs(count=60, language=None, **world):
    scenes, stream = Scenes(count, 61, seed=6, **world), RandomStream(2)
    found = [edited_pair(scenes, scenes.scene(i), stream, language) for i in range(count)]
    return [pair for pair in found if pair is not None]


@pytest.mark.parametrize("world", [APART, {}])
def test_one_attribute_of_one_object_changes(world):
    found = pairs(**world)
    assert len(found) >= 55
    assert {pair.kind for pair in found} == {"colour", "shape"}
    for pair in found:
        old, new = pair.before.description.objects, pair.after.description.objects
        assert [i for i in range(len(old)) if old[i] != new[i]] == [pair.changed]
        which = 1 if pair.kind == "colour" else 0
        assert old[pair.changed][1 - which] == new[pair.changed][1 - which]
        assert set(pair.caption.description.objects) <= set(new) or pair.caption.description.objects[0][1] == ""
        if pair.kind == "colour":
            assert np.array_equal(pair.before.instances, pair.after.instances)
        assert not np.array_equal(pair.before.pixels, pair.after.pixels)


def words_of(table, key, default) -> tuple[str, ...]:
    return tuple(table.get(key, (default,)))


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_words_say_what_changes_into_what(language):
    for pair in pairs(120, language, **APART):
        shape, colour = pair.after.description.objects[pair.changed]
        if language == "en":
            table, key = (ENGLISH_COLOURS, colour) if pair.kind == "colour" else (ENGLISH_SHAPES, shape)
            expected = words_of(table, key, key)
        elif pair.kind == "colour":
            expected = (*KOREAN_COLOUR_NOUNS[colour], *KOREAN_COLOUR_ADVERBS.get(colour, ()))
        else:
            expected = words_of(KOREAN_SHAPES, shape, korean.SHAPES[shape])
        assert any(word in pair.instruction.lower() for word in expected), pair.instruction
        assert pair.instruction.isascii() == (language == "en")
        assert "{" not in pair.instruction
        assert "  " not in pair.instruction
        assert "(" not in pair.instruction
        assert pair.caption.language == language


def test_many_forms_are_used():
    forms = {" ".join(pair.instruction.split()[-3:-1]) for pair in pairs(200, "en", **APART)}
    assert len(forms) > 30


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ((("star", "red"), ("ring", "blue")), {("star", "red"), ("star", ""), ("", "red")}),
        ((("star", "red"), ("star", "blue")), {("star", "red"), ("", "red")}),
        ((("star", "red"), ("ring", "red")), {("star", "red"), ("star", "")}),
        ((("star", "red"), ("star", "red")), set()),
        ((("star", "red"), ("cat", "")), {("star", "red"), ("star", "")}),
    ],
)
def test_only_phrases_that_fit_one_object_name_it(objects, expected):
    assert set(_unambiguous(objects, 0)) == expected


def test_no_instruction_for_one_of_two_equal_objects():
    assert sample_instruction(RandomStream(0), (("star", "red"), ("star", "red")), 0, ("star", "blue"), "en") is None


def test_training_pairs_hold_nothing_out():
    found = pairs(80, combinations="seen", **APART)
    assert len(found) >= 70
    for pair in found:
        assert not is_held_out(pair.after.description.objects, pair.after.description.relations)


def test_the_stream_decides_all():
    scenes = Scenes(9, 61, seed=6, **APART)
    first, second = ([edited_pair(scenes, scenes.scene(i), RandomStream(i)) for i in range(9)] for _ in range(2))
    assert [pair.instruction for pair in first] == [pair.instruction for pair in second]
    assert all(np.array_equal(a.after.pixels, b.after.pixels) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("word", "expected"),
    [("원", "원으로"), ("하트", "하트로"), ("별", "별로"), ("사각 틀", "사각 틀로"), ("빨강", "빨강으로")],
)
def test_the_particle_of_direction(word, expected):
    assert korean.add_particle(word, korean.TO) == expected
    assert korean.add_particle("별", korean.OBJECT) == "별을"
    assert korean.add_particle("고리", korean.OBJECT) == "고리를"
    assert set(KOREAN_COLOUR_NOUNS) == set(korean.COLOURS)
    assert set(korean.SHAPES) == set(SHAPES)


def test_an_edited_scene_is_refused():
    scenes = Scenes(1, 61, seed=6, **APART)
    edit = minimal_edit(scenes.scene(0).description, RandomStream(0), "colour")
    with pytest.raises(DataError, match="as it was drawn"):
        edited_pair(scenes, edited_scene(scenes, scenes.scene(0), edit), RandomStream(0))
