"""`saccade predict` on films, and the areas of pictures as COCO JSON."""

import csv
import io
import json
import weakref

import av
import numpy as np
import pytest
import torch
from faster_coco_eval.core import mask as coder
from PIL import Image

from saccade.cli.predict import PictureInputs
from saccade.data.preprocess import Preprocess
from saccade.data.segments.sets import open_segments
from saccade.data.video import VideoReader
from saccade.models import ViTConfig
from saccade.models.segmenter import Segmenter, SegmenterConfig
from saccade.tasks import load
from saccade.tasks.segment.task import SegmentTask

from ..data import tiny_videos
from ..tasks import finder, tiny

NAMES = ["background", "말", "b", "[red]c", "d"]


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    """The folder of a segmenter with random weights, whose answer depends on the picture."""
    torch.manual_seed(0)
    vit = ViTConfig.model_validate({**finder.TOY, "grid": (4, 4)})
    model = Segmenter(SegmenterConfig(vit=vit, classes=len(NAMES), depth=1, pixel_channels=8)).eval()
    for p in model.parameters():
        if p.ndim > 1:
            torch.nn.init.normal_(p, std=0.3)
    folder = tmp_path_factory.mktemp("models") / "seg"
    SegmentTask(model, Preprocess((32, 32), "crop", shortest=32), "seg", labels=NAMES).save(folder)
    return folder


@pytest.fixture
def detector(tmp_path):
    finder.task().save(tmp_path / "finder")
    return tmp_path / "finder"


def frames_of(path):
    with VideoReader(path) as film:
        return list(film)


def test_a_film_with_a_segmenter(saccade, segmenter, tmp_path):
    source = tiny_videos.film(tmp_path / "a.mkv", 6, times=[0, 40, 80, 200, 240, 600], time_base=tiny_videos.MS)
    places = ("--draw", "out", "--masks", "masks", "--coco", "areas.json")
    completed = saccade("predict", source, "--model", segmenter, *places, "--json")
    assert completed.code == 0, completed.err
    task, records, frames = load(str(segmenter)), json.loads(completed.out), frames_of(source)
    assert [each["time"] for each in records] == [0, 0.04, 0.08, 0.2, 0.24, 0.6]
    assert [each["frame"] for each in records] == list(range(6))
    assert {each["name"] for each in records} == {str(source)}
    masks = sorted((tmp_path / "masks" / "a").iterdir())
    assert [path.name for path in masks] == [f"{i:06}.png" for i in range(6)]
    areas = json.loads((tmp_path / "areas.json").read_text(encoding="utf-8"))
    assert [each["file_name"] for each in areas["images"]] == [f"a/{i:06}.png" for i in range(6)]
    for i, ((_, picture), path) in enumerate(zip(frames, masks, strict=True)):
        expected = task.predict(picture)
        np.testing.assert_array_equal(np.asarray(Image.open(path)), expected.mask.numpy())
        assert records[i]["classes"] == expected.to_dict()["classes"]
        again = np.zeros(expected.mask.shape, np.uint8)
        for each in areas["annotations"]:
            if each["image_id"] == i + 1:
                again[coder.decode(each["segmentation"]).astype(bool)] = each["category_id"]
        np.testing.assert_array_equal(again, expected.mask.numpy())
    drawn = frames_of(tmp_path / "out" / "a.mp4")
    assert [time for time, _ in drawn] == [time for time, _ in frames]
    assert len({picture.image.size for _, picture in drawn}) == 1
    with av.open(str(tmp_path / "out" / "a.mp4")) as file:
        assert file.streams.video[0].codec_context.pix_fmt == "yuv420p"


def test_a_film_with_a_detector(saccade, detector, tmp_path):
    source = tiny_videos.film(tmp_path / "a.mp4", 11, size=(46, 34))
    completed = saccade("predict", source, "--model", detector, "--draw", "out", "--threshold", "0.3", "--json")
    assert completed.code == 0, completed.err
    records, task = json.loads(completed.out), load(str(detector))
    assert [(each["frame"], each["time"]) for each in records] == [(i, round(i / 25, 6)) for i in range(11)]
    for (_, picture), record in zip(frames_of(source), records, strict=True):
        expected = task.predict(picture, threshold=0.3).to_dict()["objects"]
        assert [each["label"] for each in record["objects"]] == [each["label"] for each in expected]
        for one, other in zip(record["objects"], expected, strict=True):
            assert one["box"] == pytest.approx(other["box"], abs=0.01)
    assert [time for time, _ in frames_of(tmp_path / "out" / "a.mp4")] == [time for time, _ in frames_of(source)]
    assert "cat" in saccade("predict", source, "--model", detector, "--threshold", "0.1").out


