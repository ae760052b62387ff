"""The benchmarks of pictures made from pictures, with a tiny generator."""

import importlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data.preprocess import Preprocess
from saccade.data.scenes import Description, Scenes, is_held_out, is_held_out_style
from saccade.errors import UsageError
from saccade.models.generator import Generator, GeneratorConfig
from saccade.tasks.generate.task import GenerateTask
from saccade.tasks.judge.find import FoundObject, box_around
from saccade.tasks.judge.judge import judge_found

CONFIG = {
    "block": {"width": 24, "heads": 2, "hidden": 14, "activation": "swiglu"},
    "depth": 2,
    "patch": 16,
    "bottleneck": 7,
    "text": {"block": {"width": 12, "heads": 3, "hidden": 7}, "depth": 1, "max_words": 128},
    "pictures": ["picture", "masked", "style"],
    "late": 1,
}


@pytest.fixture(autouse=True)
def root(monkeypatch, request):
    monkeypatch.syspath_prepend(str(request.config.rootpath))


def module(name: str):
    return importlib.import_module(f"benchmarks.generation.{name}")


@pytest.fixture
def model(tmp_path) -> Path:
    torch.manual_seed(0)
    network = Generator(GeneratorConfig.model_validate(CONFIG))
    GenerateTask(network, Preprocess((48, 48), "letterbox"), "tiny").save(tmp_path / "model", objects=(1, 3))
    return tmp_path / "model"


@pytest.fixture
def painter(model):
    return module("painter").Painter(module("painter").PaintSettings(str(model), n=4, steps=1, device="cpu"))


def found(scene, **changes) -> list[FoundObject]:
    """What a judge without mistakes finds, at twice the size. changes: of the last object."""
    objects = []
    for i, (shape, colour) in enumerate(scene.description.objects):
        mask = (scene.instances == i + 1).repeat(2, 0).repeat(2, 1)
        objects.append(FoundObject(shape, colour, box_around(mask), mask, 1.0))
    return [*objects[:-1], replace(objects[-1], **changes)]


def judged(scene, description=None, **changes):
    return replace(judge_found(found(scene, **changes), description or scene.description), scale=2.0)


def test_edits_run(model, tmp_path, capsys):
    edits, painter = module("edits"), module("painter")
    painting = painter.PaintSettings(str(model), device="cpu", sheets=tmp_path / "sheets", quick=True)
    edits.main(None, painting, edits.Outputs(tmp_path / "edits.json"))
    tables = json.loads((tmp_path / "edits.json").read_text())["tables"]
    assert len(tables) == 4 + 2 + 1 + 2 + 1
    words = tables["words: held-out, ko"]
    assert words["picture kept"]["changed"]["value"] == 0
    assert words["picture kept"]["PSNR outside"]["value"] > 58
    assert words["painted"]["PSNR outside"]["value"] < 30
    assert (
        tables["sketch"]["real"]["edges' F at 2"]["value"] > 0.8 > tables["sketch"]["painted"]["edges' F at 2"]["value"]
    )
    for row in ("painted", "without the source", "mean colour"):
        assert tables["holes"][row]["outside equal"]["value"] == 1
    assert tables["holes"]["real"]["seam / real seam"]["value"] == 1
    inversions = tables["inversions: seen, en"]
    assert inversions["picture kept"] == tables["words: seen, en"]["picture kept"]
    assert inversions["inverted"]["PSNR outside"]["value"] < 58
    assert tables["strength: properties"]["painted"]["0 gives the picture"]["value"] == 1
    assert "## words: seen, en" in capsys.readouterr().out
    assert len(list((tmp_path / "sheets").glob("*.png"))) == 4 + 2 + 1 + 1 + 1


def test_edits_refuse_unknown_parts_and_models(monkeypatch):
    with pytest.raises(UsageError, match=r"--parts has 'masks'; parts of words, guides, holes, strengths"):
        module("edits").EditSettings("words,masks")
    with pytest.raises(UsageError, match="--n is 1; 2 or more"):
        module("painter").PaintSettings(n=1)
    monkeypatch.setattr(module("painter"), "load", lambda _: object())
    with pytest.raises(UsageError, match="--model shapes: it does not paint"):
        module("painter").Painter(module("painter").PaintSettings("shapes"))


def test_edits_of_both_languages_are_the_same_and_new_where_held_out(painter):
    words = module("editing.words")
    for combinations in words.COMBINATIONS:
        edits = words.drawn_edits(painter, combinations)
        assert [len(each) for each in edits.values()] == [4, 4]
        for english, korean in zip(*edits.values(), strict=True):
            assert english.changed == korean.changed
            assert (english.after.pixels == korean.after.pixels).all()
            assert english.instruction != korean.instruction
            before, after = (is_held_out(*_content(scene)) for scene in english[:2])
            assert (before, after) == (False, combinations == "held-out")
            region = words.outside(english)
            assert (english.before.pixels == english.after.pixels)[region].all()
            assert not region[english.after.instances == english.changed + 1].any()
            assert region.mean() > 0.2


