"""Frames as tokens and back."""

import torch
from einops import rearrange

from saccade.layers import FrameEmbed, FrameOutput
from saccade.ops import patchify


def test_tubes_are_means_of_two_maps():
    embed, z = FrameEmbed(4 * 3, 2, 7, films=True), torch.randn(2, 5, 3, 4, 6)
    found = rearrange(embed(z), "b (g n) d -> b g n d", g=3)
    patches = [patchify(z[:, i], 2) for i in range(5)]
    torch.testing.assert_close(found[:, 0], embed.first(patches[0]))
    torch.testing.assert_close(found[:, 2], (embed.first(patches[3]) + embed.second(patches[4])) / 2)
    torch.testing.assert_close(found[:, :1].flatten(1, 2), embed(z[:, :1]))
    torch.testing.assert_close(found[:, 1:].flatten(1, 2), embed(z[:, 1:]))


def test_both_frames_of_a_tube_come_back():
    """With maps that keep the pixels, frames are what they were."""
    embed, out = FrameEmbed(12, 2, 24, films=True), FrameOutput(12, 2, 24, films=True)
    eye, none = torch.eye(12), torch.zeros(12, 12)
    with torch.no_grad():
        for module, weight in ((embed.first, [eye, none]), (embed.second, [none, eye])):
            module.weight.copy_(torch.cat(weight))
            module.bias.zero_()
        out.first.weight.copy_(torch.cat([eye, none], dim=1))
        out.second.weight.copy_(torch.cat([none, eye], dim=1))
    for frames in (1, 2, 5, 6):
        z = torch.randn(2, frames, 3, 4, 6)
        expected = z.clone()
        expected[:, frames % 2 :] /= 2
        torch.testing.assert_close(out(embed(z), frames, (2, 3)), expected)


def test_output_starts_at_zero():
    assert not FrameOutput(12, 2, 5, films=True)(torch.randn(1, 12, 5), 3, (2, 3)).any()
