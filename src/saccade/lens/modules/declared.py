"""What a module declares of itself: how many heads it has, and by its name or class whether it attends."""

import re
from functools import lru_cache

from torch import nn

HEADS = ("num_heads", "num_attention_heads", "heads", "n_heads", "n_head", "nhead")
CALLED = re.compile(r"(.*_)?(attention|attn)\d*")  # what a module that attends is called by the one around it


def heads_of(module: nn.Module) -> int | None:
    """How many heads a module that attends says it has."""
    found = (getattr(module, name, None) for name in HEADS)
    return next((count for count in found if type(count) is int), None)


@lru_cache(maxsize=4096)
def like_attention(kind: str, name: str) -> bool:
    """Whether the class of a module is called like one that attends, or else the module itself (`0.linear_attn`)."""
    kind = kind.lower()
    # What comes after an attention (LxmertAttentionOutput) attends to nothing itself.
    of_class = ("attention" in kind or "attn" in kind) and not kind.endswith("output")
    return of_class or CALLED.fullmatch(name.rpartition(".")[2].lower()) is not None


def tokens_order(module: nn.Module) -> str:
    """Whether an attention module of torch.nn takes the batch first, "bn", or the tokens, "nb"."""
    module = getattr(module, "layers", [module])[0] if isinstance(module, nn.TransformerEncoder) else module
    return "bn" if getattr(getattr(module, "self_attn", module), "batch_first", False) else "nb"
