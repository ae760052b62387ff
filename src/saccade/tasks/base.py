"""What every task shares: a model, how pictures are prepared for it, and where its tokens are."""

from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from saccade.data.preprocess import Preprocess
from saccade.models import ViT


@dataclass
class Task:
    """A model with what it takes to use it on pictures. By itself it makes no prediction; it can be looked into.

    Attributes:
        model: a ViT, or a network around one at `.vit`.
        preprocess: from a picture to what the model takes.
        name: short, for people.
        notes: what was assumed when it was loaded, one sentence each.
        card: what is known of how it came to be: data, recipe, scores.
    """

    model: nn.Module
    preprocess: Preprocess
    name: str = "model"
    notes: list[str] = field(default_factory=list)
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def vit(self) -> ViT:
        """The encoder."""
        return self.model if isinstance(self.model, ViT) else self.model.vit  # type: ignore[return-value]

    @property
    def target(self) -> int | Literal["mean"]:
        """The token that speaks for the picture: 0 (cls), or "mean" where there is none or patches are averaged."""
        pool = getattr(getattr(self.model, "config", None), "pool", "cls")
        return 0 if self.vit.config.cls and pool != "mean" else "mean"

    @property
    def prefix(self) -> list[str]:
        """Names of the tokens before the patches."""
        cls, pool = self.vit.config.cls, getattr(self.model.config, "pool", "")
        names = [f"register {i + 1}" for i in range(self.vit.config.registers)]
        if pool == "distilled" and names:  # DeiT's second head reads the token after cls
            names = ["distillation", *(f"register {i + 1}" for i in range(len(names) - 1))]
        return ["cls", *names] if cls else names

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        return sum(p.numel() for p in self.model.parameters())
