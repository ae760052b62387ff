"""Where tokens lie: told, found from models of several libraries, and never guessed."""

import pytest
import torch
from torch import nn
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    SegformerConfig,
    SegformerModel,
    VideoMAEConfig,
    VideoMAEModel,
    ViTConfig,
    ViTModel,
    YolosConfig,
    YolosModel,
)

from saccade.errors import SaccadeError
from saccade.layers import BlockConfig
from saccade.lens import TokenMap, token_map, watch
from saccade.models.vit import ViT
from saccade.models.vit import ViTConfig as Own

from ..models import Attend

TINY = {"hidden_size": 28, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 19}


def test_tokens_and_their_places():
    tokens = TokenMap(grid=(3, 5), prefix=2, suffix=4)
    assert len(tokens) == 21
    values = torch.arange(21.0).expand(2, 1, 21)
    picture = tokens.picture(values)
    assert picture.shape == (2, 1, 3, 5)
    for row in range(3):
        for column in range(5):
            assert picture[1, 0, row, column] == tokens.token(row, column) == 2 + row * 5 + column
    film = TokenMap(grid=(3, 5), prefix=1, frames=2)
    assert film.picture(torch.arange(31.0))[1, 2, 4] == film.token(2, 4, frame=1) == 30


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: TokenMap((0, 5)), "of 1 or more"),
        (lambda: TokenMap((3, 5), prefix=-1), "0 or more"),
        (lambda: TokenMap((3, 5), frames=0), "of 1 or more"),
        (lambda: TokenMap(15), "expected whole numbers"),
        (lambda: TokenMap((3, 5, 2)), r"grid=\(rows, columns\)"),
        (lambda: TokenMap((3.0, 5)), "expected whole numbers"),
        (lambda: TokenMap((3, 5)).picture(torch.zeros(16)), "values of 16 tokens; .* has 15"),
        (lambda: TokenMap((3, 5)).token(3, 0), "row 3 of .* 0 to 2"),
        (lambda: TokenMap((3, 5)).token(0, -1), "column -1"),
        (lambda: TokenMap((3, 5)).token(0, 0, 1), "frame 1"),
    ],
)
def test_what_does_not_fit(ask, said):
    with pytest.raises(SaccadeError, match=said):
        ask()


def films():
    config = VideoMAEConfig(image_size=33, patch_size=11, num_frames=4, tubelet_size=2, **TINY)
    return VideoMAEModel(config)


def registers():
    wide = {key: value for key, value in TINY.items() if key != "intermediate_size"}
    config = Dinov2WithRegistersConfig(num_register_tokens=3, image_size=55, patch_size=11, **wide)
    return Dinov2WithRegistersModel(config)


def ours():
    return ViT(Own(block=BlockConfig(width=28, heads=2, hidden=19), depth=1, patch=11, registers=2))


WIDE = {"image_size": [22, 55], "patch_size": 11}
SQUARE = {"image_size": 33, "patch_size": 11}
FOUND = {
    "vit": (lambda: ViTModel(ViTConfig(**TINY, **WIDE)), (22, 55), TokenMap((2, 5), 1)),
    "clip": (lambda: CLIPVisionModel(CLIPVisionConfig(**TINY, **SQUARE)), (33, 33), TokenMap((3, 3), 1)),
    "registers": (registers, (22, 44), TokenMap((2, 4), 4)),
    "yolos": (
        lambda: YolosModel(YolosConfig(num_detection_tokens=7, **TINY, **WIDE)),
        (22, 55),
        TokenMap((2, 5), 1, suffix=7),
    ),
    "film": (films, (4, 3, 33, 33), TokenMap((3, 3), 0, frames=2)),
    "ours": (ours, (25, 55), TokenMap((2, 5), 3)),
}


@pytest.mark.parametrize("name", FOUND)
def test_found_from_the_model(name):
    build, shape, expected = FOUND[name]
    model, x = build().eval(), torch.randn(1, *((3,) * (len(shape) == 2)), *shape)
    with torch.no_grad(), watch(model) as trace:
        model(x)
    assert token_map(model, x, trace[0].shape[2]) == expected
    assert expected.picture(trace[0].received()).shape[-2:] == expected.grid


def test_a_picture_shows_the_patch_that_is_looked_at():
    """Keys that answer the query at one patch only: the bright one of the picture."""
    build, shape, expected = FOUND["vit"]
    model, x = build().eval(), torch.randn(1, 3, *shape)
    with torch.no_grad(), watch(model) as trace:
        model(x)
    place = expected.token(1, 3)
    trace[0].k.data.zero_()
    trace[0].k.data[:, :, place] = 50 * trace[0].q[:, :, 0]
    trace[0]._lse = trace[0]._norm = None
    looks = token_map(model, x, trace[0].shape[3]).picture(trace[0].rows(0))
    assert looks.flatten(-2).argmax(-1).unique().tolist() == [1 * 5 + 3]


def embedding(*more):
    return nn.Sequential(nn.Conv2d(3, 5, 11, 11), *more)


