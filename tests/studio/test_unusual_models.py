"""`saccade.look` on models whose tokens do not lie row by row after a class token: no map is drawn elsewhere."""

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import saccade
from saccade.studio.places.tensor_places import NOWHERE, PADDING
from saccade.studio.views.places import PlacesView
from saccade.studio.views.vision import VisionView
from tests.studio.test_any_model import PATCH, SIDE, WIDTH, Block, Vit, prepare

PICTURE = Image.effect_mandelbrot((50, 40), (-2, -1, 1, 1), 9).convert("RGB")
COUNT = 25
ROWS = torch.arange(COUNT)
COLUMNS = ROWS.view(5, 5).T.flatten()


def reversed_patches(x):
    return torch.cat([x[:, :1], x[:, 1:].flip(1)], 1)


class ReversedBlock(Block):
    """Turns its tokens around, and back."""

    def forward(self, x):
        given = reversed_patches(self.norm(x))
        x = x + reversed_patches(self.attention(given, given, given, need_weights=False)[0])
        return x + self.mlp(x)


class OneReversed(Vit):
    def __init__(self):
        super().__init__()
        self.blocks[1] = ReversedBlock()


class ReversedFromThenOn(Vit):
    def forward(self, x):
        return self.head(self.blocks[1:](reversed_patches(self.blocks[0](self.tokens(x))))[:, 0])


class ColumnByColumn(Vit):
    """Normalizes each picture, so that every token depends on every pixel."""

    def tokens(self, x):
        patches = self.conv_proj(F.instance_norm(x)).transpose(2, 3).flatten(2).mT
        return torch.cat([self.class_token.expand(len(x), -1, -1), patches], 1) + self.positions


class ClassTokenLast(Vit):
    def tokens(self, x):
        patches = self.conv_proj(x).flatten(2).mT
        return torch.cat([patches, self.class_token.expand(len(x), -1, -1)], 1) + self.positions


class ReversedInItsFirstRun(Vit):
    runs = 0

    def tokens(self, x):
        self.runs += 1
        tokens = super().tokens(x)
        return reversed_patches(tokens) if self.runs == 1 else tokens


class BesideText(Vit):
    """A second encoder with as many tokens, none of them a patch."""

    def __init__(self):
        super().__init__()
        self.text, self.words = nn.Parameter(torch.randn(1, 1 + COUNT, WIDTH)), Block()

    def forward(self, x):
        return self.head(self.blocks(self.tokens(x))[:, 0] + self.words(self.text)[:, 0])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (OneReversed, [ROWS, ROWS.flip(0), ROWS]),
        (ReversedFromThenOn, [ROWS, ROWS.flip(0), ROWS.flip(0)]),
        (ColumnByColumn, [COLUMNS] * 3),
        (ClassTokenLast, [ROWS] * 3),
        (ReversedInItsFirstRun, [ROWS] * 3),
        (BesideText, [ROWS] * 3),
    ],
)
def test_each_layer_has_places_of_its_own(kind, expected):
    torch.manual_seed(5)
    model = kind()
    view = saccade.look(model, PICTURE, preprocess=prepare)
    assert isinstance(view, PlacesView)
    assert [layer.name for layer in view.targets.layers] == [f"blocks.{i}.attention" for i in range(3)]
    last = kind is ClassTokenLast
    for layer, cells in zip(view.targets.layers, expected, strict=True):
        nowhere = torch.tensor([-1])
        assert layer.targets.grid == layer.sources.grid == (5, 5)
        assert torch.equal(layer.targets.cells[0], torch.cat([cells, nowhere] if last else [nowhere, cells]))
        assert torch.equal(layer.sources.cells, layer.targets.cells)


def test_tokens_whose_order_is_lost_are_not_drawn():
    class ByMatrix(Vit):
        def tokens(self, x):
            tokens = super().tokens(F.instance_norm(x))
            return torch.cat([tokens[:, :1], torch.eye(COUNT).flip(0) @ tokens[:, 1:]], 1)

    with pytest.raises(saccade.SaccadeError, match="no token of it is known to be a place of the picture"):
        saccade.look(ByMatrix(), PICTURE, preprocess=prepare)


