"""The matcher: two towers, the head, and what is seen of them."""

import itertools
import math

import pytest
import torch
from safetensors.torch import load_file, save_file

import saccade
from saccade.errors import SaccadeError
from saccade.models import Matcher, MatcherConfig, preset
from saccade.models.matcher import patch_positions, soft_minimum

CONFIG = {
    "vit": {"block": {"width": 20, "heads": 5, "hidden": 7}, "depth": 2, "patch": 4, "positions": ("rotary",),
            "grid": (3, 5)},
    "text": {"block": {"width": 12, "heads": 3, "hidden": 7}, "depth": 2},
    "width": 6,
    "depth": 2,
}  # fmt: skip
TEXTS = ["a red star left of a blue ring", "빨간 별", "ring"]


def matcher() -> Matcher:
    model = Matcher(MatcherConfig.model_validate(CONFIG)).eval()
    for parameter in model.parameters():
        if parameter.ndim:
            torch.nn.init.normal_(parameter, std=0.5)
    return model


def pixels(b: int = 3) -> torch.Tensor:
    return torch.randn(b, 3, 12, 20)


def test_similarity_is_the_equation_of_siglip():
    model = matcher()
    pictures, texts = model.encode_pictures(pixels(5)), model.encode_texts(model.tokenize(TEXTS))
    torch.testing.assert_close(pictures.vector.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(texts.vector.norm(dim=1), torch.ones(3))
    found = model.similarity(pictures.vector, texts.vector)
    expected = 10 * torch.einsum("ie,je->ij", pictures.vector, texts.vector) - 10
    torch.testing.assert_close(found, expected)


def test_a_text_is_matched_the_same_in_every_batch():
    model = matcher()
    pictures, texts = model.encode_pictures(pixels()), model.encode_texts(model.tokenize(TEXTS))
    match = model.match(pictures.tokens, texts.tokens, texts.mask)
    assert torch.equal(match.words.isfinite(), texts.mask)
    for i, text in enumerate(TEXTS):
        alone = model.encode_texts(model.tokenize([text]))
        torch.testing.assert_close(alone.vector[0], texts.vector[i], atol=1e-6, rtol=0)
        one = model.match(pictures.tokens[i : i + 1], alone.tokens, alone.mask)
        torch.testing.assert_close(one.logits[0], match.logits[i], atol=1e-5, rtol=0)


def test_several_texts_of_a_picture():
    model = matcher()
    pictures, texts = model.encode_pictures(pixels(2)), model.encode_texts(model.tokenize([*TEXTS, *reversed(TEXTS)]))
    grouped = model.match(pictures.tokens, texts.tokens, texts.mask).logits
    paired = model.match(pictures.tokens.repeat_interleave(3, dim=0), texts.tokens, texts.mask).logits
    torch.testing.assert_close(grouped, paired, atol=1e-5, rtol=0)
    with pytest.raises(SaccadeError, match="5 texts for 2 pictures"):
        model.match(pictures.tokens, texts.tokens[:5], texts.mask[:5])


def test_the_head_sees_the_picture_and_every_word():
    model = matcher()
    pictures, texts = model.encode_pictures(pixels(2)), model.encode_texts(model.tokenize(["red star", "red ring"]))
    pairs = [model.match(p[None], t[None], m[None]).logits.item() for (p, (t, m)) in itertools.product(
        pictures.tokens, zip(texts.tokens, texts.mask, strict=True))]  # fmt: skip
    assert min(abs(a - b) for a, b in itertools.combinations(pairs, 2)) > 1e-4


def test_soft_minimum_is_its_equation():
    logits = torch.tensor([[1.5, -2.0, 0.5], [3.0, 3.0, math.inf]], dtype=torch.float64)
    expected = [-math.log((math.exp(-1.5) + math.exp(2) + math.exp(-0.5)) / 3), 3.0]
    assert soft_minimum(logits).tolist() == pytest.approx(expected, rel=1e-12)


def test_places_are_those_of_the_picture_at_any_resolution():
    config = MatcherConfig.model_validate(CONFIG).vit
    coarse, fine = patch_positions((1, 1), config), patch_positions((3, 5), config)
    torch.testing.assert_close(coarse[0], fine[7])  # the middle of the picture
    assert torch.cdist(fine, fine).fill_diagonal_(1).min() > 0.1


def test_gradients_reach_every_parameter_and_are_finite():
    model = matcher()
    similarity, match = model(pixels(), model.tokenize(TEXTS))
    (similarity.square().sum() + match.logits.square().sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_every_attention_call_is_seen():
    model = matcher()
    words = model.tokenize(TEXTS)
    with saccade.watch(model) as trace:
        model(pixels(), words)
    u, w = words.ids.shape
    assert trace.missed == {}
    assert [(call.name, call.kind, call.shape) for call in trace] == [
        ("vit.blocks.0.attention", "self", (3, 5, 16, 16)),
        ("vit.blocks.1.attention", "self", (3, 5, 16, 16)),
        ("picture_pool.attention", "cross", (3, 3, 1, 15)),
        ("text.pool.attention", "cross", (u, 3, 1, w)),
        ("text.blocks.0.attention", "self", (3, 3, 8, 8)),
        ("text.blocks.1.attention", "self", (3, 3, 8, 8)),
        ("text_pool.attention", "cross", (3, 3, 1, 8)),
        ("head.blocks.0.self_attention", "self", (3, 3, 8, 8)),
        ("head.blocks.0.cross_attention", "cross", (3, 3, 8, 15)),
        ("head.blocks.1.self_attention", "self", (3, 3, 8, 8)),
        ("head.blocks.1.cross_attention", "cross", (3, 3, 8, 15)),
    ]
    maps = trace["head.blocks.1.cross_attention"][0].weights()
    torch.testing.assert_close(maps.sum(dim=-1), torch.ones(3, 3, 8))


def test_watching_changes_nothing_and_names_calls_of_one_tower():
    model = matcher()
    words = model.tokenize(TEXTS)
    with saccade.watch(model) as trace:
        watched = model.encode_texts(words)
    assert torch.equal(watched.vector, model.encode_texts(words).vector)
    assert len(trace) == 4


def test_weights_survive_a_file(tmp_path):
    model, other = matcher(), matcher()
    save_file(model.state_dict(), tmp_path / "m.safetensors")
    other.load_state_dict(load_file(tmp_path / "m.safetensors"))
    picture, words = pixels(), model.tokenize(TEXTS)
    assert torch.equal(model(picture, words)[1].logits, other(picture, words)[1].logits)


def test_bf16_is_close_to_fp32():
    model = matcher()
    picture, words = pixels(), model.tokenize(TEXTS)
    exact = model(picture, words)
    with torch.autocast("cpu", torch.bfloat16):
        half = model(picture, words)
    assert half[0].dtype == half[1].logits.dtype == torch.float32
    assert (half[0] - exact[0]).abs().max() < 0.5
    assert (half[1].logits - exact[1].logits).abs().max() < 0.5


def test_the_matcher_on_the_bundled_encoder_fits_its_file():
    with torch.device("meta"):
        model = Matcher(MatcherConfig(vit=preset("small/8")))
    assert sum(p.numel() for p in model.parameters()) <= 2_900_000  # 6 MB in fp16
