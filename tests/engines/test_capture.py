"""What torch.export captures of a module, and which modules are refused."""

import math

import pytest
import torch
from torch import Tensor, nn

from saccade import attend
from saccade.engines.capture import capture
from saccade.engines.run import ENGINES, EngineNetwork
from saccade.engines.signature import Axis, Input, Signature
from saccade.engines.write import FORMATS
from saccade.errors import SaccadeError

pytestmark = pytest.mark.usefixtures("unchecked")
EXAMPLE = (torch.zeros(2, 3, 10, 15),)
SHAPES = [(1, 3, 10, 15), (17, 3, 5, 35), (2, 3, 15, 5)]


def signature(batch: int = 17) -> Signature:
    axes = [("batch", 1, batch, 1), ("channels", 3, 3, 1), ("height", 5, 35, 5), ("width", 5, 35, 5)]
    pictures = Input(name="pictures", axes=[Axis(name=n, low=a, high=b, step=s) for n, a, b, s in axes])
    return Signature(inputs=[pictures], outputs=("mixed",))


class Rows(nn.Module):
    """The rows of a picture attend to one another, under a mask of a kind and shape. The first query of every head may
    attend to nothing, where the mask says so for each query."""

    def __init__(self, kind: str, shape: str = "bhnm"):
        super().__init__()
        self.kind, self.shape = kind, shape

    def forward(self, pictures: Tensor) -> tuple[Tensor]:
        if self.kind == "none":
            return (attend(pictures, pictures, pictures),)
        allowed = (pictures[..., :1] > pictures[..., :1].transpose(-1, -2)).transpose(-1, -2)  # (b h n m)
        for i, axis in enumerate("bhnm"):
            if axis not in self.shape:
                allowed = allowed[(slice(None),) * i + (slice(1),)]
        if self.shape == "nm":
            allowed = allowed[0, 0]
        mask = (
            allowed
            if self.kind == "boolean"
            else pictures.sum() * 0.1 + torch.zeros(1).masked_fill(~allowed, -math.inf)
        )
        return (attend(pictures, pictures, pictures, mask=mask),)


class Baked(nn.Module):
    def forward(self, pictures: Tensor) -> tuple[Tensor]:
        return (pictures.sum() * len(pictures),)


MODULES = {
    "none": Rows("none"),
    **{f"{kind} {axes}": Rows(kind, axes) for kind in ("boolean", "float") for axes in ("bhnm", "bm", "nm", "hnm")},
}


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_any_batch_and_size_under_any_mask(module):
    program = capture(module, signature(), EXAMPLE).module()
    for shape in SHAPES:
        pictures = torch.randn(shape)
        torch.testing.assert_close(program(pictures)[0], module(pictures)[0])


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize(("format", "package"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_engines_answer_alike_under_any_mask(format, package, name, tmp_path):
    pytest.importorskip("onnxscript")
    pytest.importorskip(package)
    module, file = MODULES[name], tmp_path / f"rows{FORMATS[format].suffix}"
    FORMATS[format].write(capture(module, signature(), EXAMPLE), signature(), "{}", file)
    network = EngineNetwork(ENGINES[file.suffix](file), signature())
    for shape in SHAPES:
        pictures = torch.randn(shape)
        expected = module(pictures)[0]
        if "n" in name.rpartition(" ")[2] and "m" in name:  # a query that may attend to nothing gets zeros
            assert (expected == 0).all(dim=-1).any()
        torch.testing.assert_close(network(pictures)["mixed"], expected, rtol=1e-4, atol=1e-5)


def test_a_module_that_depends_on_the_batch_is_refused():
    with pytest.raises(SaccadeError, match=r"torch\.export cannot capture the network"):
        capture(Baked(), signature(), EXAMPLE)


def test_sizes_that_are_taken():
    taken = signature()
    taken.check((1, 3, 5, 35))
    for shape in [(0, 3, 5, 5), (18, 3, 5, 5), (1, 1, 5, 5), (1, 3, 7, 5), (1, 3, 5, 40), (1, 3, 0, 5), (3, 5, 5)]:
        with pytest.raises(SaccadeError, match="batch 1 to 17, channels 3, height 5 to 35 in steps of 5"):
            taken.check(shape)
    with pytest.raises(ValueError, match="does not go in steps of 4"):
        Axis(name="height", low=4, high=35, step=4)


def test_axes_of_one_name_have_one_size():
    pairs, words = Axis(name="pairs", low=1, high=7), Axis(name="words", low=1, high=5)
    both = Signature(inputs=[Input(name=n, axes=(pairs, words)) for n in ("texts", "mask")], outputs=("logit",))
    both.check((3, 2), (3, 2))
    with pytest.raises(SaccadeError, match=r"given mask of shape \(3, 5\); it takes pairs 1 to 7, words 1 to 5"):
        both.check((3, 2), (3, 5))
