"""Caption sets: batches for training, candidates, chance, the report, and a run that learns."""

import json

import pytest
import torch
from PIL import Image

from saccade.data.captions import open_captions
from saccade.data.captions.sets import prepare_captioned
from saccade.data.preprocess import Preprocess
from saccade.device import Device
from saccade.errors import DataError, UsageError
from saccade.models import PRESETS
from saccade.tasks import load
from saccade.tasks.match.caption_report import evaluate_captions
from saccade.tasks.match.captioned import (
    CaptionedPictures,
    HardestTexts,
    caption_candidates,
    caption_labels,
    sample_captions,
)
from saccade.tasks.match.recipe import MatchRecipe
from saccade.tasks.match.report import evaluate
from saccade.tasks.match.scores import chance, recalls
from saccade.tasks.match.training import MatchTraining
from saccade.train import TrainConfig, train

from ...tasks import tiny
from . import matchers

CPU = Device(torch.device("cpu"), False, 0, 1)
SHAPE = {"model": "toy", "size": 16, "width": 16, "text_width": 32, "text_depth": 1, "head_depth": 1}


@pytest.fixture(autouse=True)
def _tiny_preset(monkeypatch):
    toy = {"depth": 1, "patch": 8, "grid": (2, 2), "positions": ("rotary",)}
    monkeypatch.setitem(PRESETS, "toy", {**toy, "block": {"width": 16, "heads": 2, "hidden": 24}})


def write(root, captions):
    """root/metadata.jsonl; captions: of each picture, of the colour of its first word."""
    root.mkdir()
    lines = []
    for i, texts in enumerate(captions):
        tiny.picture(texts[0].split()[0], seed=i).save(root / f"{i}.png")
        lines.append(json.dumps({"file_name": f"{i}.png", "text": texts}))
    (root / "metadata.jsonl").write_text("\n".join(lines))
    return open_captions(root)


CAPTIONS = [["red one", "red two", "red three"], ["blue one"], ["green", "green and flat"], ["red two"], ["blue two"]]


@pytest.fixture
def dataset(tmp_path):
    return write(tmp_path / "set", CAPTIONS)


def test_samples(dataset):
    source = CaptionedPictures(dataset, (16, 16), MatchRecipe(captions=2))
    generator = torch.Generator().manual_seed(0)
    pictures, (keys, texts) = source.samples(torch.tensor([3, 0, 1, 2]), (8, 16), generator)
    assert pictures.shape == (4, 3, 8, 16)
    assert 0 <= pictures.min() < pictures.max() <= 1
    assert keys == [set(CAPTIONS[i]) for i in (3, 0, 1, 2)]
    assert texts[:2] == ["red two", "red two"]
    assert set(texts[2:4]) < set(CAPTIONS[0])
    assert texts[2] != texts[3]
    again = source.samples(torch.tensor([3, 0, 1, 2]), (8, 16), torch.Generator().manual_seed(0))
    assert torch.equal(pictures, again[0])
    assert texts == again[1][1]
    assert CaptionedPictures(dataset, (16, 16), MatchRecipe(captions=9)).each == 3


@pytest.mark.parametrize("hflip", [False, True])
def test_augmentation_keeps_left_and_right(tmp_path, hflip):
    picture = Image.new("RGB", (16, 16), "white")
    picture.paste((255, 0, 0), (0, 0, 8, 16))
    picture.save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("red on the left")
    source = CaptionedPictures(open_captions(tmp_path), (16, 16), MatchRecipe(hflip=hflip))
    pictures, _ = source.samples(torch.zeros(30, dtype=torch.long), (16, 16), torch.Generator().manual_seed(0))
    green = pictures[:, 1]
    turned = green[..., :8].mean((1, 2)) > green[..., 8:].mean((1, 2))
    assert turned.any() == hflip
    assert not turned.all()
    red = pictures[:, 0, 8, :].amin(1)
    assert (red > 0.7).all(), "the colours stay"


def test_labels_by_hand():
    own = [frozenset({"a", "b"}), frozenset({"c"}), frozenset({"a"})]
    assert caption_labels(own, ["b", " c", "a", "d"]).int().tolist() == [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 1, 0]]


