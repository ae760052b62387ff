"""Captions in many forms: each text, read back, says what its description says and no more."""

import re
import statistics
import time
from collections import Counter
from itertools import pairwise

import pytest
import torch

from saccade.data.scenes import Description, Scenes, korean, sample_caption, sample_film_caption
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.vocabulary import (
    ENGLISH_BACKGROUNDS,
    ENGLISH_COLOURS,
    ENGLISH_MOTIONS,
    ENGLISH_RELATIONS,
    ENGLISH_SHAPES,
    INVERSES,
    KOREAN_BACKGROUNDS,
    KOREAN_COLOURS,
    KOREAN_MOTIONS,
    KOREAN_PLACES,
    KOREAN_SHAPES,
)
from saccade.errors import DataError


@pytest.fixture(scope="module")
def descriptions():
    scenes = Scenes(150, 61, seed=2, objects=(1, 5))
    return [scenes.scene(i).description for i in range(150)]


def names(description, language, i):
    """All words for object i."""
    shape, colour = description.objects[i]
    english = ENGLISH_SHAPES.get(shape, (shape,)), ENGLISH_COLOURS.get(colour, (colour,)) if colour else ("",)
    in_korean = KOREAN_SHAPES.get(shape, (korean.SHAPES[shape],)), KOREAN_COLOURS[colour] if colour else ("",)
    shapes, colours = {
        "en": english,
        "ko": in_korean,
        "mixed": (*(tuple(a) + tuple(b) for a, b in zip(english, in_korean, strict=True)),),
    }[language]
    return [f"{c} {s}".strip() for c in colours for s in shapes]


def mentions(caption):
    """(position in the text, object) of every object that is named, longest names first."""
    text, found = caption.text.lower(), []
    options = [
        (n, i) for i in range(len(caption.description.objects)) for n in names(caption.description, caption.language, i)
    ]
    for name, i in sorted(options, key=lambda each: -len(each[0])):
        for match in re.finditer(rf"(?<![a-z가-힣]){re.escape(name)}(?![a-z])", text):
            found.append((match.start(), i))
            text = text[: match.start()] + "#" * len(name) + text[match.end() :]
    return sorted(found)


@pytest.mark.parametrize("language", ["en", "ko", "mixed"])
def test_every_object_is_named_and_no_other(descriptions, language):
    stream, forms = RandomStream(3), set()
    for description in descriptions:
        caption = sample_caption(description, stream, language)
        assert {i for _, i in mentions(caption)} == set(range(len(caption.description.objects)))
        forms.add(caption.form)
        for shape, colour in caption.description.objects:
            assert any(shape == s and colour in ("", c) for s, c in description.objects)
    assert forms == {"inline", "list", "sentences", "full"}


def test_relations_are_true_of_the_scene_and_read_in_english(descriptions):
    """Between two mentions stands a relation's word; read in order, these are the description's relations."""
    stream, forms = RandomStream(4), Counter()
    words = {word: name for name, choices in ENGLISH_RELATIONS.items() for word in choices}
    token = re.compile("|".join(sorted(map(re.escape, words), key=len, reverse=True)))
    bases = {inverse: base for base, inverse in INVERSES.items()}
    for description in descriptions * 3:
        caption = sample_caption(description, stream, "en")
        places, stated = mentions(caption), set()
        for (start, a), (end, b) in pairwise(places):
            for match in token.finditer(caption.text.lower()[start:end]):
                name = words[match.group()]
                stated.add((b, bases[name], a) if name in bases else (a, name, b))
        assert stated == set(caption.description.relations)
        objects = caption.description.objects
        facts = {(description.objects[a], r, description.objects[b]) for a, r, b in description.relations}
        if all(colour for _, colour in objects):
            assert {(objects[a], r, objects[b]) for a, r, b in stated} <= facts
        forms[caption.form, bool(stated)] += 1
    assert forms["inline", False] == forms["full", False] == forms["list", True] == 0


def test_a_korean_place_is_named_for_each_relation(descriptions):
    stream = RandomStream(5)
    places = "|".join(sorted({w for words in KOREAN_PLACES.values() for w in words}, key=len, reverse=True))
    pattern = re.compile(rf" ({places})(?:의|에)|보다")
    for description in descriptions * 2:
        caption = sample_caption(description, stream, "ko")
        text = re.sub("배경 위의|배경에", "", caption.text)
        assert len(pattern.findall(text)) == len(set(caption.description.relations))


