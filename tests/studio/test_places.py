"""Pages of layers that attend in windows, in pyramids and by queries: their weights, and where they lie."""

import base64
import json
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from transformers import (
    DonutSwinConfig,
    DonutSwinModel,
    HieraConfig,
    HieraModel,
    LevitConfig,
    LevitModel,
    MobileViTConfig,
    MobileViTModel,
    PvtV2Config,
    PvtV2Model,
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SegformerImageProcessorPil,
    SegformerModel,
    Siglip2Config,
    Siglip2ImageProcessorPil,
    Siglip2Model,
    SiglipVisionConfig,
    SiglipVisionModel,
    SwinConfig,
    SwinForImageClassification,
    SwinModel,
    Swinv2Config,
    Swinv2Model,
    VitDetConfig,
    VitDetModel,
    ViTImageProcessorPil,
)

import saccade
from saccade.data import Picture
from saccade.errors import SaccadeError
from saccade.lens import watch
from saccade.studio.look import look
from saccade.studio.patches.features import record_features
from saccade.studio.places.calls import placed_calls
from saccade.studio.places.follow import PlaceFollower
from saccade.studio.places.packing import NONE, STEP, PlacedLayer
from saccade.studio.places.patch_lists import patch_places
from saccade.studio.places.tensor_places import Grids
from saccade.studio.views import LookOptions
from saccade.studio.views.places import PlacesView
from saccade.tasks import load

from .node import evaluate, needs_node, put_modules

