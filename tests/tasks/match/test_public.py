"""Public matchers as tasks: scores are transformers' own."""

import pytest
import torch

pytest.importorskip("transformers")

from saccade.checkpoints.matchers import KINDS, load_matcher
from saccade.data import Picture
from saccade.errors import CheckpointError, DataError
from saccade.tasks import ClassifyTask, Task, load
from saccade.tasks.match.public import PublicMatchTask
from saccade.tasks.public_loading import load_match_task

from ...checkpoints import tiny_matchers
from .. import tiny

TEXTS = ["a red ball", "blue star, on a table", "빨간 공", "a blue tab"]


def task(folder, family="clip"):
    return PublicMatchTask(load_matcher(tiny_matchers.save(folder, family)))


def pictures():
    return [Picture(tiny.picture(colour, seed, (41, 37)), colour) for seed, colour in enumerate(tiny.COLOURS)]


@pytest.mark.parametrize("family", KINDS)
@torch.no_grad()
def test_scores_are_those_of_transformers(family, tmp_path):
    ours, own = task(tmp_path, family), tiny_matchers.tiny(family)
    pixels = torch.stack([ours.preprocess(picture.image) for picture in pictures()])
    expected = torch.cat(
        [own(input_ids=ours.matcher.read(text).ids, pixel_values=pixels).logits_per_image for text in TEXTS],
        dim=1,
    )
    encoded = ours.encode_pictures(pictures()), ours.encode_texts(TEXTS)
    torch.testing.assert_close(ours.similarity(*encoded), expected, atol=1e-5, rtol=1e-5)
    shares = expected.sigmoid() if family == "siglip" else expected.softmax(dim=1)
    for found, row, share in zip(ours.predict_all(pictures(), TEXTS, batch=2), expected, shares, strict=True):
        assert [TEXTS.index(text) for text in found.texts] == row.argsort(descending=True).tolist()
        torch.testing.assert_close(torch.tensor(found.scores), share.sort(descending=True).values, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_similarities_are_cosines(tmp_path):
    ours = task(tmp_path)
    found = ours.predict(pictures()[0], TEXTS)
    image = ours.matcher.embed_images(ours.preprocess(pictures()[0].image)[None])
    for text, similarity in zip(found.texts, found.similarities, strict=True):
        words = ours.matcher.embed_texts(ours.matcher.read(text).ids)
        assert similarity == pytest.approx(float(torch.cosine_similarity(image, words)), abs=1e-6)
    assert (found.name, found.size) == ("blue", (37, 41))
    assert sum(found.scores) == pytest.approx(1)


def test_texts_that_cannot_be_ranked(tmp_path):
    ours = task(tmp_path)
    with pytest.raises(DataError, match="no texts were given"):
        ours.encode_texts([])
    with pytest.raises(DataError, match="has no words"):
        ours.predict(pictures()[0], ["a red ball", " "])
    with pytest.raises(DataError, match="use fewer words"):
        ours.predict(pictures()[0], ["a " * 11])
    with pytest.raises(DataError, match=r'"a red ball" and "A  red ball" are one text to .*, which would share'):
        ours.predict(pictures()[0], ["a red ball", "a blue tab", "A  red ball"])
    siglip = task(tmp_path / "siglip", "siglip")  # whose scores do not depend on other texts
    assert len(set(siglip.predict(pictures()[0], ["a red ball", "a red ball"]).scores)) == 1


def test_one_checkpoint_is_a_picture_tower_and_a_matcher(tmp_path):
    tiny_matchers.save(tmp_path)
    tower, matcher = load(tmp_path), load_match_task(tmp_path)
    assert type(tower) is Task
    assert isinstance(matcher, PublicMatchTask)
    assert (matcher.kind, matcher.labels, matcher.card) == ("match", [], {})
    assert matcher.parameters > tower.parameters


def test_models_that_read_no_text(tmp_path):
    assert isinstance(tiny.task(), ClassifyTask)
    tiny.task().save(tmp_path / "tiny")
    with pytest.raises(CheckpointError, match="does not match texts with pictures: a model that matches text"):
        load_match_task(tmp_path / "tiny")
    with pytest.raises(CheckpointError, match="there is no model 'nosuch': bundled are"):
        load_match_task("nosuch")