def test_korean_particles_agree_with_the_sound_before_them(descriptions):
    stream, checked = RandomStream(6), Counter()
    for description in descriptions * 2:
        text = sample_caption(description, stream, "ko").text
        for word, particle in re.findall(r"([가-힣]+?)(은|는|이|가|과|와)(?=[ .])", text):
            nouns = {w for words in KOREAN_SHAPES.values() for w in words} | set(korean.SHAPES.values())
            if word in nouns and word + particle not in nouns:
                closed = (ord(word[-1]) - ord("가")) % 28 != 0
                assert (particle in "은이과") == closed, text
                checked[particle] += 1
        assert "(" not in text
    assert set(checked) == set("은는이가과와")


def test_backgrounds_are_named_when_the_description_says_so(descriptions):
    stream, named = RandomStream(7), 0
    for description in descriptions:
        caption = sample_caption(description, stream)
        words = [
            w for table in (ENGLISH_BACKGROUNDS, KOREAN_BACKGROUNDS) for choices in table.values() for w in choices
        ]
        says = bool(re.search("background|배경", caption.text))
        assert says == (caption.description.background is not None)
        assert caption.description.background in (None, description.background)
        if says:
            assert any(word in caption.text for word in words) or re.search("배경은 (밝|어두|어둡)", caption.text)
            named += 1
    assert named > 15


def test_most_captions_are_whole_and_short(descriptions):
    stream = RandomStream(8)
    pairs = [(sample_caption(each, stream), each) for each in descriptions * 4]
    whole = [sorted(caption.description.objects) == sorted(each.objects) for caption, each in pairs]
    assert statistics.mean(whole) >= 0.8
    for language in ("en", "ko", "mixed"):
        words = [len(c.text.split()) for c, _ in pairs if c.form == "inline" and c.language == language]
        assert statistics.median(words) < 20
    shares = Counter(caption.language for caption, _ in pairs)
    assert 0.3 < shares["en"] / len(pairs) < 0.5
    assert 0.3 < shares["ko"] / len(pairs) < 0.5
    assert len({caption.text for caption, _ in pairs}) > 0.8 * len(pairs)


def test_mixtures_hold_both_scripts(descriptions):
    stream = RandomStream(9)
    captions = [sample_caption(each, stream, "mixed") for each in descriptions]
    for caption in captions:
        latin, hangul = re.search("[a-z]", caption.text), re.search("[가-힣]", caption.text)
        assert {"mixed": (True, True), "en": (True, False), "ko": (False, True)}[caption.language] == (
            bool(latin),
            bool(hangul),
        )
    assert sum(caption.language == "mixed" for caption in captions) > 0.9 * len(captions)


def test_equal_objects_are_numbered():
    twins = Description((("cat", "brown"), ("cat", "brown")), ((1, "left of", 0),), "dark")
    caption = sample_caption(twins, RandomStream(1), "en")
    assert caption.text.endswith("The second brown cat is left of the first brown cat.")
    assert caption.description == Description(twins.objects, twins.relations)


def test_the_same_numbers_give_the_same_caption(descriptions):
    for description in descriptions[:20]:
        assert sample_caption(description, RandomStream(5)) == sample_caption(description, RandomStream(5))
        first, second = (sample_caption(description, torch.Generator().manual_seed(3)) for _ in range(2))
        assert first == second


def test_a_caption_takes_less_than_a_fifth_of_a_millisecond(descriptions):
    stream = RandomStream(10)
    times = []
    for _ in range(3):
        start = time.process_time()
        for description in descriptions:
            sample_caption(description, stream)
        times.append((time.process_time() - start) / len(descriptions))
    assert min(times) < 2e-4


def test_bad_arguments():
    with pytest.raises(DataError, match="language='fr' was given; one of en, ko, mixed expected"):
        sample_caption(Description((("disc", "red"),)), RandomStream(1), "fr")
    with pytest.raises(DataError, match="the description has no objects"):
        sample_caption(Description(()), RandomStream(1))


@pytest.mark.parametrize(("language", "motions"), [("en", ENGLISH_MOTIONS), ("ko", KOREAN_MOTIONS)])
def test_captions_of_films_name_each_motion(language, motions):
    stream, scenes = RandomStream(2), Scenes(15, 61, seed=3, objects=(1, 3))
    for i in range(15):
        film = scenes.film(i, 2)
        caption = sample_film_caption(film.names, film.colours, film.motions, stream, language)
        assert sorted(caption.order) == list(range(len(film.names)))
        assert len(caption.text.split()) <= 12 * len(film.names)
        at = -1
        for k in caption.order:
            places = [caption.text.find(word, at + 1) for word in motions[film.motions[k]]]
            assert max(places) > at
            at = min(place for place in places if place > at)