SIDE = 64
PICTURE = Picture(Image.effect_mandelbrot((70, 60), (-2, -1, 1, 1), 9).convert("RGB"), "picture")
SWIN = {"image_size": SIDE, "patch_size": 4, "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 4], "window_size": 5}
STAGES = {"hidden_sizes": [8, 16], "depths": [1, 2], "sr_ratios": [4, 2], "num_attention_heads": [1, 2]}
SEGFORMER = STAGES | {"num_encoder_blocks": 2, "patch_sizes": [7, 3], "strides": [4, 2], "mlp_ratios": [2, 2]}
MODELS = {
    "swin": lambda: SwinModel(SwinConfig(**SWIN)),
    "swinv2": lambda: Swinv2Model(Swinv2Config(**SWIN)),
    "donut": lambda: DonutSwinModel(DonutSwinConfig(**SWIN)),
    "segformer": lambda: SegformerModel(SegformerConfig(**SEGFORMER)),
    "pvt_v2": lambda: PvtV2Model(PvtV2Config(**{**SEGFORMER, "hidden_sizes": [8, 16]}, image_size=SIDE)),
    "hiera": lambda: HieraModel(
        HieraConfig(image_size=[SIDE, SIDE], embed_dim=8, num_heads=[1, 2, 2, 4], depths=[1, 2, 1, 1])
    ),
    "mobilevit": lambda: MobileViTModel(
        MobileViTConfig(image_size=SIDE, hidden_sizes=[16, 20, 24], neck_hidden_sizes=[8, 8, 12, 12, 16, 16, 24])
    ),
    "levit": lambda: LevitModel(
        LevitConfig(image_size=2 * SIDE, hidden_sizes=[16, 24, 32], num_attention_heads=[2, 3, 4], key_dim=[8] * 3)
    ),
    "vitdet": lambda: VitDetModel(
        VitDetConfig(
            hidden_size=16, num_hidden_layers=3, num_attention_heads=2, image_size=SIDE, pretrain_image_size=SIDE,
            patch_size=8, window_size=3, window_block_indices=[0, 2], use_relative_position_embeddings=True,
        )
    ),
}  # fmt: skip


def liven(model):
    """Weights under which maps have structure."""
    generator = torch.Generator().manual_seed(3)
    for p in model.parameters():
        if p.ndim > 1:
            p.data = torch.randn(p.shape, generator=generator) / p[0].numel() ** 0.5
    return model.eval()


def followed(model, pixels):
    follower = PlaceFollower(pixels)
    with torch.no_grad(), follower, watch(model) as trace:
        model(pixels)
    placed, left = placed_calls(trace, follower.table)
    assert left == {}
    return placed


def unpacked(layer):
    """Targets, sources and weights from the bytes of a page."""
    data, meta = layer.packed()
    data, windows, heads = zlib.decompress(data), meta["windows"], meta["heads"]
    n, m = meta["targets"][0], meta["sources"][0]
    cells = np.frombuffer(data, dtype="<i4", count=windows * (n + m))
    low, high = np.frombuffer(data[4 * len(cells) :], dtype=np.uint8).reshape(2, windows, heads, n, m).astype(int)
    codes = high * 256 + low
    weights = np.where(codes == NONE, 0.0, np.exp(-codes * STEP))
    return cells[: windows * n].reshape(windows, n), cells[windows * n :].reshape(windows, m), torch.tensor(weights)


def by_itself(model):
    """The model with attention that adds nothing, and convolutions that see no more than the cells of their stride: a
    token depends on the pixels of its own cell alone, through all layers."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            for axis, (stride, pad) in enumerate(zip(module.stride, module.padding, strict=True), start=2):
                taps = torch.arange(module.weight.shape[axis])
                keep = (taps >= pad) & (taps < pad + stride)
                module.weight.data *= keep.view([-1 if i == axis else 1 for i in range(4)])
        if "att" in name and name.rpartition(".")[2] in ("proj", "o_proj", "dense", "projection"):
            for p in module.parameters():
                p.data.zero_()
    return model


@pytest.mark.parametrize("name", [name for name in MODELS if name != "levit"])  # its stages have attention alone
def test_a_place_is_where_its_pixels_are(name):
    """Pixels of another colour in one cell are found in one target of each layer."""
    model = by_itself(liven(MODELS[name]()))
    pixels = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    plain = followed(model, pixels)
    grid = plain[0].targets.grid
    for row, column in ((0, 0), (grid[0] - 1, 2), (3, grid[1] - 1), (5, 4)):
        size = SIDE // grid[0]
        other = pixels.clone()
        other[..., row * size : (row + 1) * size, column * size : (column + 1) * size] += 2
        for before, after in zip(plain, followed(model, other), strict=True):
            rows, columns = before.targets.grid
            cell = (row * rows // grid[0]) * columns + column * columns // grid[1]
            assert torch.equal(before.targets.cells, after.targets.cells)
            moved = torch.stack(
                [(before.call.q - after.call.q)[s[0]].abs().amax(-1) for s in before.slices]
            )  # of the first head of each window
            assert before.targets.cells[moved > 1e-3 * moved.max()].tolist() == [cell], before.name


@pytest.mark.parametrize("name", MODELS)
def test_weights_on_the_page_are_those_of_the_model(name):
    model, side = liven(MODELS[name]()), 2 * SIDE if name == "levit" else SIDE
    pixels = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    for placed in followed(model, pixels):
        targets, sources, weights = unpacked(PlacedLayer(placed))
        exact = placed.call.weights()
        real = targets >= 0
        assert sorted(targets[real]) == list(range(placed.targets.grid[0] * placed.targets.grid[1]))
        for w, slices in enumerate(placed.slices):
            for h, (b, head) in enumerate(slices):
                expected = exact[b, head][real[w]].double()
                torch.testing.assert_close(weights[w, h][real[w]], expected, rtol=0.0051, atol=1e-12)
        assert (sources[sources >= 0] < placed.sources.grid[0] * placed.sources.grid[1]).all()


def test_swins_windows_are_those_that_the_lens_knows():
    model = liven(MODELS["swin"]())
    for placed in followed(model, torch.randn(1, 3, SIDE, SIDE)):
        windows = placed.call.windows
        whole = placed.call.weights()
        targets, sources = placed.targets.cells, placed.sources.cells
        for row, column in ((0, 0), (7, 3), (2, 6)):
            cell = row * placed.targets.grid[1] + column
            w, i = (targets == cell).nonzero()[0].tolist()
            found = torch.zeros(len(placed.slices[0]), placed.sources.grid[0] * placed.sources.grid[1])
            real = sources[w] >= 0
            found[:, sources[w][real]] = whole[w, :, i, real]
            torch.testing.assert_close(found.view(-1, *placed.sources.grid), placed.call.at(0, row, column))
        assert windows.grid == (1, *placed.targets.grid)


@pytest.mark.parametrize("name", ["swin", "hiera"])
def test_features_of_places_are_those_of_the_model(name):
    """The states that transformers itself lays out as a map after the last stage: windows undone, units rolled back."""
    model = liven(MODELS[name]())
    pixels = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    found = saccade.look(model, pixels)
    features = found.targets.features
    assert list(features.layers) == found.targets.names
    assert not features.normed  # stages have widths of their own
    with torch.no_grad():
        stage = model(pixels, output_hidden_states=True).reshaped_hidden_states[-1]
    stage = stage if name == "hiera" else stage.movedim(1, -1)
    call = found.targets.names[-1]
    assert features.grids[call] == stage.shape[1:3]
    torch.testing.assert_close(features.layers[call], stage[0].flatten(0, 1))


def test_features_that_were_written_over_are_left_out():
    class Block(nn.Module):
        def forward(self, x):
            return x.add_(1)

    model = nn.Sequential(Block(), Block())
    with record_features(model) as recorder:
        model(torch.zeros(1, 5, 3))
    assert list(recorder.valid_outputs()) == ["1"]


def test_maps_of_eager_attention(tmp_path):
    """What transformers itself returns of Swin's windows, at the chosen place."""
    torch.manual_seed(0)
    config = SwinConfig(**SWIN, num_labels=3)
    liven(SwinForImageClassification(config)).save_pretrained(tmp_path)
    ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(tmp_path)
    found = look(load(tmp_path), PICTURE)
    assert isinstance(found, PlacesView)
    assert (found.grid, len(found.targets), len(found.predictions)) == ((16, 16), 4, 3)
    model = found.task.model
    model.set_attn_implementation("eager")
    with torch.no_grad():
        out = model(**found.task.vision.prepare(PICTURE.image), output_attentions=True)
    assert len(out.attentions) == 2  # of the last block of each stage
    for layer, eager in zip(found.targets.layers[1::2], out.attentions, strict=True):
        targets, _, weights = unpacked(layer)
        real = torch.tensor(targets >= 0)[:, None, :].expand(weights.shape[:3])
        torch.testing.assert_close(weights[real], eager[real].double(), rtol=0.006, atol=1e-7)
    report = found.page(tmp_path / "page.html")
    assert report.bytes < 1_000_000
    assert found.heat.shape == (8, 8)
    assert found.heat.sum() > 0
    assert "class 0" in str(found)


def test_what_is_not_on_the_page_is_named(tmp_path):
    config = SiglipVisionConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
                                image_size=32, patch_size=8)  # fmt: skip
    liven(SiglipVisionModel(config)).save_pretrained(tmp_path)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    found = look(load(tmp_path), PICTURE)
    assert len(found.trace) == 2
    assert [layer.name for layer in found.targets.layers] == ["head.attention"]  # a learned query looks at all patches
    assert (found.targets.layers[0].targets.grid, found.targets.layers[0].sources.grid) == (None, (4, 4))
    only = look(load(tmp_path), PICTURE, LookOptions(module="*layers.1*"))
    assert (len(only.trace), only.targets) == (1, None)
    with pytest.raises(SaccadeError, match=r"--module nothing\*: no layer of .* has such a name; found encoder"):
        look(load(tmp_path), PICTURE, LookOptions(module="nothing*"))


