"""The ViT: tokens, sizes, positions, and that it is one function of one picture."""

import copy
import math

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from saccade.errors import SaccadeError
from saccade.models import PRESETS, ViT, ViTConfig, preset
from saccade.ops import interpolate

BLOCK = {"width": 12, "heads": 3, "hidden": 7}
EVERYTHING = {
    "positions": ("learned", "sincos", "rotary"),
    "grid": (3, 5),
    "registers": 2,
    "window": 6,
    "stem_norm": True,
    "block": {**BLOCK, "layer_scale": True, "drop_path": 0.1},
}
CLASSIC = {"block": {**BLOCK, "norm": "layer", "bias": True, "qk_norm": False}}
VARIANTS = {"plain": {}, "everything": EVERYTHING, "classic": CLASSIC, "no prefix": {"cls": False}}


def config(**changes) -> ViTConfig:
    return ViTConfig.model_validate({"block": BLOCK, "depth": 2, "patch": 4, "grid": (3, 5)} | changes)


def vit(**changes) -> ViT:
    model = ViT(config(**changes)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)  # nothing is left at 0 or 1, where mistakes hide
    return model


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_and_runs(name):
    with torch.device("meta"):  # shapes without memory
        model = ViT(preset(name))
    c = model.config
    rows, columns = 3, 5
    picture = torch.empty(2, 3, rows * c.patch + c.patch - 1, columns * c.patch, device="meta")
    assert model(picture).shape == (2, model.prefix + rows * columns, c.block.width)


@pytest.mark.parametrize(
    ("name", "millions"), [("vit-s/16", 21.67), ("vit-b/16", 85.80), ("vit-b/32", 87.45), ("vit-l/16", 303.30)]
)
def test_classic_presets_have_the_published_number_of_parameters(name, millions):
    """As timm counts vit_*_patch*_224 without its head."""
    with torch.device("meta"):
        parameters = sum(p.numel() for p in ViT(preset(name)).parameters())
    assert round(parameters / 1e6, 2) == millions


def test_a_preset_with_changes():
    changed = preset("vit-s/16", depth=3, block={"hidden": 100})
    assert (changed.depth, changed.block.hidden, changed.block.width, changed.patch) == (3, 100, 384, 16)
    assert preset("vit-s/16").depth == 12
    assert preset("vit-s/16").block.hidden == 1536


def test_a_preset_that_does_not_exist():
    with pytest.raises(SaccadeError, match=r"'vit-xxl'; there are .*vit-b/16"):
        preset("vit-xxl")
    with pytest.raises(ValidationError, match="dropout"):
        preset("tiny", dropout=0.1)
    with pytest.raises(ValidationError, match=r"block\.dropout"):
        preset("tiny", block={"dropout": 0.1})