def test_pairs(dataset):
    source = CaptionedPictures(dataset, (16, 16), MatchRecipe(captions=2, hard_negatives=3, random_negatives=1))
    generator = torch.Generator().manual_seed(0)
    parts = [source.samples(torch.tensor(rows), (16, 16), generator)[1] for rows in ([0, 3], [1, 2, 4])]
    texts, labels, choose = source.pairs(parts, generator)
    assert texts == parts[0][1] + parts[1][1]
    for i, own in enumerate([0, 3, 1, 2, 4]):
        assert labels[i].tolist() == [int(text in CAPTIONS[own]) for text in texts]
    similarity = torch.randn(5, 10, generator=generator)
    chosen = choose(similarity)
    assert chosen.shape == (5, 2 + 1 + 3)
    assert chosen[:, :2].tolist() == torch.arange(10).view(5, 2).tolist()
    for i, row in enumerate(chosen[:, 3:].tolist()):
        false = [(float(similarity[i, j]), j) for j in range(10) if not labels[i, j]]
        assert row == [j for _, j in sorted(false, reverse=True)[:3]]


def test_fewer_false_texts_than_hard_ones():
    labels = torch.tensor([[1, 1, 0], [1, 1, 1]])
    chosen = HardestTexts(labels, torch.zeros(2, 0, dtype=torch.long), 5)(torch.zeros(2, 3))
    assert sorted(chosen[0].tolist()) == [0, 1, 2]
    assert int(chosen[0, 0]) == 2


def test_all_captions_are_drawn_before_any_repeats():
    drawn = sample_captions(["a", "b", "c"], 7, torch.Generator().manual_seed(1))
    assert set(drawn[:3]) == set(drawn[3:6]) == {"a", "b", "c"}


