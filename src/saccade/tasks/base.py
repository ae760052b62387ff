"""What every task shares: a model, its preprocessing, and the layout of its tokens."""

from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from saccade.data.preprocess import Preprocess
from saccade.models import ViT


@dataclass
class Task:
    """A model with its preprocessing. Subclasses predict; any of them can be looked into.

    Attributes:
        model: a ViT, or a network around one at `.vit`.
        preprocess: from a picture to the input of the model.
        name: short name for messages.
        notes: what was assumed when it was loaded, one sentence for each.
        card: how the model was trained: data, recipe, scores.
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
        """The token that represents the picture: 0 (cls), or "mean" of the patches where there is none or they are
        pooled."""
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
        """Number of parameters."""
        return sum(p.numel() for p in self.model.parameters())


class PublicTask:
    """Base of the tasks of public models, whose wrapper does its own preprocessing."""

    def __init__(self, wrapper: Any):
        self.model, self.name, self.notes = wrapper.model, wrapper.name, wrapper.notes
        self.labels: list[str] = getattr(wrapper, "classes", [])
        self.card: dict[str, Any] = {}

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self.model.parameters())
