"""Towers that take the patches of several pictures as one list and attend in windows of it (Qwen2.5-VL)."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saccade.errors import SaccadeError
from saccade.lens import Trace, borrow, edit, swap, watch

transformers = pytest.importorskip("transformers")

SIZES = ((24, 40), (32, 24))  # pixels of two pictures; 4 x 4 a patch, 2 x 2 patches a token later
GRIDS = torch.tensor([[1, y // 4, x // 4] for y, x in SIZES])
FRAMES = [(y // 4, x // 4) for y, x in SIZES]


def tower(how="sdpa"):
    from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as qwen

    torch.manual_seed(1)
    config = qwen.Qwen2_5_VLVisionConfig(
        depth=3, hidden_size=16, intermediate_size=24, num_heads=2, patch_size=4, spatial_merge_size=2,
        temporal_patch_size=2, window_size=16, out_hidden_size=12, fullatt_block_indexes=[1],
    )  # fmt: skip
    model = qwen.Qwen2_5_VisionTransformerPretrainedModel(config).eval()
    for p in model.parameters():
        nn.init.normal_(p, std=0.3)
    model.set_attn_implementation(how)
    return model


def listed(pictures):
    """The patches of pictures as the library's own processor lists them."""
    size = {"shortest_edge": 64, "longest_edge": 64 * 64}
    how = {"patch_size": 4, "merge_size": 2, "temporal_patch_size": 2, "size": size, "do_resize": False}
    processor = transformers.Qwen2VLImageProcessorPil(**how)
    made = processor([picture.numpy() for picture in pictures], return_tensors="pt")
    assert torch.equal(made["image_grid_thw"], GRIDS)
    return made["pixel_values"]


def pictures():
    generator = torch.Generator().manual_seed(2)
    return [torch.randint(0, 200, (*size, 3), generator=generator, dtype=torch.uint8) for size in SIZES]


def whole_maps(model, given, monkeypatch):
    """What the model's own eager attention computes, chunk by chunk, as one map of each layer."""
    chunks, softmax = [], F.softmax

    def kept(*args, **kwargs):
        chunks.append(softmax(*args, **kwargs))
        return chunks[-1]

    monkeypatch.setattr(F, "softmax", kept)
    model(given, grid_thw=GRIDS)
    monkeypatch.undo()
    maps, count = [[]], len(given)
    for each in chunks:
        if sum(w.shape[-1] for w in maps[-1]) == count:
            maps.append([])
        maps[-1].append(each[0])
    return [torch.stack([torch.block_diag(*heads) for heads in zip(*layer, strict=True)])[None] for layer in maps]


