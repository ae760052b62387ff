"""Attention in mask units (Hiera: Ryali et al. 2023), whose windows lie on an axis beside the heads and whose queries
are pooled, is given back on the grid of the picture. The truth is a probe: which token changes with a pixel."""

import importlib.util

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saccade.errors import SaccadeError
from saccade.lens import Trace, drop_heads, edit, watch
from saccade.lens.dataflow.replay import _pooled
from saccade.lens.dataflow.windows import Windows

ROWS, COLUMNS, PATCH, WIDTH = 8, 12, 2, 12


class Units(nn.Module):
    """Attention in mask units as timm writes it: five axes, (batch, heads, units, tokens, width), queries pooled."""

    def __init__(self, heads, stride=1, window_size=16, fused=True):
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.heads, self.stride, self.window_size, self.fused, self.weights = heads, stride, window_size, fused, None

    def forward(self, x):
        b, n, _ = x.shape
        units = n // (self.stride * self.window_size)
        q, k, v = self.qkv(x).reshape(b, -1, units, 3, self.heads, WIDTH // self.heads).permute(3, 0, 4, 2, 1, 5)
        if self.stride > 1:
            q = q.view(b, self.heads, units, self.stride, -1, q.shape[-1]).amax(dim=3)
        weights = (q / q.shape[-1] ** 0.5) @ k.transpose(-1, -2)
        self.weights = weights.softmax(dim=-1)
        out = F.scaled_dot_product_attention(q, k, v) if self.fused else self.weights @ v
        return self.proj(out.transpose(1, 3).reshape(b, -1, WIDTH))


class HieraBlock(nn.Module):
    def __init__(self, *how, **more):
        super().__init__()
        self.norm, self.attn = nn.LayerNorm(WIDTH), Units(*how, **more)

    def forward(self, x):
        y = self.attn(self.norm(x))
        if self.attn.stride > 1:
            x = x.view(len(x), self.attn.stride, -1, WIDTH).amax(dim=1)
        return x + y


class SmallHiera(nn.Module):
    """Patches, unrolled so that units of 4 x 4 are together after two merges of 2 x 2, and two stages."""

    def __init__(self, heads=(2, 3), **how):
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.blocks = nn.Sequential(HieraBlock(heads[0], **how), HieraBlock(heads[1], 4, 4, **how))

    def forward(self, picture):
        x = self.patches(picture).flatten(2).transpose(1, 2)
        b, size = len(x), (ROWS, COLUMNS)
        x = x.view(b, *size, WIDTH)
        for _ in range(2):
            size = size[0] // 2, size[1] // 2
            x = x.view(-1, size[0], 2, size[1], 2, WIDTH).permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
        return self.blocks(x.reshape(b, ROWS * COLUMNS, WIDTH))


def of_transformers():
    transformers = pytest.importorskip("transformers")
    config = transformers.HieraConfig(
        image_size=[64, 64], embed_dim=8, depths=[1, 2, 1, 1], num_heads=[1, 2, 2, 4], masked_unit_size=[8, 8]
    )
    model = transformers.HieraModel(config)

    def maps(picture):
        found, hooks = [], []
        for module in model.modules():
            if type(module).__name__ == "HieraMaskUnitAttention":
                hooks.append(module.register_forward_hook(lambda module, args, out: found.append(out[1])))
        model(picture, output_attentions=True)
        for each in hooks:
            each.remove()
        return found

    return model, maps, (16, 16), 4


def of_timm(fused):
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    from timm.models.hiera import Hiera

    model = Hiera(img_size=(64, 96), embed_dim=8, num_heads=1, stages=(1, 2, 1, 1), mask_unit_size=(8, 8))
    for block in model.blocks:
        block.attn.fused_attn = fused
    return model, None, (16, 24), 4


def of_ours(**how):
    model = SmallHiera(**how)

    def maps(picture):
        model(picture)
        return [block.attn.weights for block in model.blocks]

    return model, maps, (ROWS, COLUMNS), PATCH


MODELS = {
    "transformers": of_transformers,
    "timm, fused": lambda: of_timm(True),
    "timm, separate": lambda: of_timm(False),
    "ours, fused": of_ours,
    "ours, separate": lambda: of_ours(fused=False),
}


def still(model):
    """Attention adds nothing, so that what becomes of a patch is seen in its own token only."""
    for name, module in model.named_modules():
        if name.endswith("attn.proj"):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)


