"""Places are followed through operations, and lost where an operation is not known or mixes them."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saccade.lens import watch
from saccade.studio.places.calls import placed_calls
from saccade.studio.places.follow import PlaceFollower

CELLS = torch.arange(12).view(3, 4)


def after(operation, shape=(1, 5, 3, 4)):
    """Cells of a picture of 3 x 4 pixels after an operation: -1 where there are none, and the grid; None: not known."""
    picture = torch.randn(shape)
    follower = PlaceFollower(picture)
    with torch.no_grad(), follower:
        out = operation(picture)
    places = follower.table.places(out)
    decoded = None if places is None else follower.table.grids.decode(places)
    if decoded is None:
        return None
    row, column, grid = decoded
    return torch.where(places < 0, places, row * grid[1] + column), grid


def tokens(picture):
    return picture.flatten(2).transpose(1, 2)


def assert_cells(found, expected, grid=(3, 4)):
    assert found is not None
    assert found[1] == grid
    assert torch.equal(found[0].long(), expected.expand(found[0].shape))


def test_what_moves_numbers_moves_places():
    lies = CELLS.flatten()[:, None]
    assert_cells(after(tokens), lies)
    assert_cells(after(lambda x: tokens(torch.roll(x, (1, 2), (2, 3)))), CELLS.roll((1, 2), (0, 1)).flatten()[:, None])
    assert_cells(after(lambda x: tokens(x)[:, [7, 2]]), torch.tensor([[7], [2]]))
    order = torch.randperm(12)
    assert_cells(after(lambda x: tokens(x).index_select(1, order)), order[:, None])
    assert_cells(after(lambda x: torch.gather(tokens(x), 1, order[None, :, None].expand(1, 12, 5))), order[:, None])
    assert_cells(after(lambda x: F.pad(x, (1, 0, 0, 2))), F.pad(CELLS, (1, 0, 0, 2), value=-2))
    first = torch.cat([torch.tensor([-1]), CELLS.flatten()])[:, None]
    assert_cells(after(lambda x: torch.cat([torch.zeros(1, 1, 5), tokens(x)], dim=1)), first)


def test_writes_into_a_part():
    def write(x):
        out = torch.zeros(1, 14, 5)
        out[:, 2:] = tokens(x)
        out[:, 5] = 0
        return out

    expected = torch.cat([torch.tensor([-1, -1]), CELLS.flatten()])
    expected[5] = -1
    assert_cells(after(write), expected[:, None])

    def put(x):
        out = tokens(x).clone()
        out[:, torch.tensor([3, 4])] = out[:, torch.tensor([0, 9])]
        return out

    expected = CELLS.flatten().clone()
    expected[[3, 4]] = torch.tensor([0, 9])
    assert_cells(after(put), expected[:, None])


def test_what_mixes_channels_keeps_the_place():
    linear, norm = nn.Linear(5, 7), nn.LayerNorm(7)
    lies = CELLS.flatten()[:, None]
    assert_cells(after(lambda x: F.gelu(norm(linear(tokens(x))))), lies)
    assert_cells(after(lambda x: tokens(x) + torch.randn(12, 5)), lies)  # an embedding of positions
    assert_cells(after(lambda x: tokens(x) * tokens(x).mean(dim=1, keepdim=True)), lies)  # a gate of the whole picture
    assert_cells(after(lambda x: nn.Conv2d(5, 2, 3, padding=1)(x)), CELLS)
    mixed = after(lambda x: F.scaled_dot_product_attention(*[tokens(x)[:, None]] * 3)[:, 0])
    assert_cells(mixed, lies)  # the output of a target lies where its query does

    def pairs(x):
        return tokens(x[:, :4]).reshape(12, 2, 2).contiguous()

    rotated = after(lambda x: torch.view_as_real(torch.view_as_complex(pairs(x)) * 1j))  # rotary positions
    assert_cells(rotated, CELLS.reshape(12, 1, 1))


def test_coarser_grids():
    assert_cells(after(lambda x: nn.Conv2d(5, 2, 2, stride=2)(x), (1, 5, 6, 8)), CELLS)
    assert_cells(after(lambda x: F.avg_pool2d(x, 2), (1, 5, 6, 8)), CELLS)

    def merged(x):  # four neighbours become one token, as in Swin
        parts = [x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return nn.Linear(20, 3)(tokens(torch.cat(parts, dim=1)))

    assert_cells(after(merged, (1, 5, 6, 8)), CELLS.flatten()[:, None])
    unfolded = after(lambda x: nn.Linear(20, 3)(F.unfold(x, 2, stride=2).mT), (1, 5, 6, 8))
    assert_cells(unfolded, CELLS.flatten()[:, None])


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: torch.fft.fft2(x).real,
        lambda x: tokens(x).sort(dim=1).values,
        lambda x: x + x.flip(3)[..., :4] * (torch.arange(4) != 9),  # two places in one number
        lambda x: nn.Linear(12, 12)(x.flatten(2)),  # an MLP over the tokens
        lambda x: x.mean(dim=(2, 3)),
        lambda x: nn.Conv2d(5, 2, 3)(F.interpolate(x, (13, 17))),  # without a border it covers less than the picture
    ],
)
def test_what_is_not_known_has_no_places(operation):
    found = after(operation)
    assert found is None


class Attends(nn.Module):
    def __init__(self, sources):
        super().__init__()
        self.sources = sources

    def forward(self, x):
        given = tokens(x)[:, None]
        return F.scaled_dot_product_attention(given, *[self.sources(given)] * 2)


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        (lambda x: torch.randn(1, 1, 9, 5), "its sources are no places of the picture"),
        (lambda x: x[:, :, [0, 0, 3]], "several of its sources lie at one place"),
        (lambda x: x * torch.nan, "not all finite"),
    ],
)
def test_layers_that_cannot_be_placed(sources, reason):
    picture = torch.randn(1, 5, 3, 4)
    follower = PlaceFollower(picture)
    with torch.no_grad(), follower, watch(model := Attends(sources)) as trace:
        model(picture)
    placed, left = placed_calls(trace, follower.table)
    assert placed == []
    assert reason in next(iter(left.values()))


def test_what_is_followed_goes_with_its_memory():
    picture = torch.randn(1, 5, 3, 4)
    follower = PlaceFollower(picture)
    with torch.no_grad(), follower:
        for _ in range(300):
            picture.clone()
    assert len(follower.table.shadow._of) < 100