@pytest.mark.parametrize("count", [1, 100, 101, 250])
def test_candidates(count):
    captions = [[f"text {i // 2}", f"also {i}"] for i in range(count)]
    sets = caption_candidates(captions, seed=3)
    assert sorted(i for each in sets for i in each.places) == list(range(count))
    sizes = [len(each) for each in sets]
    assert len(sizes) == -(-count // 100)
    assert max(sizes) <= 100
    assert max(sizes) - min(sizes) <= 1
    for each in sets:
        for i, row in zip(each.places, each.matches.tolist(), strict=True):
            assert row == [text in captions[i] for text in each.texts]
    assert [each.texts for each in caption_candidates(captions, seed=3)] == [each.texts for each in sets]
    part = sets[0].part([0])
    assert (part.places, part.texts, part.matches.tolist()) == (sets[0].places[:1], sets[0].texts[:1], [[True]])


def test_chance_is_what_random_scores_reach():
    matches = torch.eye(13, dtype=torch.bool)
    matches[0, :4] = matches[5, 7] = True
    expected = chance(matches)
    assert expected["recall@1"][[0, 1, 5]].tolist() == pytest.approx([4 / 13, 1 / 13, 2 / 13])
    assert expected["recall@5 of pictures"][[0, 1]].tolist() == pytest.approx([5 / 13, 1 - 8 / 13 * 7 / 12])
    generator = torch.Generator().manual_seed(0)
    found = [recalls(torch.rand(13, 13, generator=generator), matches=matches) for _ in range(500)]
    for name, values in expected.items():
        measured = torch.stack([one[name] for one in found]).double().mean()
        assert float(measured) == pytest.approx(float(values.mean()), abs=0.02)
    assert chance(torch.ones(3, 3, dtype=torch.bool))["recall@10"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("budget", [0, 1 << 20])
def test_unreadable_pictures_are_left_out(dataset, tmp_path, budget):
    (tmp_path / "set" / "1.png").write_bytes(b"no picture")
    data, kept = prepare_captioned(dataset, Preprocess((8, 8), "letterbox"), budget)
    assert kept == [0, 2, 3, 4]
    assert list(dataset.skipped) == ["1.png"]
    pictures, places = data[[3, 1]]
    assert (pictures.shape, places.tolist()) == ((2, 3, 8, 8), [3, 1])
    alone, _ = prepare_captioned(dataset.subset([4, 2]), Preprocess((8, 8), "letterbox"))
    assert torch.equal(pictures, alone[[0, 1]][0])
    with pytest.raises(DataError, match=r"1\.png"):
        prepare_captioned(open_captions(tmp_path / "set", on_error="fail"), Preprocess((8, 8)), budget)


def test_report(tmp_path, dataset):
    (tmp_path / "set" / "3.png").write_bytes(b"no picture")
    long = [*CAPTIONS, ["green " * 65], ["green", "green and round"]]
    lines = [json.dumps({"file_name": f"{i}.png", "text": texts}) for i, texts in enumerate(long)]
    (tmp_path / "set" / "metadata.jsonl").write_text("\n".join(lines))
    for i in (5, 6):
        tiny.picture("green", seed=i).save(tmp_path / "set" / f"{i}.png")
    result = evaluate(matchers.task(), tmp_path / "set", None, "skip", CPU, tmp_path)
    scores, details = result.scores, result.scores["details"]
    assert scores["pictures"] == details["recall@1"]["n"] == 5
    assert scores["candidates"] == [5, 5]
    assert list(scores["skipped"]) == ["5.png, caption 1", "3.png"]
    assert "has 65 words, more than 64" in scores["skipped"]["5.png, caption 1"]
    assert scores["recall@10"] == scores["chance recall@10"] == 1
    assert 1 / 5 <= scores["chance recall@1"] <= 2 / 5
    for one in details.values():
        assert 0 <= one["low"] <= one["value"] <= one["high"] + 1e-4
    assert {"towers recall@1", "towers recall@1 of pictures", "shuffled recall@1"} < set(result.bars)
    with Image.open(tmp_path / "scores.png") as chart:
        assert len(chart.getcolors(chart.width * chart.height)) > 5
    for name in ("5.png", "3.png"):
        with pytest.raises(DataError, match=name):
            evaluate(matchers.task(), tmp_path / "set", None, "fail", CPU, tmp_path)
        lines = [line for line in lines if name not in line]
        (tmp_path / "set" / "metadata.jsonl").write_text("\n".join(lines))


def test_nothing_to_score(tmp_path):
    dataset = write(tmp_path / "set", [["red"], ["blue"]])
    for i in range(2):
        (tmp_path / "set" / f"{i}.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="could be read"):
        evaluate_captions(matchers.task(), dataset, CPU, tmp_path)
    tiny.folder(tmp_path / "photos")
    with pytest.raises(DataError, match="holds no captions that can be read"):
        evaluate(matchers.task(), tmp_path / "photos", None, "skip", CPU, tmp_path)


@pytest.mark.parametrize(("option", "scenes"), [({"hflip": True}, True), ({"hard_captions": 3}, False)])
def test_options_of_the_other_kind_of_data(option, scenes):
    recipe = MatchRecipe(**option)
    recipe.check_applicable_options(scenes=not scenes)
    with pytest.raises(UsageError, match=f"--{next(iter(option)).replace('_', '-')} does not apply to"):
        recipe.check_applicable_options(scenes=scenes)


def test_a_run_learns_what_the_words_mean(tmp_path):
    words = {"red": "빨강", "green": "초록", "blue": "파랑"}
    captions = [[colour, words[colour]] for colour in words for _ in range(8)]
    dataset = write(tmp_path / "set", captions)
    training = MatchTraining(dataset, dataset, MatchRecipe(**SHAPE, captions=1), seed=0)
    assert training.chance == pytest.approx(1 / 3, abs=0.15)
    config = TrainConfig(epochs=40, batch=8, device="cpu", precision="fp32", compile="no", ema=0.8)
    scores = train(training, config, tmp_path / "run")
    assert scores["recall@1"] > 0.9
    task = load(tmp_path / "run")
    assert task.card["pictures"] == task.card["validation pictures"] == 24
    assert task.predict(tiny.picture("blue", seed=99), ["초록", "파랑", "빨강"]).text == "파랑"
    result = evaluate(task, tmp_path / "set", None, "skip", CPU, tmp_path)
    assert result.scores["recall@1"] > 0.9
    other = MatchTraining(dataset.subset(range(23)), dataset, MatchRecipe(**SHAPE), seed=0)
    assert other.identity != training.identity