def test_lists_of_patches_are_placed_by_their_processor(tmp_path):
    part = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    vision = part | {"num_patches": 64, "patch_size": 8}
    config = Siglip2Config(vision_config=vision, text_config=part | {"vocab_size": 60})
    liven(Siglip2Model(config)).save_pretrained(tmp_path)
    Siglip2ImageProcessorPil(patch_size=8, max_num_patches=50).save_pretrained(tmp_path)
    found = look(load(tmp_path), PICTURE)
    assert (found.grid, found.pixels) == ((6, 7), (48, 56))
    expected = torch.tensor([*range(42), *[-2] * 8])  # eight of padding
    assert [layer.name for layer in found.targets.layers][-1] == "head.attention"
    for layer in found.targets.layers:
        assert torch.equal(layer.sources.cells[0], expected)
        assert (layer.weights[..., -8:] == 0).all()


@pytest.mark.parametrize("normalized", [False, True])  # by the mean and the spread of each picture
@pytest.mark.parametrize("change", ["order", "twice", "cropped"])
def test_patches_in_any_order(change, normalized):
    order = torch.randperm(12)
    order[0] = order[1] if change == "twice" else order[0]
    numbers = torch.rand(1, 12, 2)  # that are not of the picture

    def prepare(picture):
        picture = picture.crop((20, 10, 60, 50)) if change == "cropped" else picture
        pixels = torch.tensor(np.asarray(picture.resize((40, 30))), dtype=torch.float32) / 200 - 0.3
        patches = pixels.unflatten(1, (4, 10)).unflatten(0, (3, 10)).transpose(1, 2).flatten(2).flatten(0, 1)
        patches = patches.flatten(1)[order][None]
        if normalized:
            patches = torch.cat([numbers, (patches - patches.mean()) / patches.std().clamp_min(0.01)], -1)
        return {"pixel_values": patches}

    grids, pixels = Grids(), prepare(PICTURE.image)["pixel_values"]
    if change == "order":
        places, grid = patch_places(prepare, PICTURE.image, pixels, grids)
        assert grid == (3, 4)
        assert torch.equal(places[0, :, -1].long() - int(grids.codes(3, 4)[0, 0]), order)
        assert bool((places[0, :, :2] < 0).all()) == normalized
    else:
        with pytest.raises(SaccadeError, match=r"evenly|no whole grid"):
            patch_places(prepare, PICTURE.image, pixels, grids)


