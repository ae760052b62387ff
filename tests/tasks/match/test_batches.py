"""Training pairs: scenes that differ in one attribute or relation, true and false captions."""

from collections import Counter

import pytest
import torch

from saccade.data.scenes import Scenes, is_held_out
from saccade.data.scenes.random_stream import RandomStream
from saccade.tasks.match.batches import (
    WORDS,
    ScenePairs,
    choose_pairs,
    draw_occluded_scene,
    edited_twin,
    extra_object_caption,
    hard_negative_caption,
    sample_scene_captions,
)
from saccade.tasks.match.candidates import MOVES, candidate_sets
from saccade.tasks.match.recipe import MatchRecipe
from saccade.tasks.match.truth import describes, true_pairs

RECIPE = MatchRecipe(captions=2, hard_captions=3)


def world(**changes):
    return Scenes(100, 32, 7, **{"objects": (1, 3), "combinations": "seen", **changes})


def samples(count=7, seed=0):
    source = ScenePairs(world(), RECIPE)
    return source.samples(torch.arange(count), (32, 48), torch.Generator().manual_seed(seed))


def test_samples():
    pictures, (scenes, captions) = samples()
    assert pictures.shape == (14, 3, 32, 48)
    assert 0 <= pictures.min() < pictures.max() <= 1
    assert (len(scenes), len(captions)) == (14, 70)
    again, (_, same) = samples()
    assert torch.equal(pictures, again)
    assert [c.text for c in captions] == [c.text for c in same]
    assert not torch.equal(pictures, samples(seed=1)[0])