def test_the_fast_path_is_followed_and_left_as_it_was():
    class UnusualName(Vit):
        """The name of its class token says nothing."""

        def __init__(self):
            super().__init__()
            self.summary = self.class_token
            del self.class_token

        def tokens(self, x):
            patches = self.conv_proj(x).flatten(2).mT
            return torch.cat([self.summary.expand(len(x), -1, -1), patches], 1) + self.positions

    assert torch.backends.mha.get_fastpath_enabled()
    view = saccade.look(UnusualName(), torch.randn(3, SIDE, SIDE))
    assert isinstance(view, PlacesView)
    assert view.grid == (SIDE // PATCH, SIDE // PATCH)
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_usual_model_keeps_its_page():
    assert isinstance(saccade.look(Vit(), PICTURE, preprocess=prepare), VisionView)


def test_features_in_another_order_are_not_shown():
    class TurnsItsOutput(Block):
        turned = False

        def forward(self, x):
            return reversed_patches(super().forward(x)) if self.turned else super().forward(x)

    class Turned(Vit):
        def __init__(self):
            super().__init__()
            self.blocks = nn.Sequential(*(TurnsItsOutput() for _ in range(3)))

    model = Turned()
    assert len(saccade.look(model, PICTURE, preprocess=prepare).extras.features.layers) == 3
    model.blocks[2].turned = True
    view = saccade.look(model, PICTURE, preprocess=prepare)
    assert isinstance(view, VisionView)
    assert view.extras.features is None


def spotted(view):
    """Which cell of the page a bright spot in its picture lies in."""
    rows, columns = view.grid
    grey = view.picture.convert("L")
    y, x = divmod(int(torch.tensor(list(grey.tobytes())).argmax()), grey.width)
    return y * rows // grey.height, x * columns // grey.width


@pytest.mark.parametrize("size", [(41, 37), (37, 48)])
def test_pixels_without_a_patch_are_not_on_the_page(size):
    class Sized(Vit):
        def tokens(self, x):
            patches = self.conv_proj(x).flatten(2).mT
            positions = torch.zeros(1, 1 + patches.shape[1], WIDTH)
            return torch.cat([self.class_token.expand(len(x), -1, -1), patches], 1) + positions

    height, width = size
    rows, columns = height // PATCH, width // PATCH
    for row, column in ((0, 0), (rows - 1, columns - 1), (2, 3)):
        pixels = torch.zeros(3, *size)
        pixels[:, PATCH * row + PATCH // 2, PATCH * column + PATCH // 2] = 1
        view = saccade.look(Sized(), pixels, preprocess=None)
        assert isinstance(view, VisionView)
        assert view.grid == (rows, columns)
        assert view.picture.size == (columns * PATCH, rows * PATCH)
        assert spotted(view) == (row, column)


@pytest.mark.parametrize("explicit", [True, False])
def test_cells_of_an_empty_border_are_not_on_the_page(explicit):
    class Bordered(Vit):
        def tokens(self, x):
            x = F.interpolate(x, (21, 21))
            if explicit:
                return super().tokens(F.pad(x, (7, 7, 7, 7)))
            patches = F.conv2d(x, self.conv_proj.weight, self.conv_proj.bias, PATCH, padding=PATCH).flatten(2).mT
            return torch.cat([self.class_token.expand(len(x), -1, -1), patches], 1) + self.positions

    view = saccade.look(Bordered(), PICTURE, preprocess=prepare)
    assert view.grid == (3, 3)
    assert "16 of 26 tokens are padding around the picture" in view.page_input().targets.notes[0]
    for layer in view.targets.layers:
        cells = layer.targets.cells[0]
        assert cells[0] == NOWHERE  # the class token
        inner = torch.arange(25).view(5, 5)[1:-1, 1:-1].flatten() + 1
        assert torch.equal(cells[inner], torch.arange(9))
        assert int((cells == PADDING).sum()) == 16


def test_a_border_that_shifts_all_cells_is_refused():
    class Bordered(Vit):
        def tokens(self, x):
            return super().tokens(F.pad(F.interpolate(x, (29, 29)), (6, 0, 6, 0)))

    with pytest.raises(saccade.SaccadeError, match="no token of it is known to be a place of the picture"):
        saccade.look(Bordered(), PICTURE, preprocess=prepare)


@pytest.mark.parametrize("smaller", [nn.MaxPool2d(5, 1), nn.AvgPool2d(5, 1), nn.Conv2d(WIDTH, WIDTH, 5)])
def test_windows_that_leave_out_a_border_are_refused(smaller):
    class Reduced(Vit):
        def __init__(self):
            super().__init__()
            self.conv_proj, self.smaller = nn.Conv2d(3, WIDTH, 4, 4), smaller

        def tokens(self, x):
            patches = self.smaller(self.conv_proj(F.pad(x, (0, 1, 0, 1)))).flatten(2).mT
            return torch.cat([self.class_token.expand(len(x), -1, -1), patches], 1) + self.positions

    with pytest.raises(saccade.SaccadeError, match="no token of it is known to be a place of the picture"):
        saccade.look(Reduced(), PICTURE, preprocess=prepare)
