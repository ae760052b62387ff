"""See what any attention model attends to, and change it: watch it, ask the trace, edit its attention."""

from saccade.lens.attention.args import AttentionArgs
from saccade.lens.editing.base import Edit, Site
from saccade.lens.editing.edit import edit
from saccade.lens.editing.edits import bias_source, cut, drop_heads, during, scale_heads, scale_source
from saccade.lens.editing.limits import limited
from saccade.lens.editing.swaps import borrow, freeze, swap
from saccade.lens.explaining.interactions import Interactions, Tower, interactions
from saccade.lens.explaining.regions import image_tokens, regions
from saccade.lens.explaining.relevance import legrad
from saccade.lens.explaining.rollout import AttentionSummary
from saccade.lens.explaining.tokens import TokenMap, token_map
from saccade.lens.trace.call import Call
from saccade.lens.trace.trace import Trace
from saccade.lens.watching.stream import Mean
from saccade.lens.watching.watch import watch

__all__ = [
    "AttentionArgs",
    "AttentionSummary",
    "Call",
    "Edit",
    "Interactions",
    "Mean",
    "Site",
    "TokenMap",
    "Tower",
    "Trace",
    "bias_source",
    "borrow",
    "cut",
    "drop_heads",
    "during",
    "edit",
    "freeze",
    "image_tokens",
    "interactions",
    "legrad",
    "limited",
    "regions",
    "scale_heads",
    "scale_source",
    "swap",
    "token_map",
    "watch",
]
