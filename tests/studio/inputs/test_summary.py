"""What a model saw of a photograph is what its preprocessing takes of it."""

import pytest
from PIL import Image

from saccade.data import Preprocess, read_image
from saccade.language import korean
from saccade.studio.inputs.summary import describe_crop
from saccade.studio.look import look
from saccade.studio.page.page import render_page
from saccade.tasks import load
from saccade.tasks.detect.commands import COMMANDS as detect_commands
from saccade.tasks.segment.commands import COMMANDS as segment_commands

from ...tasks import tiny

REDUCED = "reduced to 40 x 40 pixels"
DETAILED = Preprocess((40, 40), "crop", detail=32)
ALL = (0, 0, 1, 1)


@pytest.mark.parametrize(
    ("preprocess", "size", "text", "frame"),
    [
        (DETAILED, (512, 512), "the whole picture, reduced to 32 x 32 and enlarged to 40 x 40 pixels", ALL),
        (
            DETAILED,
            (448, 172),
            "the middle square of 172 pixels, reduced to 32 x 32 and enlarged to 40 x 40 pixels",
            (0.306, 0, 0.694, 1),
        ),
        (DETAILED, (20, 20), "the whole picture, enlarged to 40 x 40 pixels", ALL),
        (Preprocess((40, 40), "crop"), (640, 320), f"the middle square of 320 pixels, {REDUCED}", (0.25, 0, 0.75, 1)),
        (
            Preprocess((40, 40), "crop", shortest=80),
            (400, 200),
            f"the middle square of 100 pixels, {REDUCED}",
            (0.375, 0.25, 0.625, 0.75),
        ),
        (
            Preprocess((40, 80), "crop", shortest=80),
            (400, 400),
            "the middle 400 x 200 pixels, reduced to 80 x 40 pixels",
            (0, 0.25, 1, 0.75),
        ),
        (Preprocess((40, 40)), (640, 320), f"the whole picture, {REDUCED}", ALL),
        (Preprocess((40, 40), "letterbox"), (640, 320), f"the whole picture, {REDUCED}", ALL),
    ],
)
def test_the_part_that_was_seen(preprocess, size, text, frame):
    found, part = describe_crop(preprocess, size)
    assert found == f"it saw {text}"
    assert part == pytest.approx(frame, abs=0.01)
    assert korean(found, {}).startswith("모델이 본 것: ")
    assert "saw" not in korean(found, {})


def test_it_is_on_the_page_before_the_classes():
    view = look(tiny.task(), read_image(tiny.picture("red", size=(46, 23))))
    seen = render_page(view.page_input()).content["seen"]
    knows, how, missing, *doubts = seen["texts"]
    assert knows == "tiny answers with one of 3 things: blue, green, red"
    assert how == "it saw the middle square of 23 pixels, reduced to 16 x 16 pixels"
    assert "no statistics" in missing or "keeps" in missing
    assert doubts == view.to_dict()["input"]["doubts"]
    assert seen["frame"] == [0.25, 0, 0.75, 1]
    assert (seen["input"]["width"], seen["photo"]["width"]) == (16, 46)
    lines = str(view).splitlines()
    assert lines[1:3] == [knows, how]


def test_the_photograph_on_the_page_is_small():
    view = look(tiny.task(), read_image(Image.new("RGB", (2000, 1000), "navy")))
    photo = render_page(view.page_input()).content["seen"]["photo"]
    assert (photo["width"], photo["height"]) == (240, 120)


@pytest.mark.parametrize(
    ("model", "commands", "knows"),
    [
        ("scenes", detect_commands, "scenes finds 10 kinds of objects: disc, square"),
        ("shapes", segment_commands, "shapes gives each pixel one of 11 classes: background, disc"),
    ],
)
def test_models_of_drawn_shapes_say_so_first(model, commands, knows):
    task = load(model)
    view = look(task, read_image(tiny.picture("red", size=(96, 64))))
    content = render_page(view.page_input()).content
    said, how, _, doubt = content["seen"]["texts"]
    assert said.startswith(knows)
    size = "128 x 128" if model == "scenes" else "192 x 128"  # a segmenter sees the picture in its own shape
    assert how == f"it saw the whole picture, enlarged to {size} pixels"
    assert doubt == f"{model} was trained on drawn scenes: what it answers to a photograph means little"
    assert view.to_dict()["input"] == {"knows": said, "saw": how, "doubts": [doubt]}
    lines = str(view).split("\n")
    assert lines[1].startswith(knows)
    assert all(content["korean"][text] != text for text in (said, how, doubt))
    assert commands.about(task) == (said, doubt)