def test_segmenters_of_transformers_have_pages(tmp_path):
    liven(SegformerForSemanticSegmentation(SegformerConfig(**SEGFORMER, num_labels=3))).save_pretrained(tmp_path)
    SegformerImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(tmp_path)
    found = look(load(tmp_path), PICTURE)
    sides = [(layer.targets.grid, layer.sources.grid) for layer in found.targets.layers]
    assert sides == [((16, 16), (4, 4)), ((8, 8), (4, 4)), ((8, 8), (4, 4))]
    assert found.prediction_text.startswith("class ")
    assert found.page(tmp_path / "page.html").notes


def test_a_page_that_grows_too_large_joins_places():
    model = liven(MODELS["vitdet"]())
    placed = followed(model, torch.randn(1, 3, SIDE, SIDE))
    windowed, whole = PlacedLayer(placed[0]), PlacedLayer(placed[1])
    assert windowed.coarser() is None  # windows of 3 x 3 cannot be cut in pairs
    joined = whole.coarser()
    exact = whole.weights.unflatten(2, (4, 2, 4, 2)).mean(dim=(3, 5)).flatten(2, 3)
    exact = exact.unflatten(3, (4, 2, 4, 2)).sum(dim=(4, 6)).flatten(3, 4)
    torch.testing.assert_close(joined.weights, exact)
    assert (joined.weight_count, joined.targets.grid, joined.meta()["joined"]) == (
        whole.weight_count // 16,
        (4, 4),
        [2, 2],
    )


@needs_node
@pytest.mark.parametrize("name", ["swin", "segformer", "hiera"])
def test_the_page_computes_the_same_weights(name, tmp_path):
    model = liven(MODELS[name]())
    placed = followed(model, torch.randn(1, 3, SIDE, SIDE))
    layers = [PlacedLayer(each) for each in placed]
    packed = [layer.packed() for layer in layers]
    grid = placed[0].targets.grid
    page = {"grid": grid, "targets": {"layers": [meta for _, meta in packed], "tokens": []}}
    data = [base64.b64encode(some).decode() for some, _ in packed]
    put_modules(tmp_path)
    (tmp_path / "input.json").write_text(json.dumps({"page": page, "data": data}))
    program = """
      import { readFileSync } from 'fs';
      import { PlacesLook } from './placeslook.js';
      const { page, data } = JSON.parse(readFileSync('input.json'));
      const look = new PlacesLook(page, (l) => data[l]);
      const out = [];
      for (let l = 0; l < data.length; l++) {
        await look.load(l);
        for (const token of [0, 37, 100]) {
          look.layer = l;
          const outside = [...Array(page.grid[0]).keys()].map(look.hidden(l, token, 'row'));
          const [row, column] = ['row', 'column'].map((kind) => [...look.weights(l, 0, token, kind)]);
          out.push([l, token, row, column, outside]);
        }
      }
      console.log(JSON.stringify(out));"""
    for number, token, row, column, outside in evaluate(tmp_path, program):
        layer, (y, x) = layers[number], divmod(token, grid[1])
        targets, sources = layer.targets, layer.sources
        cell = (y * targets.grid[0] // grid[0]) * targets.grid[1] + x * targets.grid[1] // grid[1]
        w, i = (targets.cells == cell).nonzero()[0].tolist()
        expected = torch.zeros(sources.grid[0] * sources.grid[1])
        real = sources.cells[w] >= 0
        expected[sources.cells[w][real]] = layer.weights[w, 0, i, real]
        torch.testing.assert_close(torch.tensor(row), expected, rtol=0.006, atol=1e-7)
        seen = set(sources.cells[w].tolist())
        assert outside == [i not in seen for i in range(len(outside))]
        source = (y * sources.grid[0] // grid[0]) * sources.grid[1] + x * sources.grid[1] // grid[1]
        expected = torch.zeros(targets.grid[0] * targets.grid[1])
        for v, j in (sources.cells == source).nonzero().tolist():
            own = targets.cells[v] >= 0
            expected[targets.cells[v][own]] = layer.weights[v, 0, own, j]
        torch.testing.assert_close(torch.tensor(column), expected, rtol=0.006, atol=1e-7)