@pytest.mark.parametrize(
    ("model", "shape", "tokens", "said"),
    [
        (nn.Linear(3, 2), (1, 3, 22, 22), 4, "one patch embedding .* was expected, found none"),
        (embedding(nn.Conv2d(5, 5, 2, 2)), (1, 3, 22, 22), 4, r"found 0 \(11 x 11 pixels\), 1"),
        (embedding(), (1, 3, 22, 22), 5, r"2 x 2 = 4 patches, 0 tokens before and 0 after"),
        (embedding(), (1, 3, 22, 22), 8, "cannot be determined"),  # no film, no two frames
        (embedding(), (1, 3, 22, 22), 3, "cannot be determined"),
        (embedding(), (1, 3, 22, 9), 3, "smaller than a patch of 0"),
        (embedding(), (3, 22, 22), 4, r"a picture of shape \(3, 22, 22\)"),
    ],
)
def test_what_cannot_be_told_is_asked_for(model, shape, tokens, said):
    with pytest.raises(SaccadeError, match=said):
        token_map(model, torch.zeros(shape), tokens)


def test_a_pyramid_is_not_guessed():
    model = SegformerModel(SegformerConfig(hidden_sizes=[8, 8, 8, 8], depths=[1] * 4)).eval()
    with pytest.raises(SaccadeError, match="cannot be determined"):
        token_map(model, torch.zeros(1, 3, 64, 64), 256)


def test_a_convolution_that_calls_its_padding_valid():
    model = nn.Sequential(nn.Conv2d(3, 8, 7, 7, padding="valid"))
    assert token_map(model, torch.zeros(1, 3, 35, 21), 15) == TokenMap((5, 3))
    with pytest.raises(SaccadeError, match="found none"):
        token_map(nn.Sequential(nn.Conv2d(3, 8, 7, padding="same")), torch.zeros(1, 3, 35, 21), 15)


def test_tokens_before_every_frame():
    tokens = TokenMap(grid=(2, 3), prefix=1, frames=2, frame_prefix=5, suffix=1)
    assert len(tokens) == 24
    film = tokens.picture(torch.arange(24.0))
    assert film.tolist() == [[[6, 7, 8], [9, 10, 11]], [[17, 18, 19], [20, 21, 22]]]
    assert all(tokens.token(y, x, t) == film[t, y, x] for t in range(2) for y in range(2) for x in range(3))


def test_patches_in_another_order():
    tokens = TokenMap(grid=(2, 3), prefix=1, order=(0, 3, 1, 4, 2, 5))  # column by column
    picture = tokens.picture(torch.arange(7.0))
    assert picture.tolist() == [[1, 3, 5], [2, 4, 6]]
    assert all(tokens.token(y, x) == picture[y, x] for y in range(2) for x in range(3))
    with pytest.raises(SaccadeError, match="an order of 6 places: expected each of 0 to 5 once"):
        TokenMap(grid=(2, 3), order=(0, 1, 2, 3, 4, 4))


class Patches(nn.Module):
    """A patch embedding whose tokens attend in an order of their own."""

    def __init__(self, order):
        super().__init__()
        self.embed, self.attend, self.order = nn.Conv2d(3, 14, 4, 4), Attend(), order
        self.cls_token = nn.Parameter(torch.randn(1, 1, 14))

    def forward(self, x):
        tokens = self.embed(x)
        tokens = self.order(tokens.flatten(2).transpose(1, 2), *tokens.shape[2:])
        return self.attend(torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], dim=1))


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (lambda t, y, x: t, None),
        (lambda t, y, x: t.unflatten(1, (y, x)).transpose(1, 2).flatten(1, 2), (0, 5, 1, 6, 2, 7, 3, 8, 4, 9)),
        (lambda t, y, x: t.flip(1), tuple(range(9, -1, -1))),
    ],
)
def test_the_order_of_patches_is_found_by_changing_them(order, expected):
    model, picture = Patches(order), torch.rand(2, 3, 9, 21)
    found = token_map(model, picture, 11)
    assert (found.grid, found.prefix, found.order) == ((2, 5), 1, expected)


def test_an_order_that_is_drawn_anew_is_refused():
    model = Patches(lambda t, y, x: t[:, torch.randperm(y * x)])
    picture = torch.rand(1, 3, 8, 12)
    state = torch.get_rng_state()
    with pytest.raises(SaccadeError, match="their order changes between runs"):
        token_map(model, picture, 7)
    assert torch.equal(torch.get_rng_state(), state)


def test_patches_that_were_left_out_are_no_frames():
    model = VideoMAEModel(VideoMAEConfig(image_size=16, patch_size=4, num_frames=8, tubelet_size=2, **TINY)).eval()
    film = torch.rand(1, 8, 3, 16, 16)
    assert token_map(model, film, 64) == TokenMap((4, 4), frames=4)
    with pytest.raises(SaccadeError, match=r"16 patches in each of 4 steps of time, .* patches may have been left out"):
        token_map(model, film, 32)


def test_a_class_token_behind_the_patches_is_not_taken_for_one_before_them():
    class Behind(Patches):
        def forward(self, x):
            return self.attend(torch.cat([self.embed(x).flatten(2).mT, self.cls_token.expand(len(x), -1, -1)], dim=1))

    with pytest.raises(SaccadeError, match=r"no patches are \[15\], expected the first 1 and the last 0"):
        token_map(Behind(None), torch.rand(1, 3, 12, 20), 16)
