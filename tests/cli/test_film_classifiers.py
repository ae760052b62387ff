"""`saccade predict` and `saccade look` with classifiers of videos."""

import json

import pytest
import torch
from PIL import Image

from saccade.data.film_frames import read_clip

from ..checkpoints import tiny_video_classifiers as tiny
from ..data import tiny_videos


@pytest.fixture(scope="module")
def videomae(tmp_path_factory):
    """Its folder, network and processor."""
    folder = tmp_path_factory.mktemp("models") / "videomae"
    return folder, *tiny.save("videomae", folder)


def test_predict_answers_once_for_a_film(saccade, videomae, tmp_path):
    folder, model, processor = videomae
    film = tiny_videos.film(tmp_path / "a.mp4", 20)
    completed = saccade("predict", film, "--model", folder, "--json")
    assert completed.code == 0, completed.err
    (record,) = json.loads(completed.out)
    clip = read_clip(film, 6)
    with torch.no_grad():
        logits = model(**processor(list(clip.pictures), return_tensors="pt")).logits[0]
    best, order = logits.softmax(-1).topk(3)
    assert record["labels"] == [tiny.NAMES[i] for i in order]
    assert record["probabilities"] == pytest.approx(best.tolist(), abs=1e-5)
    assert record["frames"] == [1, 5, 8, 11, 15, 18]
    assert record["times"] == [0.04, 0.2, 0.32, 0.44, 0.6, 0.72]
    assert "6 of its 20 frames are used" in completed.err


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_animated_pictures_are_films(saccade, videomae, tmp_path, suffix):
    frames = [Image.fromarray(tiny_videos.picture(i)) for i in range(20)]
    film = tmp_path / f"a{suffix}"
    frames[0].save(film, save_all=True, append_images=frames[1:], duration=40)
    (record,) = json.loads(saccade("predict", film, "--model", videomae[0], "--json").out)
    assert record["frames"] == [1, 5, 8, 11, 15, 18]
    report = json.loads(saccade("look", film, "--model", videomae[0], "--json").out)
    assert report["prediction"]["frames"] == record["frames"]
    frames[0].save(film)
    still = saccade("predict", film, "--model", videomae[0])
    assert (still.code, "or an animated GIF, WebP or PNG" in still.err) == (2, True)


def test_predict_as_a_table_and_csv(saccade, videomae, tmp_path):
    film = tiny_videos.film(tmp_path / "a.mp4", 20)
    table = saccade("predict", film, "--model", videomae[0])
    assert "video" in table.out
    assert "a.mp4" in table.out
    assert saccade("predict", film, "--model", videomae[0], "--csv").out.startswith("name,label_1")


def test_predict_refuses_pictures_and_passes_over_broken_films(saccade, videomae, tmp_path, red):
    completed = saccade("predict", red, "--model", videomae[0])
    assert completed.code == 2
    assert "classifies whole videos of 6 frames" in completed.err
    (tmp_path / "b.mp4").write_bytes(b"no film")
    film = tiny_videos.film(tmp_path / "a.mp4", 3)
    completed = saccade("predict", film, tmp_path / "b.mp4", "--model", videomae[0], "--json")
    assert len(json.loads(completed.out)) == 1
    assert "b.mp4" in completed.err
    assert "has 3 frames, where the model takes 6" in completed.err
    assert saccade("predict", tmp_path / "b.mp4", "--model", videomae[0]).code != 0
    assert saccade("predict", film, tmp_path / "b.mp4", "--model", videomae[0], "--on-error", "fail").code != 0


def test_val_says_that_it_scores_pictures(saccade, videomae, tmp_path):
    (tmp_path / "data" / "dancing").mkdir(parents=True)
    completed = saccade("val", tmp_path / "data", "--model", videomae[0])
    assert "classifies videos, and val scores classifiers of pictures" in completed.err


def test_look_at_a_film(saccade, videomae, tmp_path):
    film = tiny_videos.film(tmp_path / "a.mp4", 20)
    completed = saccade("look", film, "--model", videomae[0], "--json")
    assert completed.code == 0, completed.err
    report = json.loads(completed.out)
    assert report["prediction"]["frames"] == [1, 5, 8, 11, 15, 18]
    assert report["page"]["layers_kept"] == 2
    assert (tmp_path / "saccade-look.html").stat().st_size == report["page"]["bytes"]
    printed = saccade("look", film, "--model", videomae[0])
    assert "click a place in any frame" in " ".join(printed.out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.mp4"], "tiny-imagenet looks at pictures, and a.mp4 is a video"),
        (["red.png", "--model", "MODEL"], "classifies videos of 6 frames"),
        (["--model", "MODEL"], "classifies videos of 6 frames"),
        (["a.mp4", "--model", "MODEL", "--text", "a cat"], "--text is for pictures"),
        (["a.mp4", "--model", "MODEL", "--size", "64"], "--size is not for videomae"),
        (["b.mp4", "--model", "MODEL"], "b.mp4 is not a video that can be read"),
    ],
)
def test_what_look_refuses(saccade, videomae, red, tmp_path, arguments, message):
    tiny_videos.film(tmp_path / "a.mp4", 7)
    (tmp_path / "b.mp4").write_bytes(b"no film")
    completed = saccade("look", *(str(videomae[0]) if each == "MODEL" else each for each in arguments))
    assert completed.code != 0
    assert message in completed.err
    assert not (tmp_path / "saccade-look.html").exists()
