"""Combinations kept out of training: the rules, and worlds that obey them."""

from collections import Counter

import pytest

from saccade.data.scenes import SHAPES, Scenes, is_held_out
from saccade.data.scenes.colours import COLOURS
from saccade.data.scenes.constraints import HELD_OUT_COLOURS, HELD_OUT_RELATIONS, is_held_out_relation


def held_out(scene) -> bool:
    return is_held_out(scene.description.objects, scene.description.relations)


def test_each_shape_and_each_colour_lacks_one_partner():
    assert len(HELD_OUT_COLOURS) == 10
    assert {shape for shape, _ in HELD_OUT_COLOURS} == set(SHAPES)
    assert {colour for _, colour in HELD_OUT_COLOURS} == set(COLOURS)


@pytest.mark.parametrize("relation", ["left of", "above"])
def test_each_shape_lacks_one_object_and_one_subject(relation):
    triples = [(a, b) for a, r, b in HELD_OUT_RELATIONS if r == relation]
    assert len(triples) == 10
    assert {a for a, _ in triples} == {b for _, b in triples} == set(SHAPES)
    assert all(a != b for a, b in triples)
    other = {(a, b) for a, r, b in HELD_OUT_RELATIONS if r != relation}
    assert not other & set(triples)


def test_inverses_are_read_the_other_way_round():
    for a, relation, b in HELD_OUT_RELATIONS:
        inverse = {"left of": "right of", "above": "below"}[relation]
        assert is_held_out_relation(b, inverse, a)
    assert sum(is_held_out_relation(a, "right of", b) for a in SHAPES for b in SHAPES) == 10


def test_sprites_and_other_relations_are_never_held_out():
    assert not is_held_out([("cat", "red"), ("disc", "")], [(0, "left of", 1)])
    assert not any(is_held_out_relation(a, r, b) for a in SHAPES for b in SHAPES for r in ("inside", "bigger than"))


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("objects", [(1, 1), (1, 3), (3, 8)])
def test_worlds_obey_the_rule(apart, objects):
    for combinations, expected in (("seen", False), ("held-out", True)):
        scenes = Scenes(40, 61, seed=3, objects=objects, apart=apart, combinations=combinations)
        found = [held_out(scenes.scene(i)) for i in range(40)]
        assert found == [expected] * 40
        assert held_out(scenes.fresh((37, 41), 12)) is expected
        counts = [len(scenes.objects(i)) for i in range(40)]
        assert objects[0] <= min(counts)
        assert max(counts) <= objects[1]


def test_held_out_scenes_are_of_both_kinds():
    scenes = Scenes(60, 61, objects=(2, 3), apart=True, combinations="held-out")
    descriptions = [scenes.scene(i).description for i in range(60)]
    by_colour = [is_held_out(each.objects) for each in descriptions]
    assert 10 < sum(by_colour) < 50


def test_seen_worlds_show_every_shape_colour_and_relation_evenly_in_every_role():
    scenes = Scenes(900, 32, seed=5, objects=(2, 4), apart=True, combinations="seen")
    shapes, colours, subjects, others = Counter(), Counter(), Counter(), Counter()
    for i in range(len(scenes)):
        description = scenes.scene(i).description
        shapes.update(shape for shape, _ in description.objects)
        colours.update(colour for _, colour in description.objects)
        for a, relation, b in description.relations:
            if relation in ("left of", "above"):
                subjects[relation, description.objects[a][0]] += 1
                others[relation, description.objects[b][0]] += 1
    for counts, kinds in ((shapes, 10), (colours, 10), (subjects, 20), (others, 20)):
        mean = sum(counts.values()) / kinds
        assert len(counts) == kinds
        assert all(abs(count - mean) < 5 * mean**0.5 + 0.1 * mean for count in counts.values())


def test_films_of_seen_worlds_show_no_held_out_combination():
    scenes = Scenes(12, 61, seed=4, objects=(2, 3), apart=True, combinations="seen")
    for i in range(12):
        film = scenes.film(i, 17)
        kinds = list(zip(film.names, film.colours, strict=True))
        assert 2 <= len(kinds) <= 3
        for objects, tracks in zip(film.objects, film.tracks, strict=True):
            relations = [(a, scenes.relations[r], b) for a, r, b in objects.relations.tolist()]
            assert not is_held_out([kinds[k] for k in tracks], relations)
    held = Scenes(6, 61, objects=(1, 2), combinations="held-out")
    assert all(is_held_out(list(zip(f.names, f.colours, strict=True))) for f in map(held.film, range(6)))
