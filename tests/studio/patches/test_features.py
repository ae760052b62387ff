"""Features of patches on a page: cosines and principal components are those of torch in float64, to what is stated."""

import json
from pathlib import Path

import pytest
import torch

import saccade.studio.patches.extras
from saccade.data import Picture
from saccade.errors import SaccadeError
from saccade.studio.look import look
from saccade.studio.page.page import write_page
from saccade.studio.patches import features as module
from saccade.studio.patches.features import (
    Features,
    pack_features,
    principal_components,
    record_features,
    rotate_features,
)
from saccade.studio.views import LookOptions

from ...tasks import tiny
from ..made_up import page, trace
from ..node import decode, needs_node


def in_node(viewer, path, **asked):
    return decode(viewer, Path(__file__).with_name("decode_features.mjs"), path, asked)


def red(size=(23, 19)):
    return Picture(tiny.picture("red", size=size), "red.png", ())


def made_up(names, tokens=17, width=23):
    """Features with a common direction and few strong axes, as real ones have."""
    axes = torch.randn(width, width) * torch.logspace(0, -2, width)[:, None]
    return Features({name: torch.randn(tokens, width) @ axes + 0.7 for name in names}, True)


def cosines(a, b):
    a, b = a.double(), b.double()
    return (a @ b.T) / (a.norm(dim=1)[:, None] * b.norm(dim=1))


@needs_node
def test_similarity_and_components_in_the_page_are_torchs(tmp_path, node_viewer):
    calls, one, two = trace(), made_up(["blocks.0.attn", "blocks.1.attn"]), made_up(["blocks.1.attn", "blocks.0.attn"])
    other = saccade.studio.patches.extras.OtherImage("other.png", red().image, (3, 5), two)
    extras = saccade.studio.patches.extras.Extras(one, other)
    report = write_page(tmp_path / "look.html", page(calls, extras=extras))
    got = in_node(node_viewer, report.path, layer=1, token=7)
    first, second = one.layers["blocks.1.attn"], two.layers["blocks.1.attn"]
    stated = json.loads(report.path.read_text().split('id="content">')[1].split("</script>")[0])["features"]["layers"]
    close = {"rtol": 0, "atol": max(stated[1]["largest"], 0.004) + 1e-6}
    torch.testing.assert_close(torch.tensor(got["similarity"]).double(), cosines(first, first)[7], **close)
    torch.testing.assert_close(torch.tensor(got["across"]).double(), cosines(first, second)[7], **close)
    assert got["similarity"][7] == pytest.approx(1, abs=1e-6)
    patches = torch.cat([first[2:], second[2:]]).double()
    centred = patches - patches.mean(dim=0)
    _, s, vt = torch.linalg.svd(centred, full_matrices=False)
    signs = vt[:3].gather(1, vt[:3].abs().argmax(dim=1, keepdim=True)).sign()
    expected = centred @ (vt[:3] * signs).T
    for i, image in enumerate(got["pca"]):
        scores = torch.tensor(image).double().T
        torch.testing.assert_close(
            scores, expected[15 * i : 15 * (i + 1)], rtol=0, atol=float(expected.abs().max()) / 2000
        )
    assert stated[1]["shares"] == pytest.approx((s.square() / s.square().sum())[:3].tolist())
    span = expected.amax(dim=0) - expected.amin(dim=0)
    colours = ((expected[:15] - expected.amin(dim=0)) / span * 255).flatten()
    assert (torch.tensor(got["colours"]) - colours).abs().max() <= 1


@needs_node
def test_scale_and_best_match_leave_the_token_itself_out(tmp_path, node_viewer):
    calls, one = trace(), made_up(["blocks.0.attn", "blocks.1.attn"])
    report = write_page(tmp_path / "look.html", page(calls, extras=saccade.studio.patches.extras.Extras(one)))
    got = in_node(node_viewer, report.path, layer=0, token=4)
    expected = cosines(*[one.layers["blocks.0.attn"]] * 2)[4, 2:]
    others = torch.cat([expected[:2], expected[3:]])
    assert (got["map"]["low"], got["map"]["end"]) == pytest.approx(
        (float(others.min()), float(others.max())), abs=0.005
    )
    best = int(expected.where(torch.arange(15) != 2, -2).argmax())
    assert f'row\\":{best // 5 + 1},\\"column\\":{best % 5 + 1}' in got["map"]["text"].replace("\\\\", "\\")
    assert got["views"] == ["row", "column", "rollout", "similarity", "pca"]


