"""The segmenter: shapes, odd sizes, and what its answer depends on."""

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

import saccade
from saccade.errors import SaccadeError
from saccade.layers import PixelDecoder
from saccade.layers.pixels import UpBlock
from saccade.models import preset
from saccade.models.segmenter import DotProductHead, Segmenter, SegmenterConfig

CLASSES = 5


def tiny(patch=4, **changes) -> Segmenter:
    torch.manual_seed(0)
    vit = preset("tiny", depth=2, patch=patch, window=2 * patch, grid=(3, 5))
    return Segmenter(SegmenterConfig(vit=vit, classes=CLASSES, **{"depth": 2, "pixel_channels": 8, **changes})).eval()


@pytest.mark.parametrize("patch", [2, 4, 8, 16])
def test_a_logit_a_class_for_every_pixel_and_patch(patch):
    output = tiny(patch)(torch.randn(2, 3, 3 * patch, 7 * patch))
    assert output.logits.shape == (2, CLASSES, 3 * patch, 7 * patch)
    assert output.patch_logits.shape == (2, CLASSES, 3, 7)
    assert output.logits.dtype == torch.float32


def test_pictures_do_not_see_one_another():
    model, x = tiny(), torch.randn(3, 3, 12, 20)
    both, alone = model(x).logits, model(x[1:2]).logits
    torch.testing.assert_close(both[1:2], alone, atol=1e-5, rtol=1e-5)


def test_one_pixel_of_the_picture_moves_the_features_around_it():
    """The skips carry a pixel past its patch's token, to its own place."""
    torch.manual_seed(0)
    decoder, patches, x = PixelDecoder(32, 4, features=8), torch.randn(1, 5, 7, 32), torch.randn(1, 3, 20, 28)
    other = x.clone()
    other[0, :, 9, 17] += 3
    change = (decoder(patches, other) - decoder(patches, x)).abs().amax(dim=1)[0]
    assert change[7:12, 15:20].mean() > 5 * change.mean()


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (7, 2)])
def test_an_up_block_is_a_convolution_of_the_upsampled_input(size):
    """In float64, with its gradients."""
    torch.manual_seed(0)
    block, x = UpBlock(5, 8).double(), torch.randn(2, 5, *size, dtype=torch.float64, requires_grad=True)
    nn.init.normal_(block.norm.weight)
    upsampled = interpolate(x, scale_factor=2.0, mode="nearest")
    expected = block.act(block.norm(block.map(upsampled)))
    torch.testing.assert_close(block(x), expected, atol=1e-12, rtol=1e-12)
    inputs = (x, block.map.weight)
    gradients = torch.autograd.grad(block(x).pow(3).sum(), inputs), torch.autograd.grad(expected.pow(3).sum(), inputs)
    torch.testing.assert_close(*gradients, atol=1e-10, rtol=1e-10)


def test_a_head_compares_queries_with_mapped_features():
    torch.manual_seed(0)
    head, tokens, x = DotProductHead(7, 5).double(), torch.randn(2, 3, 7).double(), torch.randn(2, 5, 3, 11).double()
    scores = torch.einsum("bne,beyx->bnyx", head.query(tokens), head.key(x)) / 5**0.5 + head.bias(tokens)[..., None]
    torch.testing.assert_close(head(tokens, x), scores.float())


@pytest.mark.parametrize("patch", [2, 4])
def test_logits_of_chosen_pixels_are_those_of_the_whole_image(patch):
    model, x = tiny(patch), torch.randn(2, 3, 3 * patch, 7 * patch)
    pixels = torch.stack([torch.arange(21 * patch**2), torch.randint(0, 21 * patch**2, (21 * patch**2,))])
    whole, chosen = model(x), model(x, pixels)
    expected = whole.logits.flatten(2).gather(2, pixels[:, None].expand(-1, CLASSES, -1))
    torch.testing.assert_close(chosen.logits, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(chosen.patch_logits, whole.patch_logits)


def test_class_tokens_look_at_every_patch():
    model = tiny()
    with saccade.watch(model) as trace:
        model(torch.randn(1, 3, 12, 20))
    crossed = [call for call in trace if call.kind == "cross"]
    assert [call.shape for call in crossed] == [(1, 4, CLASSES, 15)] * 2
    assert not trace.missed


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(SaccadeError, match="13 x 12 pixels does not divide into patches of 4"):
        tiny()(torch.randn(1, 3, 12, 13))


@pytest.mark.parametrize(("patch", "fine", "output"), [(6, 16, "power of two"), (1, 16, "power of two"), (8, 12, "12")])
def test_impossible_shapes_are_refused(patch, fine, output):
    with pytest.raises(SaccadeError, match=output):
        PixelDecoder(32, patch, fine)


def test_gradients_reach_every_weight():
    model = tiny().train()
    output = model(torch.randn(2, 3, 12, 20))
    (output.logits.square().mean() + output.patch_logits.square().mean()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
