"""What torch.export captures of a module, and which modules are refused."""

import pytest
import torch
from torch import Tensor, nn

from saccade import attend
from saccade.engines.capture import capture
from saccade.engines.signature import Axis, Signature
from saccade.errors import SaccadeError

pytestmark = pytest.mark.usefixtures("unchecked")


def signature(batch: int = 17) -> Signature:
    axes = [("batch", 1, batch, 1), ("channels", 3, 3, 1), ("height", 5, 35, 5), ("width", 5, 35, 5)]
    return Signature(axes=[Axis(name=n, low=a, high=b, step=s) for n, a, b, s in axes], outputs=("mixed",))


class Rows(nn.Module):
    """The rows of a picture attend to one another, under a mask."""

    def __init__(self, mask: str):
        super().__init__()
        self.mask = mask

    def forward(self, pictures: Tensor) -> tuple[Tensor]:
        bias = pictures[:, :1, :, :1]
        mask = {"none": None, "float": bias, "boolean": bias > 0}[self.mask]
        return (attend(pictures, pictures, pictures, mask=mask),)


class Baked(nn.Module):
    def forward(self, pictures: Tensor) -> tuple[Tensor]:
        return (pictures.sum() * len(pictures),)


@pytest.mark.parametrize("mask", ["none", "float"])
def test_any_batch_and_size(mask):
    module = Rows(mask)
    program = capture(module, signature(), (10, 15)).module()
    for shape in [(1, 3, 10, 15), (17, 3, 5, 35)]:
        pictures = torch.randn(shape)
        torch.testing.assert_close(program(pictures), module(pictures))


def test_a_boolean_mask_is_refused():
    with pytest.raises(SaccadeError, match="attends under a boolean mask"):
        capture(Rows("boolean"), signature(), (10, 15))


def test_a_module_that_depends_on_the_batch_is_refused():
    with pytest.raises(SaccadeError, match=r"torch\.export cannot capture the network"):
        capture(Baked(), signature(), (10, 15))


def test_sizes_that_are_taken():
    taken = signature()
    taken.check((1, 3, 5, 35))
    for shape in [(0, 3, 5, 5), (18, 3, 5, 5), (1, 1, 5, 5), (1, 3, 7, 5), (1, 3, 5, 40), (1, 3, 0, 5), (3, 5, 5)]:
        with pytest.raises(SaccadeError, match="batch 1 to 17, channels 3, height 5 to 35 in steps of 5"):
            taken.check(shape)
    with pytest.raises(ValueError, match="does not go in steps of 4"):
        Axis(name="height", low=4, high=35, step=4)
