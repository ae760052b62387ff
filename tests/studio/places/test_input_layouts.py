"""Pictures that a model takes in parts, or as patches: every token is drawn where its own pixels are."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from transformers import EfficientLoFTRConfig, EfficientLoFTRForKeypointMatching, EfficientLoFTRImageProcessorPil

from saccade.data import Picture
from saccade.errors import DataError, SaccadeError
from saccade.language import korean
from saccade.ops import attention_weights
from saccade.studio.any_model import look
from saccade.studio.look import look as look_with_task
from saccade.studio.places.input_layouts import possible_input_layouts
from saccade.studio.views import LookOptions
from saccade.tasks import load

SIDE, PATCH, WIDTH = 21, 7, 13
PICTURE = Image.effect_mandelbrot((84, 42), (-2, -1, 1, 1), 9).convert("RGB")


class Tiled(nn.Module):
    """One attention in each tile (1 t 3 y x) for itself, and one over the patches of all tiles; or across two."""

    def __init__(self, pair=False):
        super().__init__()
        self.pair = pair
        self.embed = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.within, self.over = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(WIDTH, 2 * WIDTH)

    def forward(self, pixel_values):
        x = self.embed(pixel_values.flatten(0, 1)).flatten(2).mT
        q, k = self.within(x)[:, None].chunk(2, -1)
        self.inner = q, k
        if self.pair:
            return F.scaled_dot_product_attention(q, k.flip(0), x[:, None].flip(0))
        x = F.scaled_dot_product_attention(q, k, x[:, None])[:, 0] + x
        q, k = self.over(x.flatten(0, 1))[None, None].chunk(2, -1)
        self.outer = q, k
        return F.scaled_dot_product_attention(q, k, x.flatten(0, 1)[None, None])


def tiles(image, count=3, blank=False):
    """Strips from left to right, and one without pixels."""
    pixels = torch.from_numpy(np.array(image.resize((count * SIDE, SIDE)))).permute(2, 0, 1) / 255
    parts = [*pixels.split(SIDE, dim=2), *[torch.zeros(3, SIDE, SIDE)] * blank]
    return {"pixel_values": torch.stack(parts)[None]}


def cells(part, across=2):
    """The cells of a part, among those of all parts in rows of two."""
    y, x = torch.meshgrid(torch.arange(3), torch.arange(3), indexing="ij")
    return ((part // across * 3 + y) * 3 * across + part % across * 3 + x).flatten()


@pytest.mark.parametrize("blank", [False, True])
def test_tiles_are_drawn_side_by_side(blank, tmp_path):
    torch.manual_seed(2)
    model = Tiled()
    view = look(model, PICTURE, preprocess=lambda image: tiles(image, blank=blank))
    assert (view.grid, view.pixels) == ((6, 6), (2 * SIDE, 2 * SIDE))  # the fourth place is empty
    within, over = view.targets.layers
    assert torch.equal(within.targets.cells, torch.stack([cells(part) for part in range(3)]))
    expected = attention_weights(*model.inner)[:3]
    torch.testing.assert_close(within.weights, expected, rtol=0, atol=1e-6)
    order = torch.cat([cells(part) for part in range(3)])
    assert torch.equal(over.targets.cells[0, : len(order)], order)
    torch.testing.assert_close(over.weights[0, 0, : len(order)], attention_weights(*model.outer)[0, 0, : len(order)])
    how = f"the model takes the image as {3 + blank} parts of 21 x 21 pixels, drawn here row by row"
    assert view.seen.how == how + "; 1 of them are padding, and left out" * blank
    assert "parts" not in korean(view.seen.how, {})
    assert how in str(view)
    left, right = (np.asarray(view.picture.resize((42, 42)), float)[:21, at : at + 21] for at in (0, 21))
    strips = [np.asarray(PICTURE.resize((63, 21)), float)[:, at : at + 21] for at in (0, 21)]
    assert max(np.abs(left - strips[0]).mean(), np.abs(right - strips[1]).mean()) < 12
    view.save(tmp_path / "page.html")


def test_two_pictures_that_attend_to_each_other():
    torch.manual_seed(3)
    model, other = Tiled(pair=True), PICTURE.transpose(Image.Transpose.FLIP_LEFT_RIGHT)

    def prepare(one, two):
        return {"pixel_values": torch.cat([tiles(each, 1)["pixel_values"] for each in (one, two)], 1)}

    view = look(model, PICTURE, preprocess=prepare, other=other)
    assert (view.name, view.grid) == ("picture · picture", (3, 6))
    shown = np.asarray(view.picture.resize((2 * SIDE, SIDE), Image.Resampling.BOX), float)
    assert np.abs(shown[:, :SIDE] - shown[:, : SIDE - 1 : -1]).mean() < 6
    layer = view.targets.layers[0]
    assert torch.equal(layer.targets.cells, torch.stack([cells(0), cells(1)]))
    assert torch.equal(layer.sources.cells, torch.stack([cells(1), cells(0)]))
    q, k = model.inner
    torch.testing.assert_close(layer.weights, attention_weights(q, k.flip(0)), rtol=0, atol=1e-6)


def test_a_model_of_transformers_that_takes_pairs(tmp_path):
    torch.manual_seed(4)
    stages = {"stage_num_blocks": [1] * 4, "out_features": [8, 8, 16, 32], "hidden_size": 32}
    config = EfficientLoFTRConfig(**stages, num_attention_layers=1, num_attention_heads=8, fine_matching_slice_dim=4)
    EfficientLoFTRForKeypointMatching(config).save_pretrained(tmp_path)
    EfficientLoFTRImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(tmp_path)
    task, one = load(tmp_path), Picture(PICTURE, "one.png")
    with pytest.raises(DataError, match="give a second picture"):
        look_with_task(task, one)
    view = look_with_task(task, one, LookOptions(other=Picture(PICTURE.rotate(180), "two.png")))
    crossed = [layer for layer in view.targets.layers if "cross" in layer.name]
    assert (view.name, view.grid, len(crossed)) == ("one.png · two.png", (2, 4), 2)
    sides = [{int(cell) % 4 // 2 for cell in side.cells.flatten()} for side in (crossed[0].targets, crossed[0].sources)]
    assert sorted(map(tuple, sides)) == [(0,), (1,)]  # from one picture to the other
    assert crossed[0].meta()["places"] == [4, 4]  # of 8
    assert view.seen.how == "the model takes 2 images of 64 x 64 pixels together, drawn here row by row"
    assert view.prediction_text == "the page shows what it attends to, not the matches that it finds"
    assert "mean of all places, to 4 of 8 places: dark" in str(view)


class OfPatches(nn.Module):
    """Attention over a list of patches (n 3 y x), embedded one by one."""

    def __init__(self):
        super().__init__()
        self.embed, self.qk = nn.Conv2d(3, WIDTH, PATCH, PATCH), nn.Linear(WIDTH, 2 * WIDTH)

    def forward(self, pixel_values):
        x = self.embed(pixel_values).flatten(1)
        q, k = self.qk(x)[None, None].chunk(2, -1)
        return F.scaled_dot_product_attention(q, k, x[None, None])


def test_patches_that_are_pictures_of_their_own():
    order = torch.randperm(6, generator=torch.Generator().manual_seed(4))

    def prepare(image):
        pixels = torch.from_numpy(np.array(image.resize((3 * PATCH, 2 * PATCH)))).permute(2, 0, 1) / 255
        cut = pixels.unflatten(2, (3, PATCH)).unflatten(1, (2, PATCH)).permute(1, 3, 0, 2, 4).flatten(0, 1)
        return {"pixel_values": cut[order]}

    view = look(OfPatches(), PICTURE, preprocess=prepare)
    assert view.grid == (2, 3)
    assert torch.equal(view.targets.layers[0].targets.cells[0], order)


class Below(nn.Module):
    """A picture below another one, as one of twice the height."""

    def __init__(self):
        super().__init__()
        self.embed, self.qk = nn.Conv2d(3, WIDTH, PATCH, PATCH), nn.Linear(WIDTH, 2 * WIDTH)

    def forward(self, pixel_values):
        x = self.embed(torch.cat([torch.full_like(pixel_values, 0.5), pixel_values], 2))
        q, k = self.qk(x.flatten(2).mT)[:, None].chunk(2, -1)
        return F.scaled_dot_product_attention(q, k, q)


def test_a_picture_below_another_one():
    view = look(Below(), PICTURE, preprocess=lambda image: {"pixel_values": tiles(image, 1)["pixel_values"][0]})
    assert view.grid == (3, 3)
    assert view.targets.layers[0].targets.cells[0].tolist() == [*[-1] * 9, *range(9)]


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (torch.rand(1, 12, 10), "the same for every picture"),
        (torch.zeros(1, 2, 3, 7, 7), "whose places are not known"),
        (torch.rand(2, 12, 10), "no list of patches of one picture"),
        (torch.rand(1, 100, 3, 7, 7), "no list of patches"),
    ],
)
def test_what_cannot_be_placed_is_refused(pixels, said):
    with pytest.raises(SaccadeError, match=said):
        next(possible_input_layouts(lambda image: {"pixel_values": pixels}, PICTURE, pixels, "model"))
