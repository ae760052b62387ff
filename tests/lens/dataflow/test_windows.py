"""Attention in windows is given back on the grid of the picture, exactly."""

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from transformers import (
    MobileViTConfig,
    MobileViTModel,
    SamVisionConfig,
    SamVisionModel,
    SwinConfig,
    SwinModel,
    Swinv2Config,
    Swinv2Model,
)

from saccade.errors import CheckpointError, SaccadeError
from saccade.lens import Trace, watch
from saccade.lens.dataflow.windows import Windows

from ..models import Attend, eager

P, Y, X, SIZE = 2, 7, 5, 3


class SwinBlock(nn.Module):
    """Partition, shift and padding as in the paper, over (b, rows * columns, width) tokens."""

    def __init__(self, shift=0, first=False, sort=lambda windows: windows):
        super().__init__()
        self.attention, self.norm = Attend(width=12), nn.LayerNorm(12)
        self.shift, self.first, self.sort = shift, first, sort

    def forward(self, x):
        b, _, c = x.shape
        if self.first:  # channels first, as convolutions have them
            x = F.pad(x.transpose(1, 2).reshape(b, c, Y, X), (0, -X % SIZE, 0, -Y % SIZE)).permute(0, 2, 3, 1)
        else:
            x = F.pad(self.norm(x).view(b, Y, X, c), (0, 0, 0, -X % SIZE, 0, -Y % SIZE))
        if self.shift:
            x = torch.roll(x, (-self.shift, -self.shift), (1, 2))
        rows, columns = x.shape[1] // SIZE, x.shape[2] // SIZE
        windows = x.reshape(b, rows, SIZE, columns, SIZE, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, SIZE**2, c)
        return self.attention(self.sort(windows) * 2)


