"""`saccade.look` on modules: the page's numbers are those of maps that the test computes itself."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import saccade
from saccade.errors import DataError, SaccadeError, UsageError
from saccade.studio.any_model import look
from saccade.studio.views.vision import VisionView

PICTURE = Image.effect_mandelbrot((50, 40), (-2, -1, 1, 1), 9).convert("RGB")
SIDE, PATCH, WIDTH, CLASSES = 35, 7, 22, 5
LABELS = [f"kind {i}" for i in range(CLASSES)]


class Block(nn.Module):
    """Attention as torchvision's ViT has it, which keeps its weights where they can be compared."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, 2, dropout=0.3, batch_first=True)
        self.mlp = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 13), nn.GELU(), nn.Linear(13, WIDTH))

    def forward(self, x):
        given = self.norm(x)
        x = x + self.attention(given, given, given, need_weights=False)[0]
        return x + self.mlp(x)


class Vit(nn.Module):
    """A class token, learned positions, three blocks and a head."""

    def __init__(self):
        super().__init__()
        self.conv_proj = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.class_token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.positions = nn.Parameter(torch.randn(1, 26, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(3)))
        self.head = nn.Linear(WIDTH, CLASSES)

    def tokens(self, x):
        patches = self.conv_proj(x).flatten(2).mT
        return torch.cat([self.class_token.expand(len(x), -1, -1), patches], 1) + self.positions

    def forward(self, x):
        return self.head(self.blocks(self.tokens(x))[:, 0])