def test_captions_are_true_then_false():
    _, (scenes, captions) = samples(11)
    for i, caption in enumerate(captions):
        assert describes(caption.description, scenes[i // 5]) is (i % 5 < 2)


def test_false_captions_are_in_the_words_of_true_ones():
    pairs = world(objects=(2, 3), apart=True)
    relations, new = 0, []
    for i in range(40):
        scene = pairs.scene(i).description
        true, false = sample_scene_captions(scene, 1, 1, RandomStream(i))
        assert (false.language, false.form, len(false.description.objects)) == (
            true.language,
            true.form,
            len(true.description.objects),
        )
        before, after = (Counter(caption.text.lower().split()) for caption in (true, false))
        relations += before == after or false.description.objects == true.description.objects
        new.append((after - before).total())
    assert relations > 20
    assert sorted(new)[36] <= 4  # a colour or a shape may be in several sentences, with other particles


def test_most_captions_state_a_relation():
    pairs = world(objects=(2, 2), apart=True)
    scenes = [scene for i in range(60) if (scene := pairs.scene(i).description).relations]
    captions = [sample_scene_captions(scene, 1, 0, RandomStream(i))[0] for i, scene in enumerate(scenes)]
    stated = sum(bool(caption.description.relations) for caption in captions)
    assert 0.75 * len(scenes) < stated < len(scenes)
    assert max(len(caption.text.split()) for caption in captions) <= WORDS


def test_twins_differ_and_nothing_is_held_out():
    _, (scenes, captions) = samples(23)
    changed = [
        (len(set(a.objects) - set(b.objects)), a.objects == b.objects and a.relations != b.relations)
        for a, b in zip(scenes[::2], scenes[1::2], strict=True)
    ]
    assert sum(objects == 1 or relation for objects, relation in changed) > 18
    assert not any(is_held_out(each.objects, each.relations) for each in scenes)
    assert not any(is_held_out(c.description.objects, c.description.relations) for c in captions)


def test_many_changes_are_of_relations():
    pairs = world(objects=(2, 3), apart=True)
    relations = 0
    for i in range(40):
        scene = pairs.scene(i)
        twin = edited_twin(pairs, scene, RandomStream(i))
        relations += twin is not None and twin.description.objects == scene.description.objects
    assert relations > 13


def test_objects_of_every_second_pair_are_apart():
    source = ScenePairs(world(objects=(2, 3)), RECIPE)
    _, (scenes, _) = source.samples(torch.arange(20), (64, 64), torch.Generator().manual_seed(0))
    kinds = [{name for _, name, _ in scene.relations} for scene in scenes]
    overlapping = {"inside", "in front of"}
    assert not any(overlapping & kinds[i] for i in range(40) if i % 4 > 1)
    assert any(overlapping & kinds[i] for i in range(40) if i % 4 < 2)


def test_a_caption_without_relations_has_no_edit_of_one():
    scene = world(objects=(1, 1)).scene(0).description
    _, (_, captions) = samples()
    alone = next(c for c in captions if len(c.description.objects) == 1)
    assert hard_negative_caption(alone, scene, "relation", RandomStream(0)) is None


def test_longer_captions_have_one_object_that_the_scene_does_not_show():
    _, (scenes, captions) = samples(11)
    own = [(scene, caption) for i, scene in enumerate(scenes) for caption in captions[5 * i : 5 * i + 2]]
    found = 0
    for i, (scene, caption) in enumerate(own):
        longer = extra_object_caption(caption, scene, RandomStream(i))
        if longer is None:
            continue
        found += 1
        assert longer.language == caption.language
        assert describes(caption.description, scene)
        assert not describes(longer.description, scene)
        assert len(longer.description.objects) <= len(caption.description.objects) + 1
    assert found > 0.9 * len(own)


def test_chosen_pairs():
    _, (scenes, captions) = samples(6)
    recipe = RECIPE.model_copy(update={"hard_negatives": 4, "random_negatives": 1})
    texts, labels, chosen = choose_pairs(scenes, captions, recipe, torch.Generator().manual_seed(0))
    assert texts == [caption.text for caption in captions]
    assert torch.equal(labels.bool(), true_pairs(scenes, [c.description for c in captions]))
    assert chosen.shape == (12, 5 + 2 + 4 + 1)
    for i, row in enumerate(chosen.tolist()):
        assert row[:5] == list(range(5 * i, 5 * i + 5))
        assert row[5:7] == [5 * (i ^ 1), 5 * (i ^ 1) + 1]
        assert not labels[i, row[7:11]].any()
        assert not set(row[7:11]) & set(row[:7])


def test_pairs_of_several_batches():
    source = ScenePairs(world(), RECIPE)
    (_, first), (_, second) = samples(2), samples(4, seed=1)
    texts, labels, chosen = source.pairs([first, second], torch.Generator().manual_seed(0))
    assert texts == [caption.text for _, captions in (first, second) for caption in captions]
    assert labels.shape == (12, 60)
    assert chosen.shape == (12, 5 + 2 + RECIPE.hard_negatives + RECIPE.random_negatives)


@pytest.mark.parametrize("language", [None, "en", "ko"])
def test_candidates_are_told_apart(language):
    sets = list(candidate_sets(world(), 137, language))
    assert [len(each) for each in sets] == [100, 37]
    assert [each.twins for each in sets] == [20, 7]
    for each in sets:
        truth = true_pairs([s.description for s in each.scenes], [c.description for c in each.captions])
        assert torch.equal(truth, torch.eye(len(each), dtype=torch.bool))
        assert each.pixels.shape == (len(each), 3, 32, 32)
        assert len(set(each.texts)) == len(each)
    if language:
        assert all(caption.language == language for caption in sets[0].captions)


def test_overlapping_scenes_have_the_rare_relation_more_often():
    world = Scenes(10, 64, seed=3, objects=(1, 3), combinations="seen")

    def share(draw):
        scenes = [draw(seed) for seed in range(60)]
        return sum("in front of" in {name for _, name, _ in each.description.relations} for each in scenes) / 60

    at_random = share(lambda seed: world.fresh((64, 64), seed))
    chosen = share(lambda seed: draw_occluded_scene(world, (64, 64), seed))
    assert at_random < 0.35
    assert chosen > at_random + 0.2
    assert draw_occluded_scene(world, (64, 64), 7).description == draw_occluded_scene(world, (64, 64), 7).description


def test_twins_differ_in_what_is_in_front_and_those_of_candidates_do_not():
    world = Scenes(10, 64, seed=3, objects=(2, 3), combinations="seen")

    def brought_about(*relations):
        found = set()
        for seed in range(80):
            scene = world.fresh((64, 64), seed)
            twin = edited_twin(world, scene, RandomStream(seed), *relations)
            if twin is not None and sorted(twin.description.objects) == sorted(scene.description.objects):
                before, after = (
                    {(d.objects[a], name, d.objects[b]) for a, name, b in d.relations}
                    for d in (scene.description, twin.description)
                )
                found |= {name for a, name, b in after - before if (b, name, a) in before}
        return found

    assert "in front of" in brought_about()
    assert "in front of" not in brought_about(MOVES)
