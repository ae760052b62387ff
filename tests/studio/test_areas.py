"""What a segmenter says of a picture, and that every class has the map of its own token: against slow references."""

import json
import zlib

import pytest
import torch
from PIL import Image

from saccade.data import Picture
from saccade.data.preprocess import Preprocess
from saccade.data.segments import IGNORE_INDEX
from saccade.errors import SaccadeError
from saccade.studio.inputs.padded_image import resize_and_pad
from saccade.studio.look import look
from saccade.studio.views import LookOptions
from saccade.studio.views.segmented_classes import MOST, RANKS, patch_coverage, patch_probabilities
from saccade.tasks.segment.colours import class_colours

from .detectors import noise
from .page.test_page import content
from .segmenters import CLASSES, task


def fitting():
    """A picture of the shape that the segmenter sees in one tile."""
    return noise(48, 40)


def test_one_tile_is_what_predict_says():
    segmenter = task()
    found = look(segmenter, fitting())
    said = segmenter.predict(fitting().image)
    assert torch.equal(found.prediction.mask, said.mask)
    assert len(said.areas.shares) >= 3, "else the test shows little"
    areas = found.targets
    assert found.notes == []
    assert areas.names[: len(said.areas.shares)] == list(said.areas.shares)
    assert sorted(areas.names) == sorted(CLASSES)
    assert areas.pixels.tolist() == pytest.approx([said.areas.shares.get(name, 0.0) for name in areas.names])
    own = [CLASSES.index(name) for name in areas.names]
    assert own != sorted(own), "else the order is not tried"
    assert areas.mask.shape == (427, 512), "as fine as the longer side of 512 pixels makes it"
    at = torch.tensor(own)[areas.mask.long()]
    rows, columns = (((torch.arange(side) + 0.5) * big / side).long() for side, big in ((40, 427), (48, 512)))
    agree = (at[rows][:, columns] == said.mask).float().mean()
    assert agree > 0.97, "the page's mask is the prediction's, finer"