class Wrapped(nn.Module):
    """A model that takes its picture by name beside another input, and returns logits in an object."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *, pixels, gain):
        return {"scores": self.model(pixels) * gain}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    made = Vit()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(2)  # maps far from even
    return made.train()


def prepare(image):
    """Resizes the shorter side, crops the centre, normalizes: (3 y x)."""
    image = image.resize((45, 36)).crop((5, 0, 40, 35))
    return (torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255 - 0.4) / 0.3


def maps(model, inputs):
    """Every map (h n n), and the logits."""
    found, x = [], model.tokens(inputs)
    for block in model.eval().blocks:
        given = block.norm(x)
        found.append(block.attention(given, given, given, average_attn_weights=False)[1][0])
        x = block(x)
    return found, model.head(x[:, 0])[0]


@pytest.mark.parametrize("form", ["path", "image", "array", "tensor", "batch"])
def test_the_heat_is_the_rollout_of_explicit_maps(tmp_path, model, form):
    PICTURE.save(tmp_path / "picture.png")
    given = {
        "path": tmp_path / "picture.png",
        "image": PICTURE,
        "array": np.array(PICTURE),
        "tensor": prepare(PICTURE),
        "batch": prepare(PICTURE)[None],
    }[form]
    tensor = isinstance(given, torch.Tensor)
    model.train()
    view = saccade.look(model, given, preprocess=None if tensor else prepare, labels=LABELS)
    assert model.training
    assert model.blocks[0].attention.training
    assert isinstance(view, VisionView)
    assert (view.grid, list(view.prefix), view.pixels) == ((5, 5), ["cls"], (SIDE, SIDE))
    with torch.no_grad():
        weights, logits = maps(model, prepare(PICTURE)[None])
    chain = torch.eye(26)
    for one, call in zip(weights, view.trace, strict=True):
        torch.testing.assert_close(call.weights()[0], one, rtol=0, atol=1e-5)
        chain = (one.mean(0) + torch.eye(26)) / 2 @ chain
    torch.testing.assert_close(view.heat.flatten(), chain[0, 1:], rtol=0, atol=1e-5)
    best = logits.softmax(0).sort(descending=True)
    assert [label for label, _ in view.predictions] == [LABELS[i] for i in best.indices]
    assert [p for _, p in view.predictions] == pytest.approx(best.values.tolist(), abs=1e-6)
    assert view.save(tmp_path / "look.html").layers_kept == 3
    assert LABELS[best.indices[0]] in str(view)


def test_the_picture_is_the_part_that_the_model_saw(model):
    seen = look(model, PICTURE, preprocess=prepare).picture
    box = (5 / 45 * 50, 0, 40 / 45 * 50, 35 / 36 * 40)
    expected = PICTURE.resize(seen.size, Image.Resampling.BICUBIC, box=box)
    assert np.abs(np.array(seen, float) - np.array(expected, float)).mean() < 4
    undone = np.array(look(model, prepare(PICTURE)).picture).astype(int)  # how it was prepared is not known
    assert (undone.min(), undone.max()) == (0, 255)


def test_inputs_by_name(model):
    class Logits(dict):
        logits = property(lambda self: self["scores"])

    class Object(Wrapped):
        def forward(self, **inputs):
            return Logits(super().forward(**inputs))

    def by_name(image):
        return {"pixels": prepare(image)[None], "gain": torch.tensor(2.0)}

    view = look(Object(model), PICTURE, preprocess=by_name, labels=LABELS)
    torch.testing.assert_close(view.heat, look(model, PICTURE, preprocess=prepare).heat)
    with torch.no_grad():
        logits = maps(model, prepare(PICTURE)[None])[1]
    assert view.predictions[0][1] == pytest.approx((2 * logits).softmax(0).max().item(), abs=1e-6)


def test_half_precision_and_probabilities(model):
    class Probable(Vit):
        def forward(self, x):
            return super().forward(x).softmax(1)

    likely = Probable()
    likely.load_state_dict(model.state_dict())
    expected = look(model, PICTURE, preprocess=prepare, labels=LABELS).predictions
    found = look(likely, PICTURE, preprocess=prepare, labels=LABELS).predictions
    assert dict(found) == pytest.approx(dict(expected), abs=1e-6)
    view = look(likely.bfloat16(), PICTURE, preprocess=prepare)
    assert view.facts()["precision"] == "bf16"
    assert view.predictions == []


def test_what_is_refused(tmp_path, model):
    for picture, given, message in (
        (PICTURE, {}, "how a picture becomes the input of Vit is not known: give preprocess="),
        (PICTURE, {"preprocess": prepare, "labels": ["one"]}, r"labels= names 1 classes, and Vit returns no tensor"),
        (PICTURE, {"preprocess": prepare, "size": 70}, "texts=, size= and threshold= are not for a module"),
        (PICTURE, {"preprocess": lambda image: 1 / 0}, "ZeroDivisionError"),
        (PICTURE, {"preprocess": lambda image: image}, "expected a tensor"),
        (PICTURE, {"preprocess": lambda image: {"a": torch.ones(2)}}, "which input is the picture cannot be told"),
        (torch.ones(2, 3, SIDE, SIDE), {}, r"expected a tensor \(1 3 y x\), found \(2, 3"),
        (torch.full((3, SIDE, SIDE), torch.nan), {}, "not finite"),
    ):
        with pytest.raises(SaccadeError, match=message):
            look(model, picture, **given)
    with pytest.raises(DataError, match="does not exist"):
        look(model, tmp_path / "none.png", preprocess=prepare)
    with pytest.raises(SaccadeError, match="preprocess= and labels= are for modules; cifar has its own"):
        look("cifar", PICTURE, labels=LABELS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": [1, 2, 3, 4, 5]}, r"labels=\[1, 2, 3, 4, 5\]: expected a list of strings"),
        ({"labels": "abcde"}, "labels='abcde': expected a list of strings"),
        ({"labels": LABELS, "classes": [None]}, r"classes=\[None\]: expected a list of strings"),
        ({"labels": LABELS, "top": -1}, "top=-1: expected a whole number of 1 or more"),
        ({"labels": LABELS, "top": "3"}, "top='3': expected a whole number"),
    ],
)
def test_options_of_another_type(model, options, message):
    with pytest.raises(UsageError, match=message):
        look(model, PICTURE, preprocess=prepare, **options)


def test_what_is_no_model():
    with pytest.raises(UsageError, match=r"found the class Vit \(an instance is needed\)"):
        look(Vit, PICTURE, preprocess=prepare)
    with pytest.raises(UsageError, match=r"a task of saccade.load or a module, found <class 'NoneType'>"):
        look(None, PICTURE)
    with pytest.raises(UsageError, match="Vit has weights on the meta device"):
        look(Vit().to("meta"), PICTURE, preprocess=prepare)


def test_a_model_that_fails_while_class_maps_are_made(model):
    class Once(Vit):
        def forward(self, x):
            if torch.is_grad_enabled():
                raise KeyError("two\nlines")
            return super().forward(x)

    view = look(Once(), PICTURE, preprocess=prepare, labels=LABELS)
    assert view.extras.classes is None
    assert [note for note in view.notes if note.startswith("no class maps: KeyError: ") and "\n" not in note]


def test_places_that_cannot_be_told(model):
    class Multiplied(Vit):
        def tokens(self, x):
            return torch.eye(20, 26) @ super().tokens(x)

    with pytest.raises(SaccadeError, match="no page shows it"):
        look(Multiplied(), PICTURE, preprocess=prepare)
    with pytest.raises(SaccadeError, match="no page shows it"):
        look(nn.Conv2d(3, 5, 7), PICTURE, preprocess=prepare)


def test_a_task_and_a_name_are_looked_at_as_by_the_command():
    from saccade.data import Picture
    from saccade.studio.look import look as look_with_task

    task = saccade.load("cifar")
    expected = look_with_task(task, Picture(PICTURE))
    for given in ("cifar", task):
        view = saccade.look(given, PICTURE)
        assert view.predictions == expected.predictions
        assert torch.equal(view.heat, expected.heat)


def test_the_page_about_models(tmp_path, monkeypatch, model):
    text = (Path(__file__).parents[2] / "docs" / "lens.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python look\n(.*?)```", text, re.DOTALL)
    PICTURE.save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    names = {"saccade": saccade, "model": model, "transform": prepare, "names": LABELS}
    exec(code, names)
    assert names["view"].heat.shape == (5, 5)
    assert (tmp_path / "look.html").stat().st_size > 10_000


class Unfolded(Vit):
    """Patches are cut by views, not by a convolution, and the class token has a name of its owner's."""

    def __init__(self, name):
        super().__init__()
        self.conv_proj = nn.Linear(3 * PATCH * PATCH, WIDTH)
        del self.class_token
        self.name = name
        setattr(self, name, nn.Parameter(torch.randn(1, 1, WIDTH)))

    def tokens(self, x):
        cells = x.unflatten(3, (-1, PATCH)).unflatten(2, (-1, PATCH)).permute(0, 2, 4, 3, 5, 1)
        patches = self.conv_proj(cells.flatten(3).flatten(1, 2))
        return torch.cat([getattr(self, self.name).expand(len(x), -1, -1), patches], 1) + self.positions


