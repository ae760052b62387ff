"""Attention that goes past the fused call: recognise it, so that it is named and not silently absent."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.overrides import _get_current_function_mode_stack, _pop_mode, _push_mode

SEPARATE = (
    "torch.nn.MultiheadAttention computed its weights as separate operations (need_weights=True, or dropout while "
    "training), not a fused call"
)
SCRIPTED = "code compiled by torch.jit shows no attention calls; watch the model it was made from"
PYTORCH = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder)


@contextmanager
def without(kind: type) -> Iterator[None]:
    """Take function modes of one class off the stack for a while."""
    modes = _get_current_function_mode_stack()
    for _ in modes:
        _pop_mode()
    for mode in modes:
        if not isinstance(mode, kind):
            _push_mode(mode)
    try:
        yield
    finally:
        for _ in _get_current_function_mode_stack():
            _pop_mode()
        for mode in modes:
            _push_mode(mode)