@torch.no_grad()
def test_every_class_has_the_map_of_its_own_token():
    segmenter = task()
    found = look(segmenter, fitting())
    areas = found.targets
    order = [CLASSES.index(name) for name in areas.names]
    assert order != sorted(order)
    assert len(areas.layers) == 2
    for i, layer in enumerate(areas.layers):
        cross = found.trace[f"decoder.blocks.{i}.cross_attention"][0]
        own = found.trace[f"decoder.blocks.{i}.self_attention"][0]
        torch.testing.assert_close(layer.weights, cross.weights()[0][:, order])
        torch.testing.assert_close(layer.self_weights, own.weights()[0][:, order][:, :, order])
    assert [call.name for call in areas.others] == [call.name for call in found.trace["vit.*"]]
    out = segmenter.model(segmenter.preprocess(fitting().image)[None])
    assert areas.colours == [class_colours(5)[i] for i in order]
    assert [areas.names[i] for i in areas.transparent_classes] == ["background"]
    best = out.logits[0].argmax(dim=0)
    for i, c in enumerate(order):
        for patch in (0, 7, 29):
            y, x = 4 * (patch // 6), 4 * (patch % 6)
            assert float(areas.coverage[i, patch]) == pytest.approx(
                float((best[y : y + 4, x : x + 4] == c).float().mean())
            )
    chance = out.logits[0].softmax(dim=0)[:, 4:8, 0:4].mean(dim=(1, 2))
    torch.testing.assert_close(areas.probabilities[:, 6], chance.sort(descending=True).values[:RANKS])
    assert [order[i] for i in areas.ranks[:, 6].tolist()] == chance.argsort(descending=True)[:RANKS].tolist()


def test_the_rollout_is_of_the_mean_of_the_patches():
    found = look(task(), fitting())
    patches = torch.cat([torch.zeros(1), torch.ones(30)])
    torch.testing.assert_close(found.heat.flatten(), found.targets.others.rollout(patches)[0, 1:])


@pytest.mark.parametrize(("size", "canvas"), [((31, 23), (20, 28)), ((61, 23), (20, 56)), ((23, 61), (56, 24))])
def test_larger_pictures_in_one_piece_say_how_predict_differs(size, canvas):
    segmenter, picture = task(), noise(*size)
    found = look(segmenter, picture)
    assert found.grid == (canvas[0] // 4, canvas[1] // 4)
    other = (segmenter.segment(picture) != found.prediction.mask).float().mean()
    assert f"in one piece of {canvas[1]} x {canvas[0]} pixels, and `predict` in tiles of 24 x 20" in found.notes[0]
    assert f"gives {other:.1%} of the pixels another class" in found.notes[0]
    assert found.prediction.mask.shape == size[::-1]
    height, width = found.targets.mask.shape
    assert abs(height / width - canvas[0] / canvas[1]) < 0.01
    beside = found.targets.mask == IGNORE_INDEX
    scaled = segmenter.preprocess.resize_shortest(picture.image)
    part = scaled.width * scaled.height / (canvas[0] * canvas[1])
    assert 1 - float(beside.float().mean()) == pytest.approx(part, abs=0.01)


def test_a_narrow_picture_leaves_some_of_the_canvas_empty():
    """As in predict: a square picture on a wide tile."""
    segmenter, picture = task(), noise(40, 40)
    found = look(segmenter, picture)
    assert found.grid == (5, 6)
    assert torch.equal(found.prediction.mask, segmenter.segment(picture))
    assert (found.targets.mask[:, -80:] == IGNORE_INDEX).all()
    assert (found.targets.mask[:, :420] != IGNORE_INDEX).all()
    assert (found.targets.probabilities[:, 5::6] == 0).all()
    assert (found.targets.coverage[:, 5::6] == 0).all()
    torch.testing.assert_close(found.targets.coverage.sum(dim=0)[:5], torch.ones(5))
    assert found.notes == ["the model's input is 24 x 20 pixels: the part beyond the image is padding, in grey"]
    assert found.picture.getpixel((found.picture.width - 1, 0)) == (128, 128, 128)


def test_parts_and_chances_by_hand():
    mask = torch.randint(0, 4, (6, 15), dtype=torch.uint8)
    mask[0, :7] = IGNORE_INDEX
    parts = patch_coverage(mask, 3, (2, 5))
    for i in range(3):
        for p in range(10):
            y, x = 3 * (p // 5), 3 * (p % 5)
            assert float(parts[i, p]) == pytest.approx(float((mask[y : y + 3, x : x + 3] == i).float().mean()))
    logits = torch.randn(7, 6, 15)
    chances = patch_probabilities(logits, 3, (5, 11))
    for p in range(10):
        y, x = 3 * (p // 5), 3 * (p % 5)
        within = logits.softmax(dim=0)[:, y : min(y + 3, 5), x : min(x + 3, 11)]
        expected = within.mean(dim=(1, 2)) if within.numel() else torch.zeros(7)
        torch.testing.assert_close(chances[:, p], expected)


def test_the_page_holds_them(tmp_path):
    found = look(task(), fitting())
    report = found.page(tmp_path / "look.html")
    text, said = report.path.read_text(encoding="utf-8"), content(report.path)["targets"]
    assert report.layers == report.layers_kept == 2, "the encoder's own attention is there as before"
    assert [text.count(f'id="targets-{name}"') for name in ("0", "1", "2", "mask", "likely")] == [1, 1, 0, 1, 1]
    assert said["kind"] == "classes"
    assert said["names"] == found.targets.names
    assert said["queries"] == said["count"] == 5
    assert said["pixels"] == pytest.approx(found.targets.pixels.tolist(), rel=1e-2)
    assert all(len(colour) == 7 for colour in said["colours"])
    assert "<b>sea</b>" not in text
    assert not any("classification head" in note for note in content(report.path)["notes"])


def test_planes_are_as_exact_as_16_bits():
    areas = look(task(), fitting()).targets
    planes = {name: zlib.decompress(data) for name, data in areas.planes().items()}
    assert planes["mask"] == bytes(areas.mask.flatten().tolist())
    likely = torch.frombuffer(bytearray(planes["likely"]), dtype=torch.uint8).view(RANKS, 3, 30).int()
    assert torch.equal(likely[:, 0], areas.ranks.int())
    chances = (likely[:, 1] + 256 * likely[:, 2]) / 65535
    torch.testing.assert_close(chances, areas.probabilities, atol=1 / 65535, rtol=0)


def test_json():
    found = look(task(), fitting())
    told = json.loads(json.dumps(found.to_dict()))["prediction"]
    assert told["classes"] == {name: round(share, 6) for name, share in found.prediction.areas.shares.items()}
    assert set(told["attention"]) == set(told["classes"])
    first = next(iter(told["classes"]))
    inside = [
        float(layer.attention_inside_region(found.targets.region_coverage)[0, 0]) for layer in found.targets.layers
    ]
    assert told["attention"][first]["attention_in_area"] == pytest.approx(inside, abs=1e-4)


def test_many_classes():
    found = look(task(classes=71), fitting())
    areas = found.targets
    assert len(areas) == MOST
    assert len(areas.names) == 71
    assert areas.layers[0].weights.shape[1] == MOST
    assert f"the page shows the maps of {MOST} of 71 classes" in found.notes
    size = sum(len(layer.packed()[0]) for layer in areas.layers) * 4 / 3
    fewer = areas.fitting(size / 3)
    assert 1 <= len(fewer) <= MOST // 2
    assert fewer.notes[-1] == f"the page shows the maps of {len(fewer)} of 71 classes, to stay small"
    assert len(fewer.names) == 71, "all can be in the mask"
    assert areas.fitting(size + 1) is areas


def test_one_class():
    found = look(task(classes=1), fitting())
    assert found.targets.pixels.tolist() == [1.0]
    assert found.targets.ranks.shape == (1, 30)


def test_size():
    finer = look(task(), fitting(), LookOptions(size=40))
    assert finer.grid == (10, 12)
    odd = look(task(), fitting(), LookOptions(size=43))
    assert odd.grid == (10, 12)
    assert "43 is not a multiple of the patch: 40 is used" in odd.notes[0]
    assert look(task(), fitting(), LookOptions(size=8)).grid == (2, 3), "no larger than the picture is at that size"
    with pytest.raises(SaccadeError, match="less than one patch"):
        look(task(), fitting(), LookOptions(size=3))
    long = Picture(Image.new("RGB", (1600, 100)), "long\n.png")
    with pytest.raises(SaccadeError, match=r"long.* makes 256 x 4096 patches.*use a smaller size"):
        look(task(), long, LookOptions(size=1024))


def test_weights_that_are_no_numbers():
    for name in ("pixel_head.bias.bias", "vit.blocks.0.attention.query.weight"):
        segmenter = task()
        with torch.no_grad():
            dict(segmenter.model.named_parameters())[name].fill_(float("nan"))
        with pytest.raises(SaccadeError, match="not a number: its weights are damaged"):
            look(segmenter, fitting())


@pytest.mark.parametrize("mean", [(0.25,), (0.1, 0.5, 0.9)])
def test_a_canvas_is_filled_with_the_mean(mean):
    preprocess = Preprocess((8, 12), "crop", shortest=8, mean=mean, std=(0.5,) * len(mean))
    canvas = resize_and_pad(preprocess, 4, Image.new("RGB", (9, 9), "white"), (8, 12))
    assert canvas.inputs.shape == (1, len(mean), 8, 12)
    assert (canvas.inputs[..., 8:] == 0).all()
    assert (canvas.inputs[..., :8] != 0).all()
    corner = canvas.shown.getpixel((canvas.shown.width - 1, 0))
    assert corner == (round(255 * mean[0]) if len(mean) == 1 else tuple(round(255 * x) for x in mean))