@needs_node
def test_similarity_to_the_mean_of_all_patches(tmp_path, node_viewer):
    one = made_up(["blocks.0.attn", "blocks.1.attn"])
    report = write_page(
        tmp_path / "look.html", page(trace(), target="mean", extras=saccade.studio.patches.extras.Extras(one))
    )
    got = in_node(node_viewer, report.path, layer=1, token=17)
    tokens = one.layers["blocks.1.attn"].double()
    units = tokens / tokens.norm(dim=1, keepdim=True)
    expected = cosines(units[2:].mean(dim=0, keepdim=True), tokens)[0]
    torch.testing.assert_close(torch.tensor(got["similarity"]).double(), expected, rtol=0, atol=0.005)


def test_features_are_those_after_each_block_and_the_final_norm():
    task = tiny.task(registers=2)
    found = look(task, red())
    inputs = task.preprocess(red().image)[None]
    tokens, vit = [], task.model.vit
    hooks = [block.register_forward_hook(lambda *given: tokens.append(given[2])) for block in vit.blocks]
    with torch.no_grad():
        final = vit(inputs)[0]
        for hook in hooks:
            hook.remove()
        expected = [vit.final_norm(each)[0] for each in tokens]
    layers = list(found.extras.features.layers.values())
    assert found.extras.features.normed
    torch.testing.assert_close(layers, expected, rtol=0, atol=0)
    torch.testing.assert_close(layers[-1], final, rtol=0, atol=0)
    assert list(found.extras.features.layers) == [call.name for call in found.trace]


def test_a_block_that_runs_twice_has_no_features():
    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.ModuleList([torch.nn.Linear(7, 7)])

        def forward(self, x):
            return self.layers[0](self.layers[0](x))

    model, calls = Twice(), trace(layers=1)
    calls[0].name = "layers.0.attn"
    with record_features(model) as recorder:
        model(torch.randn(1, 17, 7))
    assert recorder.features(list(calls)) is None
    assert not model.layers[0]._forward_hooks


def test_the_sign_of_a_component_is_fixed():
    x = torch.randn(29, 11)
    scores, shares, axes = principal_components(x)
    turned, _, _ = principal_components(x.flip(0))
    torch.testing.assert_close(turned.flip(0), scores)
    assert shares == sorted(shares, reverse=True)
    torch.testing.assert_close(axes.T @ axes, torch.eye(11).double())
    scores, shares, _ = principal_components(torch.randn(13, 2))
    assert scores.shape == (13, 3)
    assert (scores[:, 2] == 0).all()
    assert shares[2] == 0


@pytest.mark.parametrize(("bytes_", "numbers"), [(3000, 10**9), (10**9, 2 * 17 * 23)])
def test_a_page_stays_small(monkeypatch, bytes_, numbers):
    monkeypatch.setattr(module, "MOST_BYTES", bytes_)
    monkeypatch.setattr(module, "MOST_NUMBERS", numbers)
    names = [f"blocks.{i}.attn" for i in range(7)]
    packed = pack_features([made_up(names)], [(3, 5)], names)
    kept = [i for i, layer in enumerate(packed) if layer is not None]
    assert kept[-1] == 6
    assert len(kept) < 7
    assert sum(layer.size for layer in packed if layer is not None) <= bytes_
    if numbers < 10**9:
        assert kept == [0, 6]


def test_the_stated_error_is_that_of_all_tokens():
    features = made_up(["a"], tokens=33, width=19)
    (packed,) = pack_features([features], [(4, 8)], ["a"])
    assert 0 < packed.meta["typical"] < packed.meta["largest"] < 0.02


def test_two_pictures_need_features(tmp_path):
    found = look(tiny.task(), red(), LookOptions(other=Picture(tiny.picture("blue"), "some/blue.png", ())))
    assert found.extras.other.name == "blue.png"
    assert found.extras.other.grid == (4, 4)
    assert found.click_hint == "a patch of either picture"
    shared = json.loads(write(found, tmp_path).split('id="content">')[1].split("</script>")[0])
    assert shared["other"]["name"] == "blue.png"


def write(view, folder):
    return view.page(folder / "page.html").path.read_text()


def test_what_cannot_be_compared_says_so(monkeypatch):
    monkeypatch.setattr("saccade.studio.patches.features.FeatureRecorder.features", lambda *_: None)
    with pytest.raises(SaccadeError, match="two pictures are compared by features of patches"):
        look(tiny.task(), red(), LookOptions(other=red()))


def test_fewer_tokens_than_numbers_are_rotated_in_the_space_that_they_span():
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(2, 13, 41, generator=generator)  # of two images: 26 tokens, 41 numbers
    found = rotate_features(list(features), [(3, 4), (3, 4)])
    assert found.units[0].shape == (13, 26)
    scores, shares, _ = principal_components(features[:, 1:].flatten(0, 1))  # on all 41 axes
    torch.testing.assert_close(torch.cat(found.components), scores)
    assert found.shares == pytest.approx(shares)
    one, other = found.units
    expected = torch.cosine_similarity(features[0][:, None], features[1][None], dim=-1)
    torch.testing.assert_close(one @ other.T, expected, atol=1e-6, rtol=0)
