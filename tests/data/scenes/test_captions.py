"""Captions, read back: every object and every relation they should tell, and nothing else."""

import re

import pytest

from saccade.data.scenes import RELATIONS, Scenes, korean
from saccade.data.scenes.captions import article, captions, korean_phrases, phrases
from saccade.data.scenes.colours import COLOURS
from saccade.data.scenes.relations import SAME_COLOUR
from saccade.data.scenes.shapes import SHAPES

KOREAN = {"의 왼쪽": 0, "의 위쪽": 1, "의 안": 2, "의 앞": 3, "보다": 4}


def pattern(words):
    return re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))))


def english_told(sentences, called):
    """The triplets in sentences "The X is R the Y and the Z, and R the Y."."""
    stated = set()
    token = pattern([*(f"the {phrase}" for phrase in called), *RELATIONS])
    for sentence in sentences:
        found = token.findall(f"the {sentence.removeprefix('The ')}")
        subject, relation = called.index(found[0].removeprefix("the ")), None
        for word in found[1:]:
            if word in RELATIONS:
                relation = RELATIONS.index(word)
            else:
                stated.add((subject, relation, called.index(word.removeprefix("the "))))
    return stated


def korean_told(sentences, called):
    """In Korean, objects come before what relates them."""
    stated = set()
    token = pattern([*called, *KOREAN])
    for sentence in sentences:
        found = token.findall(sentence)
        subject, waiting = called.index(found[0]), []
        for word in found[1:]:
            if word in KOREAN:
                stated |= {(subject, KOREAN[word], other) for other in waiting}
                waiting = []
            else:
                waiting.append(called.index(word))
        assert not waiting
    return stated


def sentences(text):
    assert text.endswith(".")
    return text.removesuffix(".").split(". ")


def test_captions_state_all_true_relations_and_no_other():
    scenes = Scenes(120, 64, seed=9)
    for i in range(len(scenes)):
        scene = scenes.scene(i)
        names = [scenes.classes[label] for label in scene.objects.labels]
        expected = {(a, r, b) for a, r, b in scene.objects.relations.tolist() if r != SAME_COLOUR}
        listing, *others = sentences(scene.captions["en"])
        plain = phrases(names, scene.colours)
        assert pattern(plain).findall(listing.lower()) == plain
        assert english_told(others, plain) == expected
        listing, *others = sentences(scene.captions["ko"])
        plain = korean_phrases(names, scene.colours)
        assert pattern(plain).findall(listing) == plain
        assert korean_told(others, plain) == expected


def test_a_caption_in_full():
    names, colours = ["disc", "star", "ring", "fish"], ["red", "blue", "white", ""]
    written = captions(names, colours, [(0, 0, 1), (0, 2, 2), (0, 4, 1), (1, 1, 0), (1, 1, 3), (3, 5, 2), (2, 3, 3)])
    assert written["en"] == (
        "A red disc, a blue star, a white ring and a fish. "
        "The red disc is left of the blue star, inside the white ring, and bigger than the blue star. "
        "The blue star is above the red disc and the fish. The white ring is in front of the fish."
    )
    assert written["ko"] == (
        "빨간 원, 파란 별, 흰 고리, fish이(가) 있다. "
        "빨간 원은 파란 별의 왼쪽에 있고 흰 고리의 안에 있고 파란 별보다 크다. "
        "파란 별은 빨간 원과 fish의 위쪽에 있다. 흰 고리는 fish의 앞에 있다."
    )


def test_repeated_objects_are_numbered_in_captions():
    written = captions(["cat", "cat", "disc"], ["brown", "brown", "red"], [(1, 0, 0)])
    assert written["en"] == (
        "A brown cat, another brown cat and a red disc. The second brown cat is left of the first brown cat."
    )
    assert written["ko"] == (
        "첫 번째 갈색 cat, 두 번째 갈색 cat, 빨간 원이 있다. 두 번째 갈색 cat은(는) 첫 번째 갈색 cat의 왼쪽에 있다."
    )


@pytest.mark.parametrize(
    ("word", "topic", "subject", "joined"),
    [
        ("원", "원은", "원이", "원과"),
        ("고리", "고리는", "고리가", "고리와"),
        ("별", "별은", "별이", "별과"),
        ("십자", "십자는", "십자가", "십자와"),
        ("그림 3", "그림 3은", "그림 3이", "그림 3과"),
        ("그림 2", "그림 2는", "그림 2가", "그림 2와"),
        ("cat", "cat은(는)", "cat이(가)", "cat과(와)"),
    ],
)
def test_particles_follow_the_last_sound(word, topic, subject, joined):
    assert korean.add_particle(word, korean.TOPIC) == topic
    assert korean.add_particle(word, korean.SUBJECT) == subject
    assert korean.add_particle(word, korean.WITH) == joined


def test_each_word_has_a_translation():
    assert set(korean.COLOURS) == set(COLOURS)
    assert set(korean.SHAPES) == set(SHAPES)
    assert len(set(korean.COLOURS.values())) == len(set(korean.SHAPES.values())) == 10


def test_articles():
    assert [article("orange disc"), article("red arrow"), article("Owl")] == ["an orange disc", "a red arrow", "an Owl"]
