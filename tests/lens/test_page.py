"""The code on the pages about the lens runs as it stands."""

import importlib
import re
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import ViTConfig, ViTForImageClassification

import saccade

from ..checkpoints import tiny_detectors
from .models import Attend, Stack, eager

DOCS = Path(__file__).parents[2] / "docs"


class Painter(nn.Module):
    """Patches that attend to themselves, in four blocks."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 14, 11, 11)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 14))
        self.encoder = Stack(a=Attend(), b=Attend())
        self.decoder = Stack(a=Attend(), b=Attend())
        self.head = nn.Linear(14, 5)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = self.encoder(torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1))
        return self.head(self.decoder(x)[:, 0])


def blocks(page):
    """Each block of Python on a page, and the library that it needs besides."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [(code, needs.strip()) for needs, code in re.findall(r"```python([ \w]*)\n(.*?)```", text, re.DOTALL)]


def test_the_page_about_views():
    found, words = [1, 3], Stack(cross=Attend())
    names = {"saccade": saccade, "model": Painter(), "x": torch.randn(2, 3, 22, 33), "found": found}
    names |= {"detr": tiny_detectors.tiny("detr"), "pixels": torch.randn(2, 3, 64, 96)}
    seen = 0
    for code, _ in blocks("views.md"):
        if "trace.words" in code:
            with saccade.watch(words) as names["trace"]:
                words(torch.randn(2, 24, 14), torch.randn(2, 5, 14))
        exec(code, names)
        seen += 1
        if "among" in code:
            assert names["among"].shape == (2, 2, 2)
            calls = names["trace"]["model.decoder.layers.*.self_attn"]
            assert len(calls) == 2
            whole = torch.stack([call.weights().mean(dim=1) for call in calls]).mean(dim=0)
            torch.testing.assert_close(names["among"], whole[:, found][..., found])
    assert seen == 6
    assert {each.shape for each in names["features"].values()} == {(101, 128)}
    assert [len(each) for each in names["trace"].seen["cls"].values()] == [3] * 4
    assert names["tokens"] == saccade.lens.TokenMap((2, 3), 1)


def test_the_page_about_models():
    config = ViTConfig(
        hidden_size=14, num_hidden_layers=2, num_attention_heads=2, intermediate_size=22, image_size=22, patch_size=11
    )
    layer = nn.TransformerEncoderLayer(14, 2, 22, batch_first=True)
    names = {
        "saccade": saccade,
        "torch": torch,
        "vit": ViTForImageClassification(config).eval(),
        "pixels": torch.randn(3, 3, 22, 22),
        "encoder": nn.TransformerEncoder(layer, 2).eval(),
        "mine": Stack(a=Attend(how=eager), b=Attend(how=eager)),
        "tokens": torch.randn(3, 5, 14),
    }
    ran = [code for code, needs in blocks("lens.md") if not needs]
    for code in ran:
        exec(code, names)
        *_, last = ("", *(line for line in code.splitlines() if line.startswith("trace")))
        result = eval(last, names) if last else torch.zeros(3)
        assert result.shape[0] == 3
        assert not names["trace"].missed
        if "backward" in code:
            assert float(names["vit"].vit.embeddings.patch_embeddings.projection.weight.grad.abs().max()) > 0
        if "cut" in code:
            assert len(names["done"].applied) == 2
            assert not result.any()
        if '"blocks.b"' in code:
            assert names["done"].applied == {"blocks.b": 1}
            assert result.shape == (3, 2, 5, 7)
    assert len(ran) == 7


def test_the_blocks_about_words():
    from ..checkpoints.tiny_matchers import END, PAD, START, tiny
    from .watching.test_generate import COLUMNS, ROWS, made_llava

    code = {needs: each for each, needs in blocks("lens.md")}
    llava, prompt = made_llava()
    names = {"saccade": saccade, "llava": llava, "prompt": prompt}
    exec(code["llava"], names)
    assert names["maps"].shape == names["late"].shape == (3, ROWS, COLUMNS)
    assert bool((names["maps"].sum(dim=(1, 2)) <= 1).all())
    ids, padded = torch.tensor([[START, 4, 11, END]]), torch.tensor([[START, PAD, PAD, END]])
    names = {"saccade": saccade, "clip": tiny("clip"), "pixels35": torch.randn(1, 3, 35, 35), "ids": ids}
    names["padded"] = padded
    exec(code["clip"], names)
    found = names["found"]
    assert found.values.shape == (3, 26)
    assert abs(found.shared - float(found.values.sum())) <= 3 * found.gap + 1e-6


@pytest.mark.parametrize("library", ["timm", "diffusers"])
@pytest.mark.filterwarnings("ignore")
def test_the_blocks_of_other_libraries(library):
    ((code, _),) = [(code, needs) for code, needs in blocks("lens.md") if needs == library]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = importlib.import_module(library)
    except Exception as error:  # any: a library that does not fit its torch fails in its own way
        pytest.skip(f"{library} does not import: {error}")
    names = {"saccade": saccade, library: module, "pixels224": torch.randn(1, 3, 224, 224)}
    if library == "diffusers":
        from .watching.test_diffusers import tiny_pipeline

        names["pipe"] = tiny_pipeline()
    exec(code, names)
    assert len(names["trace"])