def test_an_own_model_has_the_page_of_encoders_where_its_tokens_are_known():
    torch.manual_seed(5)
    view = look(Unfolded("cls").eval(), PICTURE, preprocess=prepare, labels=LABELS)
    assert isinstance(view, VisionView)
    assert (view.grid, list(view.prefix), view.target) == ((5, 5), ["cls"], 0)
    assert view.extras.features is not None
    assert view.heat.shape == (5, 5)
    assert not isinstance(look(Unfolded("query").eval(), PICTURE, preprocess=prepare, labels=LABELS), VisionView)


class Changed(Block):
    """Attention in separate operations, which changes its weights, or values in another order than keys."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
        if self.how == "values":
            v = v.flip(2)
        elif self.how == "heads":
            weights = torch.einsum("bhnm,hg->bgnm", weights, torch.tensor([[0.7, 0.3], [-0.2, 1.2]]))
        elif self.how == "sums":
            weights = weights.cumsum(-1)
        return x + self.out((weights @ v).transpose(1, 2).flatten(2))


@pytest.mark.parametrize(("how", "operation"), [("heads", "einsum"), ("sums", "cumsum"), ("", "")])
def test_weights_that_are_changed_after_the_softmax_are_noted(how, operation, tmp_path):
    made = Vit()
    made.blocks = nn.Sequential(Changed(how), Changed(how))
    notes = look(made.eval(), PICTURE, preprocess=prepare).save(tmp_path / "page.html").notes
    found = [note for note in notes if note.startswith("blocks.0, blocks.1: weights before")]
    assert len(found) == bool(how)
    assert all(f"weights before {operation}, which the model applies to them" in note for note in found)


def test_values_in_another_order_than_keys_are_refused():
    made = Vit()
    made.blocks = nn.Sequential(Changed("values"), Changed("values"))
    with pytest.raises(SaccadeError, match="its values lie at other places than its keys"):
        look(made.eval(), PICTURE, preprocess=prepare)
