"""Parts of pictures resized into parts of pictures: both ways agree with each other and with the plain call."""

import pytest
import torch
import torch.nn.functional as F

from saccade.data.augment_ops import resample, resample_batched, resample_loop


def batch(b: int = 13, rows: int = 23, columns: int = 29) -> torch.Tensor:
    return torch.randint(0, 256, (b, 3, rows, columns), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def boxes(b: int, rows: int, columns: int, seed: int) -> torch.Tensor:
    """Random top, left, height, width of at least 3 pixels inside rows x columns."""
    g = torch.Generator().manual_seed(seed)
    h, w = torch.randint(3, rows + 1, (b,), generator=g), torch.randint(3, columns + 1, (b,), generator=g)
    top, left = ((torch.rand(b, generator=g) * (n - side + 1)).long() for n, side in ((rows, h), (columns, w)))
    return torch.stack([top, left, h, w], dim=1)


@pytest.mark.parametrize("size", [(11, 13), (23, 29), (41, 37)])
@pytest.mark.parametrize("whole", [True, False])
def test_both_ways_agree(size, whole):
    pictures, source = batch(), boxes(13, 23, 29, seed=1)
    target = torch.tensor([[0, 0, *size]]).expand(13, 4) if whole else boxes(13, *size, seed=2)
    turned = torch.arange(13) % 2 == 0
    each = resample_loop(pictures, source, size, target, turned, (0.2, 0.4, 0.6))
    both = resample_batched(pictures, source, size, target, turned, (0.2, 0.4, 0.6))
    assert (each - both).abs().max() < 1.01 / 255  # bytes are rounded after each of two passes
    assert (each - both).abs().mean() < 0.4 / 255


def test_one_part_by_hand():
    x = batch(2)
    out = resample(
        x,
        torch.tensor([[3, 5, 7, 11], [0, 0, 23, 29]]),
        (17, 31),
        target=torch.tensor([[2, 1, 13, 19], [0, 0, 17, 31]]),
        mirrored=torch.tensor([True, False]),
        fill=(0.2, 0.4, 0.6),
    )
    part = F.interpolate(x[:1, :, 3:10, 5:16], (13, 19), mode="bilinear", antialias=True)[0] / 255
    expected = torch.tensor([0.2, 0.4, 0.6]).view(3, 1, 1).repeat(1, 17, 31)
    expected[:, 2:15, 1:20] = part
    torch.testing.assert_close(out[0], expected.flip(-1))
    torch.testing.assert_close(out[1], F.interpolate(x[1:], (17, 31), mode="bilinear", antialias=True)[0] / 255)