def test_films_and_pictures_together(saccade, segmenter, tmp_path):
    tiny_videos.film(tmp_path / "a.mp4", 3)
    tiny_videos.film(tmp_path / "b.webm", 4, codec="libvpx-vp9")
    tiny.picture("red").save(tmp_path / "a.png")
    tiny.picture("red").save(tmp_path / "c.gif")
    completed = saccade("predict", "*.*", "--model", segmenter, "--draw", "out", "--csv")
    assert completed.code == 0, completed.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.mp4", "a.png", "b.mp4", "c.png"}
    names = list(dict.fromkeys(row["name"] for row in csv.DictReader(io.StringIO(completed.out))))
    films = [*(f"a.mp4 frame {i}" for i in range(3)), *(f"b.webm frame {i}" for i in range(4))]
    assert names == [*films[:3], "a.png", *films[3:], "c.gif"]
    assert [len(frames_of(tmp_path / "out" / name)) for name in ("a.mp4", "b.mp4")] == [3, 4]
    shown = saccade("predict", "a.mp4", "a.png", "--model", segmenter).out
    assert "mean share" in shown
    assert "[red]c" in shown
    assert saccade("predict", "a.mp4", "--model", segmenter, "--out", "results.txt").code == 0
    assert len((tmp_path / "results.txt").read_text().splitlines()) == 3
    again = saccade("predict", "a.mp4", "--model", segmenter, "--draw", "out")
    assert "out/a.mp4 already exists" in again.line


def test_bad_films(saccade, segmenter, tmp_path):
    whole = tiny_videos.film(tmp_path / "whole.mkv", 30, size=(48, 32))
    tiny_videos.cut(whole, tmp_path / "cut.mkv", 0.6)
    (tmp_path / "text.mp4").write_text("no film\n" * 99)
    tiny_videos.sound(tmp_path / "sound.mp4")
    completed = saccade("predict", "cut.mkv", "text.mp4", "sound.mp4", "--model", segmenter, "--json", "--draw", "out")
    assert completed.code == 0
    frames = len(json.loads(completed.out))
    assert 3 < frames < 25
    assert "note: cut.mkv is cut short" in completed.err
    assert f"the {frames} frames up to there are used" in completed.err
    assert "2 videos were skipped: text.mp4 is not a video" in completed.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["cut.mp4"]
    failed = saccade(
        "predict", "cut.mkv", "--model", segmenter, "--on-error", "fail", "--draw", "o", "--coco", "p.json", "--json"
    )
    assert failed.code == 1
    assert "cut.mkv is cut short" in failed.line
    assert list((tmp_path / "o").iterdir()) == []  # whole or not at all
    assert not (tmp_path / "p.json").exists()
    assert "text.mp4 is not a video" in saccade("predict", "text.mp4", "--model", segmenter).line


def test_without_pyav(saccade, segmenter, tmp_path, monkeypatch):
    tiny_videos.film(tmp_path / "a.mp4")
    tiny.picture("red").save(tmp_path / "a.png")
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    assert "pip install 'saccade-attention[film]'" in saccade("predict", "a.mp4", "--model", segmenter).line
    assert saccade("predict", "a.png", "--model", segmenter).code == 0


def test_areas_of_pictures_in_folders(saccade, segmenter, tmp_path):
    for i, name in enumerate(("one/말 1.png", "one/deep/b.png", "two/c.png")):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        tiny.picture("red", seed=i, size=(41, 37)).save(tmp_path / "set" / name)
    (tmp_path / "set" / "two" / "bad.png").write_bytes(b"junk")
    completed = saccade("predict", "set", "--model", segmenter, "--coco", "set/areas.json", "--masks", "masks")
    assert completed.code == 0, completed.err
    assert "The areas are in set/areas.json" in completed.err
    data = json.loads((tmp_path / "set" / "areas.json").read_text(encoding="utf-8"))
    assert sorted(each["file_name"] for each in data["images"]) == ["one/deep/b.png", "one/말 1.png", "two/c.png"]
    assert [each["name"] for each in data["categories"]] == NAMES[1:]
    (tmp_path / "set" / "two" / "bad.png").unlink()
    read = open_segments(tmp_path / "set" / "areas.json", classes=NAMES)
    assert len(read) == 3
    for i, name in enumerate(read.names):
        written = Image.open(tmp_path / "masks" / f"{name.rsplit('/', 1)[-1].removesuffix('.png')}.png")
        np.testing.assert_array_equal(read.mask(i).numpy(), np.asarray(written))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--coco", "no/areas.json"], "no is not a folder"),
        (["--coco", "a.png"], "would destroy it"),
        (["--coco", "same", "--out", "same"], "name the same file"),
    ],
)
def test_areas_that_cannot_be_written(saccade, segmenter, tmp_path, options, message):
    tiny.picture("red").save(tmp_path / "a.png")
    assert message in saccade("predict", "a.png", "--model", segmenter, *options).line


def test_areas_are_for_segmenters(saccade, detector, model, tmp_path):
    tiny.picture("red").save(tmp_path / "a.png")
    for other, why in ((detector, "finds boxes alone"), (model, "--masks is an option of")):
        assert why in saccade("predict", "a.png", "--model", other, "--masks", "p").line


def test_few_frames_are_held(tmp_path):
    seen = []
    shots = PictureInputs([tiny_videos.film(tmp_path / "a.mp4", 40)], "skip", keep_pictures=True)
    for picture in shots:
        seen.append(weakref.ref(picture.image))
        del picture
        shots.pending.popleft()
        assert sum(one() is not None for one in seen) <= 2
    assert len(seen) == 40
    without = PictureInputs([tmp_path / "a.mp4"], "skip", keep_pictures=False)
    assert len(list(without)) == 40
    assert all(shot.picture is None for shot in without.pending)
