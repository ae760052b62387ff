"""The benchmarks of films, with a tiny generator and a judge whose networks are replaced by the truth."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data.preprocess import Preprocess
from saccade.data.scenes import is_held_out
from saccade.errors import UsageError
from saccade.models.generator import Generator, GeneratorConfig
from saccade.tasks.generate.task import GenerateTask
from saccade.tasks.judge.find import FoundObject, box_around

CONFIG = {
    "block": {"width": 24, "heads": 2, "hidden": 14, "activation": "swiglu"},
    "depth": 2,
    "patch": 16,
    "bottleneck": 7,
    "films": True,
    "text": {"block": {"width": 12, "heads": 3, "hidden": 7}, "depth": 1, "max_words": 128},
    "late": 1,
}
FRAMES = 5


@pytest.fixture(autouse=True)
def root(monkeypatch, request):
    monkeypatch.syspath_prepend(str(request.config.rootpath))


def module(name: str):
    return importlib.import_module(f"benchmarks.generation.{name}")


@pytest.fixture
def model(tmp_path) -> Path:
    torch.manual_seed(0)
    network = Generator(GeneratorConfig.model_validate(CONFIG))
    GenerateTask(network, Preprocess((64, 64), "crop"), "tiny").save(tmp_path / "model", recipe={"frames": FRAMES})
    return tmp_path / "model"


def prompts(n=4, frames=FRAMES, combinations="seen", language="en"):
    return module("filming.prompts").film_prompts(n, (64, 64), frames, combinations, language)


def objects_of(film) -> list[list[FoundObject]]:
    """What a judge without mistakes finds in each frame, at twice the size."""
    frames = []
    for track, objects in zip(film.tracks, film.objects, strict=True):
        masks = [mask.numpy().repeat(2, 0).repeat(2, 1) for mask in objects.masks]
        found = zip(track, masks, strict=True)
        frames.append([FoundObject(film.names[i], film.colours[i], box_around(m), m, 1.0) for i, m in found])
    return frames


def examined(prompt):
    return module("filming.examined").ExaminedFilm(prompt.frames, objects_of(prompt.film))


class TrueFinder:
    """Finds the objects of the drawn frames, and nothing in others."""

    def __init__(self) -> None:
        drawn = [each for n in (FRAMES, 3 * FRAMES) for each in prompts(2, n, "held-out")]
        pairs = [pair for each in drawn for pair in zip(each.film.frames, objects_of(each.film), strict=True)]
        self.known = {frame.tobytes(): objects for frame, objects in pairs}

    def find(self, pictures):
        return [self.known.get(np.asarray(picture.image).tobytes(), []) for picture in pictures]


def test_films_run(model, tmp_path, capsys, monkeypatch):
    films = module("films")
    monkeypatch.setattr(films, "ObjectFinder", TrueFinder)
    for part in ("texts", "first_frames", "go_on"):
        monkeypatch.setattr(module(f"filming.{part}"), "COMBINATIONS", ("held-out",))
    painting = films.FilmPaintSettings(str(model), frames=FRAMES, device="cpu", sheets=tmp_path / "sheets", quick=True)
    painting.n = 2
    films.main(None, painting, films.Outputs(tmp_path / "films.json"))
    tables = json.loads((tmp_path / "films.json").read_text())["tables"]
    whole, atoms = tables["text, held-out: whole films"], tables["text, held-out: atoms"]
    assert whole["true"]["all right"]["value"] == atoms["true"]["atoms"]["value"] == 1
    assert whole["painted"]["all right"]["value"] == 0
    for control in ("true, still", "true, frames shuffled"):
        assert whole[control]["all right"]["value"] == 0
        assert whole[control]["objects, all frames"]["value"] == 1
    first = tables["first frame, held-out"]
    assert first["painted"]["first frame equal"]["value"] == first["true"]["all right"]["value"] == 1
    assert first["painted"]["PSNR of frame 2 to 1"]["value"] < first["true"]["PSNR of frame 2 to 1"]["value"]
    assert first["first frame kept still"]["all motions"]["value"] == 0
    later = tables["go on, held-out"]
    assert later["true"]["all right"]["value"] == 1
    assert later["painted"]["objects, frame 15"]["value"] == 0
    assert later["frame 5 repeated"]["objects, frame 15"]["value"] == 1
    assert later["frame 5 repeated"]["all motions"]["value"] == 0
    assert "painted motions that are wrong" in capsys.readouterr().out
    assert len(list((tmp_path / "sheets").glob("*.png"))) == 3 * 2


def test_films_refuse_bad_settings(monkeypatch):
    painter = module("filming.painter")
    with pytest.raises(UsageError, match=r"--parts has 'texts'; parts of text, first-frame, go-on"):
        module("films").FilmParts("text,texts")
    with pytest.raises(UsageError, match="--n is 1; 2 or more"):
        painter.FilmPaintSettings(n=1)
    with pytest.raises(UsageError, match="--frames is 1; 2 or more"):
        painter.FilmPaintSettings(frames=1)
    with pytest.raises(UsageError, match="--language is 'de'"):
        painter.FilmPaintSettings(language="de")
    monkeypatch.setattr(painter, "load", lambda _: object())
    with pytest.raises(UsageError, match="--model shapes: it does not paint films"):
        painter.FilmPainter(painter.FilmPaintSettings("shapes"))


def test_prompts_are_of_the_same_films_whatever_frames_and_language():
    seen, held_out = prompts(), prompts(combinations="held-out")
    assert [len(each.description.objects) for each in seen] == [1, 2, 1, 2]
    assert [is_held_out(each.description.objects) for each in [*seen, *held_out]] == [False] * 4 + [True] * 4
    for other in (prompts(language="ko"), prompts(frames=3 * FRAMES - 2)):
        assert [each.description for each in other] == [each.description for each in seen]
    longer = prompts(frames=2 * FRAMES - 1)
    for short, long in zip(seen, longer, strict=True):
        assert (long.film.frames[::2] == short.film.frames).all(), "the same motion more finely"


def test_others_are_of_as_many_objects():
    descriptions = [each.description for each in prompts(6)]
    others = module("filming.examined").others(descriptions)
    assert sorted(map(str, others)) == sorted(map(str, descriptions))
    assert all(one != other for one, other in zip(descriptions, others, strict=True))
    assert sum(len(a.objects) == len(b.objects) for a, b in zip(descriptions, others, strict=True)) == 4


def test_lab_of_red_and_white():
    lab = module("filming.consistency").lab
    assert lab(np.array([1.0, 0.0, 0.0])) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
    assert lab(np.ones(3)) == pytest.approx([100, 0, 0], abs=0.02)
    assert lab(np.full(3, 0.01)) == pytest.approx([0.699, 0, 0], abs=0.02)  # 903.3 times the luminance 0.01 / 12.92


def test_masks_are_aligned_by_centre_and_area():
    aligned = module("filming.consistency").aligned
    y, x = np.mgrid[:97, :103]

    def iou(one, other):
        a, b = aligned(one), aligned(other)
        return (a & b).sum() / (a | b).sum()

    def ellipse(centre, radius, ratio=1.0):
        return (x - centre[0]) ** 2 + ((y - centre[1]) / ratio) ** 2 <= radius**2

    disc = ellipse((31, 29), 11)
    assert iou(disc, ellipse((67, 60), 23)) > 0.95
    assert iou(disc, ellipse((67, 60), 11, 2.5)) < 0.75
    assert iou(disc, np.abs(x - 50) + np.abs(y - 50) <= 20) < 0.92


def test_consistency_is_beside_true_films():
    consistency, examined_film = module("filming.consistency").consistency, module("filming.examined").ExaminedFilm
    drawn = prompts(8)
    true = [examined(each) for each in drawn]
    tinted = []
    for film in true:
        dark = [
            Image.eval(frame, lambda value, t=t: round(value * (1 - 0.1 * t))) for t, frame in enumerate(film.frames)
        ]
        tinted.append(examined_film(dark, film.found))
    of_true = [film.judge(each.description) for film, each in zip(true, drawn, strict=True)]
    table = consistency(tinted, true, of_true, of_true)
    assert table["painted"]["colour drift"].n == 12
    assert table["painted"]["colour drift / true"].value > 3
    assert table["painted"]["shape drift / true"].value == table["true"]["colour drift / true"].value == 1
    turning = sum(motion.startswith("turns") for each in drawn for motion in each.film.motions)
    assert table["painted"]["shape drift"].n == 12 - turning
    lost = [film.judge(each.description) for film, each in zip([film.still() for film in true], drawn, strict=True)]
    assert consistency(true, true, of_true, lost)["true"]["colour drift"].n == 12
    nothing = [
        examined_film(film.frames, [[]] * FRAMES).judge(each.description)
        for film, each in zip(true, drawn, strict=True)
    ]
    assert consistency(true, true, nothing, of_true) == {"painted": {}, "true": {}}


def test_sheets_show_at_most_16_frames_at_equal_steps():
    sheet, (one, two) = module("filming.sheet"), prompts(2, 33)
    judgements = [examined(each).judge(each.description) for each in (one, two)]
    drawn = sheet.film_sheet([one.frames, two.frames[:3]], [one.text, two.text], judgements)
    pixels = np.asarray(drawn)
    for column, t in ((0, 0), (15, 32)):
        left = 14 + column * 68
        assert (pixels[4:68, left : left + 64] == np.asarray(one.frames[t])).all()
    assert tuple(pixels[10, 6]) == sheet.RIGHT


def test_film_speed_runs_without_its_peer(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    module("film_speed").main(quick=True, json_file=tmp_path / "speed.json")
    assert "ours alone" in capsys.readouterr().out
    (case,) = json.loads((tmp_path / "speed.json").read_text())["cases"]
    assert list(case["ratios"]) == ["past once / each step"]
    assert case["largest difference"] <= 1e-5
