"""What words and patches add to a dual encoder's similarity together, against whole Jacobians."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("transformers")
from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

from saccade.errors import SaccadeError
from saccade.lens.explaining.interactions import Tower, interactions

PAD, BOS, EOS = 0, 1, 36  # the end is found by its number, which is not 2 (that means: the largest)
WORDS = [[1], [3, 4]]


def tiny(family):
    torch.manual_seed(5)
    small = {"hidden_size": 24, "intermediate_size": 19, "num_hidden_layers": 3, "num_attention_heads": 2}
    text = {**small, "vocab_size": 37, "max_position_embeddings": 11, "eos_token_id": EOS, "bos_token_id": BOS}
    vision = {**small, "image_size": 35, "patch_size": 7}
    if family == "siglip":
        model = SiglipModel(SiglipConfig(text_config={**text, "projection_size": 24}, vision_config=vision))
    else:
        text, vision = {**text, "projection_dim": 13}, {**vision, "projection_dim": 13}
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=13))
    for p in model.parameters():
        nn.init.normal_(p, std=0.2)
    return model.double().eval()


def towers(model, depth):
    pixels = torch.randn(1, 3, 35, 35, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    ids = torch.tensor([[BOS, 17, 23, 5, 31, 29, EOS]])
    blank = torch.where((ids == BOS) | (ids == EOS), ids, PAD)
    picture = Tower(
        lambda **given: model.get_image_features(**given).pooler_output,
        {"pixel_values": pixels}, {"pixel_values": torch.zeros_like(pixels)}, model.vision_model.encoder.layers[depth],
    )  # fmt: skip
    text = Tower(
        lambda **given: model.get_text_features(**given).pooler_output,
        {"input_ids": ids}, {"input_ids": blank}, model.text_model.encoder.layers[depth],
    )  # fmt: skip
    return picture, text


def jacobians(tower, steps):
    """Σ_c J[d, i, c] (x − r)[i, c] of every token i, by whole Jacobians at the points of the rule; and f(x), f(r)."""
    met = []
    handle = tower.layer.register_forward_pre_hook(lambda _, args: met.append(args[0].detach()))
    with torch.no_grad():
        full = tower.encode(**tower.given)[0]
        tower.encode(**tower.nothing)
    handle.remove()
    x, r = met

    def encode(tokens):
        handle = tower.layer.register_forward_pre_hook(lambda _, args: (tokens, *args[1:]))
        out = tower.encode(**tower.given)[0]
        handle.remove()
        return out

    nodes, weights = np.polynomial.legendre.leggauss(steps)
    whole = sum(
        0.5 * w * torch.autograd.functional.jacobian(encode, r + 0.5 * (t + 1) * (x - r))[:, 0]
        for t, w in zip(nodes.tolist(), weights.tolist(), strict=True)
    )
    return (whole * (x - r)).sum(dim=-1), full, encode(r).detach()


@pytest.mark.parametrize(("family", "depth"), [("clip", 0), ("clip", 2), ("siglip", 0), ("siglip", 2)])
def test_whole_jacobians(family, depth):
    picture, text = towers(tiny(family), depth)
    found = interactions(picture, text, WORDS, steps=5)
    (w, f, f_r), (u, g, g_r) = jacobians(picture, 5), jacobians(text, 5)
    pairs = u.T @ w / (f.norm() * g.norm())
    rest = [0, 2, 5, 6]
    expected = torch.stack([pairs[1], pairs[3] + pairs[4], pairs[rest].sum(dim=0)])
    assert found.values.shape == (3, 25 + (family == "clip"))
    torch.testing.assert_close(found.values, expected, atol=1e-12, rtol=1e-9)
    assert found.similarity == pytest.approx(float(torch.cosine_similarity(f, g, dim=0)), abs=1e-12)
    assert found.shared == pytest.approx(float((f - f_r) @ (g - g_r) / (f.norm() * g.norm())), abs=1e-12)
    assert float((expected.sum() - found.shared).abs()) <= 3 * found.gap + 1e-12


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_pairs_add_up_to_the_similarity(family):
    """As the rule gets finer, all of it is told."""
    picture, text = towers(tiny(family), 1)
    gaps = [interactions(picture, text, WORDS, steps=steps).gap for steps in (1, 4, 32)]
    assert gaps[0] > gaps[1] > gaps[2]
    fine = interactions(picture, text, WORDS, steps=64)
    assert fine.gap < 1e-7
    assert float(fine.values.sum()) == pytest.approx(fine.shared, abs=1e-6)


def test_linear_towers_by_hand():
    """f = mean of the tokens times a matrix: one step is exact, and a pair is a plain product."""

    class Linear(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.layer, self.out = nn.Identity(), nn.Linear(width, 3, bias=False, dtype=torch.double)

        def forward(self, tokens):
            return self.out(self.layer(tokens)).mean(dim=1)

    torch.manual_seed(2)
    a, b = Linear(5), Linear(7)
    x, y = torch.randn(1, 4, 5, dtype=torch.double), torch.randn(1, 2, 7, dtype=torch.double)
    of = [Tower(m, {"tokens": t}, {"tokens": torch.zeros_like(t)}, m.layer) for m, t in ((a, x), (b, y))]
    found = interactions(of[0], of[1], [[1]], steps=1)
    w, u = a.out(x)[0] / 4, b.out(y)[0] / 2
    expected = u.flip(0) @ w.T / (w.sum(0).norm() * u.sum(0).norm())
    torch.testing.assert_close(found.values, expected.detach())
    assert found.similarity == pytest.approx(found.shared)
    assert found.gap < 1e-12


def test_the_model_is_left_as_it_was():
    model = tiny("clip")
    picture, text = towers(model, 1)
    with torch.no_grad():
        before = model.get_image_features(**picture.given).pooler_output
        interactions(picture, text, WORDS, steps=1)
        assert torch.equal(model.get_image_features(**picture.given).pooler_output, before)
    assert all(p.grad is None for p in model.parameters())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_bad_inputs():
    model = tiny("clip")
    picture, text = towers(model, 1)
    for words in ([[]], [[7]], [[1], [1]], [[-1]], [["a"]]):
        with pytest.raises(SaccadeError, match="words"):
            interactions(picture, text, words)
    with pytest.raises(SaccadeError, match="steps=0: expected 1 or more"):
        interactions(picture, text, WORDS, steps=0)
    make = partial(Tower, picture.encode, picture.given, picture.nothing)
    with pytest.raises(SaccadeError, match=r"Linear was entered with nothing"):
        interactions(make(model.text_projection), text, WORDS)
    with pytest.raises(SaccadeError, match=r"Conv2d was entered with \[\(1, 3, 35, 35\)\]; expected once"):
        interactions(make(model.vision_model.embeddings.patch_embedding), text, WORDS)
    broken = Tower(picture.encode, {"pixel_values": picture.given["pixel_values"] * torch.nan}, picture.nothing,
                   picture.layer)  # fmt: skip
    with pytest.raises(SaccadeError, match="an embedding is not finite"):
        interactions(broken, text, WORDS)
    restless = tiny("clip")
    for block in restless.text_model.encoder.layers:
        block.self_attn.dropout = 0.5
    with pytest.raises(SaccadeError, match=r"call model.eval\(\) first"):
        interactions(picture, towers(restless.train(), 1)[1], WORDS)
    with pytest.raises(SaccadeError, match="the picture's embedding has 13 numbers, the text's 24"):
        interactions(picture, towers(tiny("siglip"), 1)[1], WORDS)
