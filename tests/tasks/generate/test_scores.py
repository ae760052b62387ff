"""Prompts that score a generator, and the control with shuffled captions."""

from collections import Counter

import numpy as np
import pytest

from saccade.data.scenes import Scenes
from saccade.errors import DataError
from saccade.tasks.generate.scene_prompts import balanced_prompts, scene_prompts
from saccade.tasks.generate.scores import headline_scores, shuffle_descriptions
from saccade.tasks.judge.judge import judge_found
from saccade.tasks.judge.scores import JudgementScores


def world(n: int, combinations="all", objects=(1, 3)) -> Scenes:
    return Scenes(n, 64, 11, objects=objects, apart=True, combinations=combinations)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_prompt_mentions_every_object_with_its_colour(language):
    scenes = world(13)
    prompts = scene_prompts(scenes, language)
    assert len(prompts) == 13
    for i, prompt in enumerate(prompts):
        assert sorted(prompt.description.objects) == sorted(scenes.scene(i).description.objects)
        assert np.array_equal(prompt.pixels, scenes.scene(i).pixels)
        assert prompt.text.isascii() == (language == "en")
    assert any(prompt.description.relations for prompt in prompts)
    assert [prompt.text for prompt in scene_prompts(scenes, language)] == [prompt.text for prompt in prompts]


@pytest.mark.parametrize("combinations", ["seen", "held-out"])
def test_even_prompts_have_one_relation_less_than_objects(combinations):
    prompts = balanced_prompts(world(40, combinations), 11, ["en", "ko"])
    for each in prompts.values():
        counts = Counter(len(prompt.description.objects) for prompt in each)
        assert counts == {1: 4, 2: 4, 3: 3}
        assert all(len(p.description.relations) == len(p.description.objects) - 1 for p in each)
        assert {prompt.held_out for prompt in each} == {combinations == "held-out"}
    for english, korean in zip(prompts["en"], prompts["ko"], strict=True):
        assert np.array_equal(english.pixels, korean.pixels)
        assert english.text != korean.text


def test_too_few_scenes_are_an_error():
    with pytest.raises(DataError, match="the 3 scenes have fewer than 60 captions"):
        balanced_prompts(world(3), 60, ["en"])


def test_shuffled_captions_are_those_of_other_pictures_of_as_many_objects():
    prompts = balanced_prompts(world(40), 9, ["en"])["en"]
    judgements = [judge_found([], prompt.description, str(i)) for i, prompt in enumerate(prompts)]
    shuffled = shuffle_descriptions(judgements)
    own = {str(i): prompt.description for i, prompt in enumerate(prompts)}
    assert Counter(len(each.description.objects) for each in shuffled) == {1: 3, 2: 3, 3: 3}
    assert all(each.description != own[each.name] for each in shuffled)
    same = sum(len(each.description.objects) == len(own[each.name].objects) for each in shuffled)
    assert same == 6  # the last of each number has the next number's first
    assert {each.name for each in shuffled} == set(own)


def test_headlines_are_of_atoms_and_whole_prompts():
    prompts = balanced_prompts(world(40), 3, ["en"])["en"]
    scores = JudgementScores.of(judge_found([], prompt.description) for prompt in prompts)
    found = headline_scores(scores)
    assert list(found) == ["atoms", "whole prompts", "1 object", "2 objects", "3 objects"]
    assert found["whole prompts"].n == 3
    assert found["whole prompts"].right == 0