def tokens_of_places(t, places, patches, grid):
    """The unit and the token that change with each place of a grid, of queries or keys (probe, unit, h, n, k)."""
    found = {}
    for place, moved in zip(places.tolist(), (t[1:] - t[:1]).abs().amax(dim=(2, 4)) > 1e-6, strict=True):
        at = moved.nonzero().tolist()
        assert len(at) <= 1
        if at:  # else another patch of the cell was the largest, which pooling keeps
            cell = tuple(i * cells // count for i, cells, count in zip(place, grid, patches, strict=True))
            assert found.setdefault(cell, tuple(at[0])) == tuple(at[0])
    return found


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_where_tokens_of_mask_units_lie_and_what_they_attend_to(name):
    torch.manual_seed(0)
    model, maps, (rows, columns), patch = MODELS[name]()
    for p in model.eval().parameters():
        nn.init.normal_(p, std=0.3)
    picture = torch.randn(1, 3, rows * patch, columns * patch)
    with watch(model) as trace:
        model(picture)
    whole = None if maps is None else maps(picture)
    still(model)
    probes = picture.repeat(1 + rows * columns, 1, 1, 1)
    places = torch.cartesian_prod(torch.arange(rows), torch.arange(columns))
    for i, (row, column) in enumerate(places.tolist()):
        probes[1 + i, :, row * patch, column * patch] += 40 * torch.randn(3)
    with watch(model) as probed:
        model(probes)
    assert len(trace) == len(probed) > 1
    for number, (call, seen) in enumerate(zip(trace, probed, strict=True)):
        windows, (b, h, n, m) = call.windows, call.shape
        sources = windows.sources or windows
        sides = {"q": windows.grid[1:], "k": sources.grid[1:]}
        true = {side: tokens_of_places(t.unflatten(0, (-1, b)), places, (rows, columns), sides[side])
                for side, t in (("q", seen.q), ("k", seen.k))}  # fmt: skip
        assert len(true["q"]) > 0.9 * b * n
        assert len(true["k"]) > 0.9 * b * m
        weights = call.weights() if whole is None else whole[number][0].transpose(0, 1)  # unit first
        for place, (unit, token) in true["q"].items():
            assert windows.find(0, *place) == (unit, token)
        for place, (unit, token) in list(true["q"].items())[::13]:
            shown, expected = call.at(0, *place), torch.zeros(h, *sources.grid[1:])
            assert float(shown.sum()) == pytest.approx(h, abs=1e-4)
            for other, (theirs, source) in true["k"].items():
                expected[:, *other] = weights[unit, :, token, source] if theirs == unit else 0
            known = torch.zeros(sources.grid[1:], dtype=torch.bool)
            known[tuple(torch.tensor(list(true["k"])).T)] = True
            torch.testing.assert_close(shown[:, known], expected[:, known], rtol=1e-4, atol=1e-5)


def test_units_as_many_as_heads_are_refused():
    """Where the module is given as many units as heads, none of the axes is known to be that of the heads."""
    model = SmallHiera(heads=(6, 3)).eval()
    with torch.no_grad(), watch(model) as trace:
        model(torch.randn(2, 3, ROWS * PATCH, COLUMNS * PATCH))
    assert trace[0].windows is None
    with pytest.raises(SaccadeError, match="no windows that could be found"):
        trace[0].at(0, 0, 0)
    assert trace[1].windows.grid == (2, ROWS // 2, COLUMNS // 2)


@pytest.mark.parametrize("fused", [True, False])
def test_an_edit_of_a_head_changes_it_in_all_units_and_nothing_else(fused):
    model, silent = SmallHiera(fused=fused).eval(), SmallHiera(fused=fused).eval()
    silent.load_state_dict(model.state_dict())
    picture = torch.randn(2, 3, ROWS * PATCH, COLUMNS * PATCH)
    with torch.no_grad():
        silent.blocks[0].attn.proj.weight[:, : WIDTH // 2] = 0
        with edit(model, {"blocks.0.*": drop_heads(0)}), watch(model) as trace:
            torch.testing.assert_close(model(picture), silent(picture), rtol=1e-5, atol=1e-6)
    assert trace[0].windows.grid == (2, ROWS, COLUMNS)


def test_places_of_pooled_queries_in_files(tmp_path):
    model = SmallHiera().eval()
    with torch.no_grad(), watch(model) as trace:
        model(torch.randn(2, 3, ROWS * PATCH, COLUMNS * PATCH))
    trace.save(tmp_path / "look.safetensors")
    for call, again in zip(trace, Trace.load(tmp_path / "look.safetensors"), strict=True):
        torch.testing.assert_close(call.at(1, 2, 3), again.at(1, 2, 3))


def test_what_is_pooled_must_be_whole_cells():
    numbers, grid = torch.arange(24).view(1, 4, 6), (1, 4, 6)
    cells = numbers.view(2, 2, 3, 2).transpose(1, 2).flatten(2)  # 2 x 2 each
    pooled, coarse = _pooled(cells, grid)
    assert coarse == (1, 2, 3)
    assert torch.equal(pooled, torch.arange(6).view(2, 3))
    assert torch.equal(_pooled(cells[..., torch.tensor([2, 0, 3, 1])], grid)[0], pooled)
    across = numbers.view(2, 2, 3, 2).permute(0, 2, 1, 3).flatten(2).clone()
    across[0, 0, 3], across[0, 1, 0] = cells[0, 1, 0], cells[0, 0, 3]
    apart = torch.tensor([[0, 12], [6, 18]])  # cells that overlap: rows 0 and 2, rows 1 and 3
    for wrong in (across, apart, cells[..., :3], torch.tensor([[0, 0, 1, 1]])):
        assert _pooled(wrong, grid) is None


def test_tokens_of_other_pictures_in_one_sequence_are_not_drawn():
    places = torch.tensor([[[0, 0, 0], [0, 0, 1], [1, 0, 0]]])
    windows = Windows(places, (2, 1, 2))
    assert windows.row(0, torch.tensor([[0.5, 0.2, 0.3]]), 0).tolist() == [[[0.5, pytest.approx(0.2)]]]
    assert windows.row(0, torch.tensor([[0.5, 0.2, 0.3]]), 1).tolist() == [[[pytest.approx(0.3), 0.0]]]