@pytest.mark.parametrize("how", ["sdpa", "eager"])
@torch.no_grad()
def test_every_layer_of_qwens_tower_on_its_pictures(how, monkeypatch):
    model, shown = tower(how), pictures()
    given = listed(shown)
    with watch(model) as trace:
        model(given, grid_thw=GRIDS)
    assert [call.name for call in trace] == [f"blocks.{i}.attn" for i in range(3)]
    assert [len(call.lengths) for call in trace] == [10, 2, 10]
    assert not any(call.note for call in trace)
    maps = whole_maps(tower("eager"), given, monkeypatch)
    for call, whole in zip(trace, maps, strict=True):
        torch.testing.assert_close(call.weights(), whole, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(call.received(), whole.mean(2), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(call.columns([3, 70]), whole[..., [3, 70]], rtol=1e-4, atol=1e-5)
    tokens, states = {}, []  # the truth: which token changes with a patch
    model.blocks[0].norm1.register_forward_hook(lambda module, args, out: states.append(args[0]))
    model(given, grid_thw=GRIDS)
    for frame, (rows, columns) in enumerate(FRAMES):
        for row in range(rows):
            for column in range(columns):
                changed = [picture.clone() for picture in shown]
                changed[frame][4 * row + 1, 4 * column + 2] += 50
                model(listed(changed), grid_thw=GRIDS)
                (tokens[frame, row, column],) = (states[-1] != states[0]).any(-1).nonzero()[:, 0].tolist()
    assert sorted(tokens.values()) == list(range(len(given)))
    for call, whole in zip(trace, maps, strict=True):
        for place, token in tokens.items():
            assert call.windows.find(*place) == (0, token)
        for place, token in list(tokens.items())[::9]:
            expected = torch.zeros(2, 8, 10)  # as many rows and columns as the largest picture has
            for (frame, row, column), source in tokens.items():
                if frame == place[0]:
                    expected[:, row, column] = whole[0, :, token, source]
            torch.testing.assert_close(call.at(*place), expected, rtol=1e-4, atol=1e-5)
        with pytest.raises(SaccadeError, match="in no window"):
            call.at(0, 7, 0)  # the first picture has six rows


@torch.no_grad()
def test_files_rollouts_and_edits_of_windows_in_one_sequence(tmp_path):
    model, given = tower(), listed(pictures())
    with watch(model, values=True) as trace:
        model(given, grid_thw=GRIDS)
    trace.save(tmp_path / "look.safetensors")
    for call, again in zip(trace, Trace.load(tmp_path / "look.safetensors"), strict=True):
        assert again.lengths == call.lengths
        torch.testing.assert_close(call.weights(), again.weights())
        torch.testing.assert_close(call.at(1, 7, 5), again.at(1, 7, 5))
    reached = trace.rollout(token=0)[0]
    assert float(reached.sum()) == pytest.approx(1, abs=1e-4)
    first = trace[1].lengths[0]  # through the layer between, all of the first picture, and nothing of the other
    assert bool((reached[:first] > 0).all())
    assert float(reached[first:].sum()) == 0
    for change in (swap(trace), borrow(trace)):
        with pytest.raises(SaccadeError), edit(model, {"blocks.0.*": change}):
            model(given, grid_thw=GRIDS)


class Listed(nn.Module):
    """A tower of the same arguments. own: makes the rows and columns of its patches, that it takes them to have."""

    def __init__(self, own):
        super().__init__()
        self.spatial_merge_size, self.own, self.qkv = 2, own, nn.Linear(96, 24)

    def forward(self, patches, grid_thw):
        assert len(self.own(grid_thw)) == len(patches)
        q, k, v = self.qkv(patches).view(1, -1, 3, 2, 4).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v)


def in_blocks(grid_thw):
    every = []
    for _, y, x in grid_thw.tolist():
        cells = torch.stack(torch.meshgrid(torch.arange(y), torch.arange(x), indexing="ij"), dim=-1)
        every.append(cells.view(y // 2, 2, x // 2, 2, 2).transpose(1, 2).reshape(-1, 2))
    return torch.cat(every)


def row_by_row(grid_thw):
    return torch.cat([torch.cartesian_prod(torch.arange(y), torch.arange(x)) for _, y, x in grid_thw.tolist()])


@torch.no_grad()
def test_places_are_believed_where_the_model_has_the_same():
    for own, known in ((in_blocks, True), (row_by_row, False), (lambda grid: torch.zeros(108), False)):
        model = Listed(own)
        with watch(model) as trace:
            model(torch.randn(108, 96), GRIDS)
        if not known:
            assert trace[0].windows is None
            continue
        for place, (row, column) in enumerate(in_blocks(GRIDS).tolist()):
            assert trace[0].windows.find(int(place >= 60), row, column) == (0, place)


@torch.no_grad()
def test_grids_that_do_not_make_up_the_list_are_not_believed():
    for grid in (GRIDS[:1], GRIDS.float(), torch.tensor([[1, 4, 27]]), torch.tensor([[1, -6, -18]]), None):
        model = Listed(lambda grid: torch.zeros(108))
        with watch(model) as trace:
            model(torch.randn(108, 96), grid)
        assert trace[0].windows is None