@pytest.mark.parametrize(("cls", "registers"), [(True, 0), (True, 3), (False, 0), (False, 2)])
@pytest.mark.parametrize("positions", [(), ("learned",), ("sincos",), ("rotary",), ("learned", "rotary")])
@pytest.mark.parametrize(
    ("patch", "height", "width"), [(1, 5, 7), (4, 13, 23), (4, 4, 31), (16, 37, 83), (32, 65, 101)]
)
def test_one_token_a_patch_after_the_prefix(patch, height, width, positions, cls, registers):
    model = vit(patch=patch, positions=positions, cls=cls, registers=registers, block={**BLOCK, "heads": 2})
    picture = torch.randn(2, 3, height, width)
    assert model.prefix == cls + registers
    assert model.grid(picture) == (height // patch, width // patch)
    assert model(picture).shape == (2, model.prefix + (height // patch) * (width // patch), 12)


def test_learned_positions_are_interpolated_as_configured():
    picture = torch.randn(1, 3, 28, 36)  # a grid of 7 x 9, made from 3 x 5
    for antialias, offset in [(False, 0.0), (True, 0.0), (False, 0.1)]:
        model = vit(antialias=antialias, offset=offset)
        seen = []
        model.blocks[0].register_forward_pre_hook(lambda module, args, seen=seen: seen.append(args[0]))
        model(picture)
        table = interpolate(model.learned.table, (3, 5), (7, 9), antialias, offset)
        torch.testing.assert_close(seen[0][:, 1:], model.embed(picture) + table)


def test_parts_that_can_be_left_out():
    names = set(vit(patch_bias=False, final_norm=False).state_dict())
    assert set(vit(stem_norm=True).state_dict()) - names == {
        "embed.project.bias",
        "final_norm.weight",
        "stem_norm.weight",
    }


def test_rotary_positions_need_pairs():
    with pytest.raises(SaccadeError, match="head width must be even, not 3"):
        vit(positions=("rotary",), block={"width": 12, "heads": 4, "hidden": 7})(torch.randn(1, 3, 8, 8))


def test_forward_is_the_figure():
    """Patches, positions, prefix, blocks, norm, put together again from the model's own parts."""
    model, picture = vit(**EVERYTHING), torch.randn(2, 3, 13, 23)
    grid = (3, 5)
    patches = model.embed(picture) + model.learned.table + model.sincos(grid)
    x = model.stem_norm(torch.cat([model.prefix_tokens.repeat(2, 1, 1), patches], dim=1))
    for block in model.blocks:
        x = block(x, angles=model.rotary(grid))
    torch.testing.assert_close(model(picture), model.final_norm(x))


@pytest.mark.parametrize("name", VARIANTS)
def test_the_same_again(name):
    model, picture = vit(**VARIANTS[name]), torch.randn(2, 3, 13, 23)
    assert torch.equal(model(picture), model(picture))
    assert torch.equal(copy.deepcopy(model)(picture), model(picture))


@pytest.mark.parametrize("name", VARIANTS)
@torch.no_grad()
def test_alone_and_in_a_batch(name):
    model, pictures = vit(**VARIANTS[name]), torch.randn(5, 3, 13, 29)
    together = model(pictures)
    for i in range(5):
        torch.testing.assert_close(model(pictures[[i]])[0], together[i], atol=1e-5, rtol=1e-5)
    backwards = model(pictures.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2))  # channels last in memory
    torch.testing.assert_close(backwards, together, atol=1e-5, rtol=1e-5)
    assert model(pictures[:0]).shape == (0, *together.shape[1:])


@torch.no_grad()
def test_without_positions_places_do_not_matter():
    """Attention sees a set: moving patches moves their tokens. Any kind of position breaks that."""
    picture = torch.randn(1, 3, 12, 20)
    mirrored = torch.cat(picture.split(4, dim=3)[::-1], dim=3)
    for positions in [(), ("learned",), ("sincos",), ("rotary",)]:
        model = vit(positions=positions, block={**BLOCK, "heads": 2})
        tokens, moved = (model(p)[:, model.prefix :].view(3, 5, 12) for p in (picture, mirrored))
        assert torch.allclose(moved.flip(1), tokens, atol=1e-4) == (positions == ()), positions


@torch.no_grad()
def test_patches_are_row_by_row_after_the_prefix():
    """A change of one patch, seen before any attention, is seen at its own token."""
    model = vit(registers=2)
    picture = torch.randn(1, 3, 12, 20)
    changed = picture.clone()
    changed[:, :, 4:8, 12:16] += 1  # row 1, column 3
    seen = []
    model.blocks[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    model(picture), model(changed)
    assert (seen[0] != seen[1]).any(dim=-1)[0].nonzero().flatten().tolist() == [model.prefix + 1 * 5 + 3]


@torch.no_grad()
def test_nan_is_seen_where_it_came_from_and_nowhere_else_in_the_batch():
    model, pictures = vit(**EVERYTHING), torch.randn(2, 3, 12, 20)
    pictures[0, 0, 5, 5] = math.nan
    tokens = model(pictures)
    assert tokens[0].isnan().any(dim=-1).all()
    assert tokens[1].isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("size", [(13, 23), (16, 16)])
def test_float32_is_exact(size):
    model, picture = vit(**EVERYTHING), torch.randn(2, 3, *size)
    exact = copy.deepcopy(model).double()(picture.double())
    torch.testing.assert_close(model(picture).double(), exact, atol=2e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    model, picture = ViT(config(**EVERYTHING)).eval(), torch.randn(2, 3, 17, 23)
    exact = model(picture)
    with torch.autocast("cpu", dtype=dtype):
        assert (model(picture).float() - exact).abs().mean() < 0.02
    halved = copy.deepcopy(model).to(dtype)(picture.to(dtype))
    assert halved.dtype == dtype
    assert (halved.float() - exact).abs().mean() < 0.02


def test_drop_path_deepens():
    model = ViT(config(depth=4, block={**BLOCK, "drop_path": 0.3}))
    for i, block in enumerate(model.blocks):
        assert block.attention_branch.drop_path == block.mlp_branch.drop_path == pytest.approx(0.1 * i)
    assert ViT(config(depth=1, block={**BLOCK, "drop_path": 0.3})).blocks[0].mlp_branch.drop_path == 0


@pytest.mark.parametrize("name", VARIANTS)
def test_every_weight_learns(name):
    model = vit(**VARIANTS[name]).train()
    model(torch.randn(2, 3, 13, 29)).square().sum().backward()
    for each, parameter in model.named_parameters():
        assert parameter.grad is not None, each
        # A bias of keys that are not normalised adds the same to every score of a row, which softmax ignores.
        ignored = name == "classic" and each.endswith("key.bias")
        if parameter.numel() and not ignored:
            assert parameter.grad.abs().max() > 1e-5, each


@pytest.mark.parametrize("name", VARIANTS)
def test_state_round_trip(name, tmp_path):
    model, picture = vit(**VARIANTS[name]), torch.randn(1, 3, 13, 29)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    with torch.device("meta"):
        other = ViT(ViTConfig.model_validate_json(model.config.model_dump_json()))
    other = other.to_empty(device="cpu").eval()
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(other(picture), model(picture))


@pytest.mark.parametrize("name", VARIANTS)
def test_config_round_trip(name):
    c = config(**VARIANTS[name])
    assert ViTConfig.model_validate_json(c.model_dump_json()) == c
    assert ViTConfig.model_validate(c.model_dump()) == c


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"dropout": 0.1}, "dropout"),
        ({"block": {**BLOCK, "dropout": 0.1}}, r"block\.dropout"),
        ({"depth": 0}, "depth"),
        ({"patch": -4}, "patch"),
        ({"registers": -1}, "registers"),
        ({"positions": ("absolute",)}, "positions"),
        ({"grid": (3, 5, 7)}, "grid"),
        ({"grid": (3, 0)}, "grid"),
        ({"grid": (1025, 3)}, "grid"),
        ({"depth": 1001}, "depth"),
        ({"patch": 1025}, "patch"),
        ({"window": 0}, "window"),
        ({"channels": 1025}, "channels"),
        ({"registers": 1025}, "registers"),
        ({"offset": math.nan}, "offset"),
        ({"block": {"width": 12}}, r"block\.heads"),
    ],
)
def test_config_names_the_field(changes, field):
    with pytest.raises(ValidationError, match=field):
        config(**changes)


def test_configs_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        config().depth = 3


@torch.no_grad()
@pytest.mark.parametrize("name", VARIANTS)
def test_exported_with_any_batch(name):
    model = vit(**VARIANTS[name])
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(
        model, (torch.randn(2, 3, 13, 29),), dynamic_shapes=({0: batch},), strict=False
    ).module()
    for size in (1, 2, 5):
        pictures = torch.randn(size, 3, 13, 29)
        torch.testing.assert_close(exported(pictures), model(pictures), atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.usefixtures("unchecked")
def test_compiled():
    torch._dynamo.reset()
    model, picture = vit(**EVERYTHING), torch.randn(2, 3, 13, 29)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(picture), model(picture))
