"""Vision attention that you can use, see and touch."""

from saccade.errors import CheckpointError, DataError, SaccadeError
from saccade.lens import Call, Trace, watch
from saccade.ops import attend, attention_weights
from saccade.tasks import load

__version__ = "0.1.0"

__all__ = [
    "Call",
    "CheckpointError",
    "DataError",
    "SaccadeError",
    "Trace",
    "attend",
    "attention_weights",
    "load",
    "watch",
]