def expected(shift, b=P):
    """By the definition: place of each token of each window, and -1 where it is padding."""
    height, width = Y + -Y % SIZE, X + -X % SIZE
    places = []
    for p in range(b):
        for top in range(0, height, SIZE):
            for left in range(0, width, SIZE):
                for i in range(SIZE**2):
                    y, x = (top + i // SIZE + shift) % height, (left + i % SIZE + shift) % width
                    places.append((p, y, x) if y < Y and x < X else (-1, -1, -1))
    return torch.tensor(places).view(-1, SIZE**2, 3)


def run(block, x=None):
    x = torch.randn(P, Y * X, 12) if x is None else x
    with torch.no_grad():
        plain = block(x)
        with watch(block) as trace:
            assert torch.equal(block(x), plain)
    return trace


@pytest.mark.parametrize("shift", [0, 1])
def test_the_layout_is_that_of_the_definition(shift):
    (call,) = run(SwinBlock(shift))
    assert call.windows.grid == (P, Y, X)
    assert torch.equal(call.windows.places, expected(shift))
    assert call.windows is call.windows


@pytest.mark.parametrize("shift", [0, 1])
def test_windows_of_separate_operations(shift):
    block = SwinBlock(shift)
    block.attention = Attend(width=12, how=eager)
    (call,) = run(block)
    assert torch.equal(call.windows.places, expected(shift))


def test_a_row_on_the_picture():
    (call,) = run(SwinBlock(1))
    w, places = call.weights(), expected(1)
    seen = 0
    for folded in range(len(places)):
        for token, (p, y, x) in enumerate(places[folded].tolist()):
            if p < 0:
                continue
            picture = torch.zeros(2, Y, X)
            for source, (_, row, column) in enumerate(places[folded].tolist()):
                if row >= 0:
                    picture[:, row, column] = w[folded, :, token, source]
            torch.testing.assert_close(call.at(p, y, x), picture)
            seen += 1
    assert seen == P * Y * X


def test_numbers_of_tokens_on_the_pictures():
    (call,) = run(SwinBlock(1))
    entropy, places = call.entropy(), expected(1)
    laid = call.windows.picture(entropy)
    assert laid.shape == (P, 2, Y, X)
    for folded, token in ((0, 0), (3, 0), (8, 2)):
        p, y, x = places[folded, token]
        assert p >= 0
        assert torch.equal(laid[p, :, y, x], entropy[folded, :, token])


def test_maps_with_channels_first():
    class SwinFlat(SwinBlock):
        def forward(self, x):
            return super().forward(x.flatten(2).transpose(1, 2))

    (call,) = run(SwinFlat(1, first=True), torch.randn(P, 12, Y, X))
    assert torch.equal(call.windows.places, expected(1))

    class WindowMap(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = Attend(width=12)

        def forward(self, x):
            x = F.pad(x, (0, -X % SIZE, 0, -Y % SIZE)).permute(0, 2, 3, 1).roll((-1, -1), (1, 2))
            x = x.unflatten(1, (-1, SIZE)).unflatten(3, (-1, SIZE)).transpose(2, 3).flatten(3, 4).flatten(0, 2)
            return self.attention(x)

    (call,) = run(WindowMap(), torch.randn(P, 12, Y, X))
    assert torch.equal(call.windows.places, expected(1))


def test_tokens_of_a_window_in_another_order():
    order = torch.tensor([3, 0, 8, 1, 2, 7, 6, 5, 4])
    for sort in (lambda windows: windows[:, order], lambda windows: windows.index_select(1, order)):
        (call,) = run(SwinBlock(sort=sort))
        assert torch.equal(call.windows.places, expected(0)[:, order])


def test_what_cannot_be_followed_has_no_windows():
    for block in (SwinBlock(sort=lambda windows: windows.sort(dim=1).values), Attend(width=12)):
        (call,) = run(block)
        assert call.windows is None
        with pytest.raises(SaccadeError, match="no windows that could be found"):
            call.at(0, 0, 0)


def test_windows_that_were_cut_before_are_not_taken_for_pictures():
    class WindowAttention(Attend):
        def forward(self, x):
            return super().forward(x.flatten(1, 2))

    class Whole(nn.Module):  # neither its name nor an attribute tells that it cuts windows
        def __init__(self):
            super().__init__()
            self.inner = WindowAttention(width=12)

        def forward(self, x):
            x = x.view(P, 2, 3, 2, 3, 12).transpose(2, 3).flatten(0, 2)
            return self.inner(x)

    (call,) = run(Whole(), torch.randn(P, 36, 12))
    assert call.shape[0] == 4 * P
    assert call.windows is None


def test_places_that_do_not_exist():
    (call,) = run(SwinBlock())
    for place in ((2, 0, 0), (0, 7, 0), (0, 0, -1)):
        with pytest.raises(SaccadeError, match=r"there are \(2, 7, 5\) of them"):
            call.at(*place)
    some = Windows(expected(0)[:1], (P, Y, X))
    with pytest.raises(SaccadeError, match="in no window"):
        some.find(1, 6, 4)


def test_save_and_load(tmp_path):
    path, trace = tmp_path / "look.safetensors", run(SwinBlock(1))
    trace.save(path)
    (call,) = Trace.load(path)
    assert torch.equal(call.windows.places, expected(1))
    torch.testing.assert_close(call.at(1, 3, 4), trace[0].at(1, 3, 4))
    with safe_open(path, framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    places = tensors["0.windows"]
    for wrong in (places + 4, places[1:], places.float(), torch.zeros_like(places)):
        save_file(tensors | {"0.windows": wrong}, path, metadata)
        with pytest.raises(CheckpointError, match="damaged"):
            Trace.load(path)


def test_swin_and_sam_of_transformers():
    config = SwinConfig(image_size=44, patch_size=4, embed_dim=12, depths=[2, 1], num_heads=[2, 3], window_size=4)
    config._attn_implementation = "sdpa"
    swin = SwinModel(config).eval()
    picture = torch.randn(2, 3, 44, 28)
    with torch.no_grad(), watch(swin) as trace:
        swin(picture)
    assert [call.windows.grid for call in trace] == [(2, 11, 7), (2, 11, 7), (2, 6, 4)]
    # Only what lies in the same window can change what is attended to: the shifted second block is no exception.
    for call in trace[:2]:
        reach = call.at(1, 6, 5).sum(dim=0) > 0
        rows, columns = reach.nonzero().T
        assert int(rows.max() - rows.min()) <= 3
        assert int(columns.max() - columns.min()) <= 3
    sam = {"hidden_size": 12, "output_channels": 4, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_dim": 8}
    sam |= {"image_size": 28, "patch_size": 4, "window_size": 3, "global_attn_indexes": [1]}
    model = SamVisionModel(SamVisionConfig(**sam)).eval()
    model.set_attn_implementation("sdpa")
    with torch.no_grad(), watch(model) as trace:
        model(torch.randn(2, 3, 28, 28))
    assert [tuple(call.windows.places.shape) for call in trace] == [(18, 9, 3), (2, 49, 3)]
    assert trace[1].at(1, 2, 3).sum() == pytest.approx(2)


def test_swin_v2_of_transformers_which_attends_in_separate_operations():
    config = Swinv2Config(image_size=44, patch_size=4, embed_dim=12, depths=[2, 1], num_heads=[2, 3], window_size=4)
    model = Swinv2Model(config).eval()
    with torch.no_grad(), watch(model) as trace:
        maps = model(torch.randn(2, 3, 44, 28), output_attentions=True).attentions
    assert [call.windows.grid for call in trace] == [(2, 11, 7), (2, 11, 7), (2, 6, 4)]
    call, windows = trace[1], trace[1].windows
    folded, token = windows.find(1, 6, 5)
    torch.testing.assert_close(
        call.at(1, 6, 5), windows.row(folded, maps[0].view_as(call.weights())[folded, :, token]), rtol=0, atol=1e-5
    )


class MergingWindows(nn.Module):
    """Windows of 2 x 2 after neighbours of a map were merged, 2 x 2 of them into one token (Swin: section 3.1)."""

    def __init__(self, across=False):
        super().__init__()
        self.norm, self.reduce, self.across = nn.LayerNorm(24), nn.Linear(24, 6), across

    def forward(self, x):  # (b y x c)
        b, y, width, c = x.shape
        order = (0, 3, 1, 4, 2, 5) if self.across else (0, 1, 3, 4, 2, 5)  # across: rows and columns change places
        x = x.reshape(b, y // 2, 2, width // 2, 2, c).permute(*order).flatten(3)
        x = self.reduce(self.norm(x))
        b, y, width, c = x.shape
        x = x.view(b, y // 2, 2, width // 2, 2, c).transpose(2, 3).reshape(-1, 4, 2, 3).transpose(1, 2)
        return F.scaled_dot_product_attention(x, x, x)


def test_windows_of_a_map_whose_places_were_merged():
    model = MergingWindows()
    with torch.no_grad(), watch(model) as trace:
        model(torch.randn(2, 8, 12, 6))
    (call,) = trace
    assert call.windows.grid == (2, 4, 6)
    folded, token = 1 * 6 + 1 * 3 + 2, 1 * 2 + 0  # row 3, column 4 of the second picture
    expected = torch.zeros(2, 4, 6)
    expected[:, 2:, 4:] = call.rows(token)[folded, :, 0].unflatten(-1, (2, 2))
    torch.testing.assert_close(call.at(1, 3, 4), expected)


def test_places_that_were_merged_in_another_order_have_no_windows():
    model = MergingWindows(across=True)
    with torch.no_grad(), watch(model) as trace:
        model(torch.randn(1, 8, 8, 6))
    assert trace[0].windows is None


def test_every_layer_of_mobilevit_on_the_picture():
    small = {"hidden_sizes": [16] * 3, "neck_hidden_sizes": [8] * 6 + [16], "mlp_ratio": 1.0, "num_attention_heads": 2}
    model = MobileViTModel(MobileViTConfig(image_size=64, **small), expand_output=False).eval()
    with torch.no_grad(), watch(model) as trace:
        model(torch.randn(1, 3, 64, 64))
    assert len(trace) == 9
    for call in trace:
        sides = call.windows.grid[1:]
        row, column = sides[0] - 1, 1
        patch = row // 2 * (sides[1] // 2) + column // 2
        expected = torch.zeros(2, *sides)
        expected[:, row % 2 :: 2, column % 2 :: 2] = call.rows(patch)[row % 2 * 2 + column % 2, :, 0].unflatten(
            -1, (sides[0] // 2, sides[1] // 2)
        )
        torch.testing.assert_close(call.at(0, row, column), expected)
