"""Texts ranked for pictures, pictures for texts, and the report of a matcher."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data import Preprocess
from saccade.data.images import read_image
from saccade.device import Device
from saccade.errors import DataError, SaccadeError, UsageError
from saccade.layers import BlockConfig
from saccade.models import ViTConfig
from saccade.models.matcher import Matcher, MatcherConfig
from saccade.models.text import TextEncoderConfig
from saccade.tasks import bundled, load
from saccade.tasks.match import task as module
from saccade.tasks.match.commands import COMMANDS, MatchPredictOptions, read_texts
from saccade.tasks.match.report import evaluate
from saccade.tasks.match.task import MatchTask

CPU = Device(torch.device("cpu"), False, 0, 1)
TEXTS = ["a red star", "빨간 별", "a blue ring left of a green cross", "둥근 원", "two words"]


@pytest.fixture(scope="module")
def task():
    torch.manual_seed(0)
    vit = ViTConfig(
        block=BlockConfig(width=16, heads=2, hidden=24), depth=1, patch=8, grid=(4, 4), positions=("rotary",)
    )
    text = TextEncoderConfig(block=BlockConfig(width=24, heads=2, hidden=32), depth=1)
    model = Matcher(MatcherConfig(vit=vit, text=text, width=8, depth=1))
    return MatchTask(model.eval(), Preprocess((32, 40), "letterbox"), "toy")


@pytest.fixture(scope="module")
def pictures():
    random = np.random.default_rng(0)
    arrays = [random.integers(0, 256, (37, 41 + i, 3), dtype=np.uint8) for i in range(3)]
    return [read_image(Image.fromarray(array)) for array in arrays]


def test_features_do_not_depend_on_the_batch(task, pictures):
    features, texts = task.encode_pictures(pictures), task.encode_texts(TEXTS)
    similarity = task.similarity(features, texts)
    assert similarity.shape == (3, 5)
    for i, picture in enumerate(pictures):
        alone = task.similarity(task.encode_pictures([picture]), texts)
        torch.testing.assert_close(alone[0], similarity[i], atol=1e-5, rtol=0)
    for j, text in enumerate(TEXTS):
        torch.testing.assert_close(
            task.similarity(features, task.encode_texts([text]))[:, 0], similarity[:, j], atol=1e-5, rtol=0
        )


def test_match_of_pairs(task, pictures, monkeypatch):
    features, texts = task.encode_pictures(pictures), task.encode_texts(TEXTS)
    pairs = torch.tensor([[2, 0], [0, 4], [0, 0], [1, 3], [2, 1], [0, 4], [1, 1]])
    found = task.match(features, texts, pairs)
    for logit, (i, j) in zip(found, pairs.tolist(), strict=True):
        one = task.model.match(features.tokens[[i]], texts.tokens[[j]], texts.mask[[j]]).logits
        torch.testing.assert_close(logit[None], one, atol=1e-5, rtol=0)
    monkeypatch.setattr(module, "PAIRS", 3)
    torch.testing.assert_close(task.match(features, texts, pairs), found, atol=1e-5, rtol=0)
    assert task.match(features, texts, pairs[:0]).shape == (0,)


@pytest.mark.parametrize("dim", [0, 1])
def test_the_head_decides_the_first_candidates(task, pictures, monkeypatch, dim):
    monkeypatch.setattr(module, "RERANKED", 2)
    features, texts = task.encode_pictures(pictures), task.encode_texts(TEXTS)
    towers = task.similarity(features, texts)
    everything = torch.cartesian_prod(torch.arange(3), torch.arange(5))
    head = task.match(features, texts, everything).view(3, 5)
    scores = (task.rank_pictures if dim == 0 else task.rank_texts)(features, texts)
    first = torch.zeros(3, 5, dtype=torch.bool).scatter_(dim, towers.topk(2, dim).indices, True)
    torch.testing.assert_close(scores[first], head[first], atol=1e-5, rtol=0)
    lowest = scores.masked_fill(~first, torch.inf).amin(dim, keepdim=True)
    assert (scores < lowest)[~first].all()


def test_predict(task, pictures):
    ranking = task.predict(pictures[0], TEXTS)
    assert sorted(ranking.texts) == sorted(TEXTS)
    assert list(ranking.scores) == sorted(ranking.scores, reverse=True)
    assert ranking.text == ranking.texts[0]
    pairs = torch.tensor([[0, TEXTS.index(text)] for text in ranking.texts])
    features, texts = task.encode_pictures(pictures[:1]), task.encode_texts(TEXTS)
    expected = task.match(features, texts, pairs).sigmoid()
    torch.testing.assert_close(torch.tensor(ranking.scores), expected, atol=1e-5, rtol=0)
    written = json.loads(json.dumps(ranking.to_dict()))
    assert [each["text"] for each in written["texts"]] == list(ranking.texts)
    assert (written["width"], written["height"]) == (41, 37)
    together = list(task.predict_all(pictures, TEXTS, batch=2))
    assert together[0].texts == ranking.texts
    assert len(together) == 3


def test_similarities_are_cosines(task, pictures):
    """As those of public matchers and of `search`."""
    features, texts = task.encode_pictures(pictures[:1]), task.encode_texts(TEXTS)
    cosines = torch.cosine_similarity(features.vector, texts.vector).tolist()
    ranking = task.predict(pictures[0], TEXTS)
    assert dict(zip(ranking.texts, ranking.similarities, strict=True)) == pytest.approx(
        dict(zip(TEXTS, cosines, strict=True)), abs=1e-5
    )


@pytest.mark.parametrize("texts", [[""], ["  "], ["a", "\x07"], ["\ud800"], ["word " * 65]])
def test_bad_texts(task, pictures, texts):
    with pytest.raises(DataError):
        task.predict(pictures[0], texts)


def test_saved_and_opened(task, pictures, tmp_path):
    task.save(tmp_path / "toy")
    opened = load(tmp_path / "toy")
    assert isinstance(opened, MatchTask)
    assert opened.predict(pictures[1], TEXTS).scores == task.predict(pictures[1], TEXTS).scores


def test_report(task, tmp_path):
    small = MatchTask(task.model, Preprocess((32, 32)), "toy", card={"objects": [1, 2]})
    result = evaluate(small, Path("scenes:60"), None, "skip", CPU, tmp_path)
    scores = result.scores
    details = scores["details"]
    assert scores["objects"] == "1 to 2"
    assert scores["pictures"] == details["recall@1"]["n"] == details["Korean recall@1"]["n"] == 60
    assert details["held-out recall@1"]["n"] == 60
    for each in details.values():
        assert 0 <= each["low"] <= each["value"] + 1e-4
        assert each["value"] - 1e-4 <= each["high"] <= 1
    for kind in ("colour", "shape", "relation", "count"):
        assert 0.1 < scores[f"{kind} edits"] < 0.9  # an untrained model guesses
    assert scores["recall@1"] < 0.2
    assert {"English recall@1", "towers recall@1", "shuffled recall@1"} <= set(result.bars)
    with Image.open(tmp_path / "scores.png") as chart:
        assert chart.height > 26 * len(result.bars)


def test_report_of_other_objects_and_data(task, tmp_path):
    small = MatchTask(task.model, Preprocess((32, 32)), "toy", card={"objects": [1, 2]})
    result = evaluate(small, Path("scenes:20,objects=2-3,combinations=held-out"), None, "skip", CPU, tmp_path)
    assert result.scores["objects"] == "2 to 3"
    assert "held-out recall@1" not in result.scores["details"]


def test_scenes_have_no_splits(task, tmp_path):
    with pytest.raises(UsageError, match="--split test: scenes have no splits"):
        evaluate(task, Path("scenes:20"), "test", "skip", CPU, tmp_path)


def test_texts_of_a_file(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_bytes("\ufeffa red star\r\n\r\n빨간 별\n".encode())
    assert read_texts(MatchPredictOptions(text=("first",), texts=file)) == ["first", "a red star", "빨간 별"]
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="UTF-8"):
        read_texts(MatchPredictOptions(texts=file))
    with pytest.raises(DataError, match="cannot be read"):
        read_texts(MatchPredictOptions(texts=tmp_path / "missing.txt"))
    with pytest.raises(SaccadeError, match="--text"):
        read_texts(MatchPredictOptions())


def test_table_and_csv(task, pictures):
    ranking = task.predict(pictures[0], ["=1+1", "a star"])
    assert COMMANDS.table([ranking]).row_count == 2
    lines = COMMANDS.to_csv([ranking]).splitlines()
    assert lines[0] == "name,text,score,similarity"
    assert any(",'=1+1," in line for line in lines)


def test_the_bundled_matcher(tmp_path):
    if "matcher" not in bundled():
        pytest.skip("not bundled in this copy of the library")
    matcher = load("matcher")
    result = evaluate(matcher, Path("scenes:50,combinations=seen"), None, "skip", CPU, tmp_path)
    assert result.scores["objects"] == "1 to 3"
    assert result.scores["recall@1"] > 0.85  # by chance 0.02
    assert result.scores["colour edits"] > 0.95
    assert result.scores["shape edits"] > 0.9
    assert result.scores["shuffled recall@1"] < 0.2
