"""The baseline of captions of the nearest pictures."""

import pytest
import torch

from saccade.data.captions import open_captions
from saccade.tasks.match.nearest_caption import NearestCaptionBaseline

from ...data.captions.captioned_sets import noise

WORDS = ("a red star", "a blue ring", "a star and a moon")


@pytest.fixture
def known(tmp_path):
    for i, text in enumerate(WORDS):
        noise(31, 37, seed=i).save(tmp_path / f"{i}.png")
        (tmp_path / f"{i}.txt").write_text(text)
    return open_captions(tmp_path)


def test_texts_like_the_caption_of_the_nearest_picture_score_highest(known):
    nearest = NearestCaptionBaseline(known)
    pictures = [known.picture(i) for i in range(3)]
    scores = nearest.scores(pictures, ["Red!", "the ring", "moon", "unknown", *WORDS])
    assert scores.shape == (3, 7)
    assert scores[:, :3].argmax(dim=1).tolist() == [0, 1, 2]
    assert scores[:, 3].tolist() == [0, 0, 0]
    torch.testing.assert_close(scores[:, 4:].diagonal(), torch.ones(3), atol=1e-3, rtol=0)
    assert scores[0, 6] > scores[1, 6]  # "star" is rarer than "a"
    assert (scores <= 1 + 1e-6).all()


def test_pictures_that_cannot_be_read_are_left_out(known, tmp_path):
    (tmp_path / "1.png").write_bytes(b"no picture")
    scores = NearestCaptionBaseline(known).scores([known.picture(0)], ["a ring", "a star"])
    assert list(known.skipped) == ["1.png"]
    assert scores[0, 0] < scores[0, 1]
