"""What kernels of other devices return and pad, brought to one form."""

import pytest
import torch

from saccade.lens.attention.args import AttentionArgs, as_four_axes, kernel_inputs
from saccade.lens.attention.kernels import KernelCall, unpadded_lse


@pytest.mark.parametrize("shape", [(2, 3, 7), (2, 3, 32), (2, 3, 7, 1)])
def test_lse_of_any_kernel(shape):
    lse = torch.randn(shape)
    got = unpadded_lse(lse, torch.zeros(2, 3, 7, 5))
    assert torch.equal(got, lse.reshape(2, 3, -1)[:, :, :7])


@pytest.mark.parametrize("shape", [(0,), (2, 3, 0), (2, 1, 7), (6, 7)])
def test_lse_that_was_left_out_or_is_of_another_form(shape):
    assert unpadded_lse(torch.zeros(shape), torch.zeros(2, 3, 7, 5)) is None


def test_padding_and_repeated_heads_are_undone():
    q, k, v = torch.randn(2, 6, 7, 5), torch.randn(2, 2, 11, 5), torch.randn(2, 2, 11, 5)
    padded = [torch.nn.functional.pad(t, (0, 3)).bfloat16() for t in (q, k.repeat_interleave(3, 1), v)]
    mask = torch.randn(7, 11)
    seen = KernelCall(*padded, mask.bfloat16(), False, 0.4, None)
    got = kernel_inputs(AttentionArgs(q, k, v, mask), seen)
    for a, b in zip(got, (q, k, v, mask), strict=True):
        assert torch.equal(a, b.bfloat16())


@pytest.mark.parametrize(
    ("shapes", "folded"),
    [
        (((7, 5), (11, 5)), ((1, 1, 7, 5), (1, 1, 11, 5))),
        (((3, 7, 5), (3, 11, 5)), ((3, 1, 7, 5), (3, 1, 11, 5))),
        (((1, 2, 7, 5), (3, 2, 11, 5)), ((3, 2, 7, 5), (3, 2, 11, 5))),
        (((2, 3, 2, 7, 5), (2, 1, 2, 11, 5)), ((6, 2, 7, 5), (6, 2, 11, 5))),
        (((3, 1, 7, 5), (3, 2, 11, 5)), ((3, 2, 7, 5), (3, 2, 11, 5))),
        (((2, 7, 5), (3, 2, 11, 5)), ((3, 2, 7, 5), (3, 2, 11, 5))),
    ],
)
@pytest.mark.parametrize("masked", [False, True])
def test_any_number_of_axes_gives_the_weights_of_the_call(shapes, folded, masked):
    q, k = (torch.randn(shape) for shape in shapes)
    v = torch.eye(11).expand(*k.shape[:-1], 11)  # so that the output of the call is its weights
    lead = torch.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    mask = torch.rand(*lead, 7, 11) > 0.3 if masked else None
    q4, k4, _, mask4 = as_four_axes(AttentionArgs(q, k, v, mask))
    assert (q4.shape, k4.shape) == folded
    scores = q4 @ k4.mT / 5**0.5
    scores = scores if mask4 is None else scores.masked_fill(~mask4, -torch.inf)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(scores.softmax(-1).reshape(expected.shape), expected)
