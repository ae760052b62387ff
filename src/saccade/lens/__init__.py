"""See what any attention model attends to: watch it, then ask the trace."""

from saccade.lens.call import Call
from saccade.lens.trace import Trace
from saccade.lens.watch import watch

__all__ = ["Call", "Trace", "watch"]