def _content(scene) -> tuple:
    return scene.description.objects, scene.description.relations


def test_an_edit_is_scored_by_the_object_and_by_the_rest(painter):
    words = module("editing.words")
    pair = next(each for each in words.drawn_edits(painter, "seen")["en"] if len(each.after.description.objects) > 1)
    right = judged(pair.after)
    assert words.changed_as_instructed(pair, right)
    assert all(words.rest_atoms(pair, right))
    kept = judged(pair.before, pair.after.description)
    assert not words.changed_as_instructed(pair, kept)
    assert all(words.rest_atoms(pair, kept))
    fewer = judge_found([found(pair.after)[pair.changed]], pair.after.description)
    assert words.changed_as_instructed(pair, fewer)
    assert not any(words.rest_atoms(pair, fewer))


def test_edges_are_those_of_the_found_objects():
    guides, scene = module("editing.guides"), Scenes(1, 48, 3, objects=(1, 1), apart=True).scene(0)
    assert guides.edge_f(scene, judged(scene), 0) == 1
    moved = judged(scene, mask=np.roll(found(scene)[-1].mask, 6, axis=1))  # three pixels of the scene
    assert guides.edge_f(scene, moved, 1) < 0.7
    assert guides.edge_f(scene, moved, 3) == 1
    assert guides.edge_f(scene, judge_found([], scene.description), 2) == 0


def test_a_hole_is_over_one_object(painter):
    holes = module("editing.holes")
    examples = holes.drawn_holes(painter)
    assert len(examples) == 4
    for each in examples:
        assert each.hole[each.scene.instances == each.missing + 1].all()
        assert set(np.unique(each.scene.instances[each.hole])) <= {0, each.missing + 1}
        pixels = holes.filled(each)
        assert (pixels == each.pixels)[~each.hole].all()
        assert np.ptp(pixels[each.hole], axis=0).max() == 0
        assert each.objects == Description(each.scene.description.objects)
    box = holes.box_with_margin((4, 0, 9, 7), (11, 13))
    assert box.sum() == 10 * 11
    assert box[:10, 1:12].all()


def test_strengths_are_monotone_where_no_distance_falls():
    strengths, mean = module("editing.strengths"), module("figures").Mean
    means = {0.0: mean([0, 0, 0]), 0.5: mean([1, 3, 1]), 1.0: mean([2, 2, 2])}
    row = strengths.properties(means, [0, 1 / 255, 0.1])
    assert {name: (each.right, each.n) for name, each in row.items()} == {
        "0 gives the picture": (2, 3),
        "mean rises": (2, 2),
        "rises always": (2, 3),
    }


def test_style_runs(model, tmp_path, capsys):
    style, painter = module("style"), module("painter")
    painting = painter.PaintSettings(str(model), device="cpu", sheets=tmp_path / "sheets", quick=True)
    style.main(None, painting, style.Outputs(tmp_path / "style.json"))
    sets = json.loads((tmp_path / "style.json").read_text())["sets"]
    assert list(sets) == ["unseen styles", "seen styles"]
    measures, better = (sets["unseen styles"][name] for name in ("measures", "better by"))
    assert list(measures) == ["painted", *better]
    for row, figures in better.items():
        for name, sign in (("SSIM", 1), ("PSNR", 1), ("feature distance", -1)):
            difference = sign * (measures["painted"][name]["value"] - measures[row][name]["value"])
            assert figures[name]["value"] == pytest.approx(difference, abs=1e-9)
    assert better["copy"]["SSIM"]["value"] < 0  # the generator is not trained
    assert "seen styles: by how much" in capsys.readouterr().out
    with Image.open(tmp_path / "sheets" / "unseen-styles.png") as sheet:
        assert sheet.width > 8 * 128


def test_examples_of_styles_show_the_style_on_other_content(painter):
    style = module("style")
    for held_out in (True, False):
        seed = painter.scenes(1).seed
        drawn = [style.drawn_style(seed, i, held_out) for i in range(4)]
        assert all(is_held_out_style(each) == held_out and each.family != "plain" for each in drawn)
        examples = style.drawn_examples(painter, held_out)
        assert [each.family for each in examples] == [each.family for each in drawn]
        for each in examples:
            assert not np.array_equal(each.style, each.truth)
            assert not np.array_equal(each.content, each.truth)
