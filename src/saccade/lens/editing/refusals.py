"""Why an attention call is not edited."""

import sys

import torch.utils.checkpoint

UNAPPLIED = (
    "the edit changed none of its {} calls: it is limited to other runs, or to another call of the module in a run"
)
HEADLESS = (
    "it attends in separate operations, and the axis of the heads cannot be distinguished from others (windows, a "
    "batch that heads are folded into)"
)
CHECKPOINTED = (
    "it runs under activation checkpointing, which would compute the unedited call again in the backward pass; switch "
    "checkpointing off"
)


def checkpointed() -> bool:
    """Whether the forward pass runs inside torch.utils.checkpoint."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename == torch.utils.checkpoint.__file__:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
