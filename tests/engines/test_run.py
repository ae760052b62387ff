"""Outputs of an engine are found by their names."""

import numpy as np
import torch

from saccade.engines.run import Engine, EngineNetwork
from saccade.engines.signature import Axis, Input, Signature


def test_outputs_in_another_order_are_the_same():
    """As a quantized copy of a network may have them."""
    pairs = Input(name="x", axes=(Axis(name="batch", low=1, high=7), Axis(name="width", low=3, high=3)))
    engine = Engine(lambda inputs: {"second": inputs["x"] * 2, "first": inputs["x"] + 1}, "")
    x = torch.randn(5, 3)
    found = EngineNetwork(engine, Signature(inputs=(pairs,), outputs=("first", "second")))(x)
    assert list(found) == ["first", "second"]
    np.testing.assert_array_equal(found["first"].numpy(), x.numpy() + 1)
    np.testing.assert_array_equal(found["second"].numpy(), x.numpy() * 2)
