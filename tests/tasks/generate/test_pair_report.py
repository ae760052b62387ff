"""Scores of a generator on pairs and style sets."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data.pairs import StyleSet, TwoFolders
from saccade.device import Device
from saccade.errors import DataError, UsageError
from saccade.tasks.generate import pair_report
from saccade.tasks.generate.commands import GenerateValOptions, open_evaluation_set

from . import generators

CPU = Device(torch.device("cpu"), False, 0, 1)


@pytest.fixture
def folders(tmp_path):
    """Squares in red, and the same in blue; the table names the odd ones."""
    for folder, colour in (("a", (255, 0, 0)), ("b", (0, 0, 255))):
        (tmp_path / "set" / folder).mkdir(parents=True)
        for n in range(5):
            picture = Image.new("RGB", (56, 40), (250, 250, 250))
            picture.paste(colour, (5 * n, 3, 5 * n + 19, 30))
            picture.save(tmp_path / "set" / folder / f"{n}.png")
    (tmp_path / "set" / "captions.tsv").write_text("code\tname\n1\tsquare one\n3\tsquare three\n")
    return tmp_path / "set" / "a", tmp_path / "set" / "b"


@pytest.fixture
def requests(monkeypatch):
    """What is painted; the pictures are those that are given."""
    found = []

    def paint(task, example, seed):
        found.append(example)
        return example.image

    monkeypatch.setattr(pair_report, "_paint", paint)
    return found


def colour(picture: Image.Image) -> int:
    """0 for red, 2 for blue."""
    return int(np.asarray(picture).astype(int).min(axis=(0, 1)).argmax())


def test_pairs_are_painted_from_the_first_picture(folders, requests, tmp_path):
    task = generators.task(("picture",))
    result = pair_report.evaluate_pictures(task, TwoFolders(*folders, str), CPU, tmp_path)
    assert [(colour(each.image), each.style, colour(each.truth)) for each in requests] == [(0, None, 2)] * 5
    assert [each.caption for each in requests] == ["", "square one", "", "square three", ""]
    scores = result.scores
    assert scores["pictures"] == 5
    for name in ("SSIM", "PSNR", "feature distance"):
        assert scores[name] == scores[f"copy {name}"]
        assert scores["details"][name]["low"] <= scores[name] <= scores["details"][name]["high"]
    assert 0 < scores["SSIM"] < 1
    assert scores["PSNR"] < 15
    assert (tmp_path / "sheet.png").is_file()


def test_styles_are_painted_from_another_style_and_with_another_name(folders, requests, tmp_path):
    dataset = StyleSet(folders[0].parent, str)
    (folders[0] / "4.png").write_bytes(b"no picture")
    result = pair_report.evaluate_pictures(generators.task(("picture", "style")), dataset, CPU, tmp_path)
    assert len(requests) == 8  # name 4 has one style
    for each in requests:
        assert {colour(each.image), colour(each.truth)} == {0, 2}
        assert colour(each.style) == colour(each.truth)
        assert not np.array_equal(each.style, each.truth)
    assert list(result.scores["skipped"]) == ["a/4.png"]


def test_true_pictures_are_equal_to_themselves(folders, monkeypatch, tmp_path):
    monkeypatch.setattr(pair_report, "_paint", lambda task, example, seed: example.truth)
    scores = pair_report.evaluate_pictures(
        generators.task(("picture",)), TwoFolders(*folders, str), CPU, tmp_path
    ).scores
    assert scores["SSIM"] == pytest.approx(1)
    assert scores["PSNR"] > 58
    assert scores["feature distance"] == pytest.approx(0, abs=1e-5)
    assert scores["copy PSNR"] < 15


def test_a_generator_paints_them(folders, tmp_path):
    pairs = TwoFolders(*folders, str).subset([0, 1])
    scores = pair_report.evaluate_pictures(generators.task(("picture",)), pairs, CPU, tmp_path).scores
    assert scores["SSIM"] < scores["copy SSIM"]
    assert json.dumps(scores)


def test_what_is_held_out(folders):
    both = GenerateValOptions(paint_from=folders[0])
    assert len(open_evaluation_set(folders[1], both, "skip")) == 5
    part = open_evaluation_set(folders[1], both.model_copy(update={"held_out": 0.4}), "skip")
    styles = open_evaluation_set(folders[0].parent, GenerateValOptions(held_out=0.4), "skip")
    assert 0 < len(part) < 5
    assert isinstance(styles, StyleSet)
    assert set(part.stems) <= set(styles.stems)


def test_bad_input(folders, tmp_path):
    pairs = TwoFolders(*folders, str)
    with pytest.raises(UsageError, match="tiny attends to no source picture: train it with --pairs"):
        pair_report.evaluate_pictures(generators.task(), pairs, CPU, tmp_path)
    styles = StyleSet(folders[0].parent, str)
    with pytest.raises(UsageError, match="tiny attends to no source style: train it with --styles"):
        pair_report.evaluate_pictures(generators.task(("picture",)), styles, CPU, tmp_path)
    for file in folders[0].iterdir():
        file.write_bytes(b"no picture")
    with pytest.raises(DataError, match="no picture"):
        pair_report.evaluate_pictures(generators.task(("picture",)), pairs, CPU, tmp_path)
    for file in folders[1].iterdir():
        file.write_bytes(b"no picture")
    with pytest.raises(DataError, match="no picture"):
        pair_report.evaluate_pictures(generators.task(("picture", "style")), styles, CPU, tmp_path)


def test_captions_are_followed_by_the_guidance_of_the_card(monkeypatch):
    task, scales = generators.task(("picture",)), []
    task.card["guidance"] = 5
    monkeypatch.setattr(task, "generate_all", lambda settings, *_, **__: scales.append(settings[0].sampling) or [None])
    monkeypatch.setattr(pair_report, "GeneratedPicture", type(None))
    image = Image.new("RGB", task.preprocess.size)
    for caption in ("red", ""):
        with pytest.raises(AttributeError):
            pair_report._paint(task, pair_report.Example(image, None, image, caption), 0)
    assert [each.guidance for each in scales] == [5, 1]
