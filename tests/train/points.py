"""A task small enough to train in a moment; run as a program it is one of several processes of a run."""

import copy
import sys
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import BaseModel
from safetensors.torch import save_file
from torch import Tensor, nn

from saccade.device import Device, exit_process
from saccade.train import TrainConfig, train


class Net(nn.Module):
    """Every kind of parameter: matrices inside blocks, a matrix and a table outside, vectors everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(3, 11) * 0.1)
        self.enter = nn.Linear(7, 11)
        self.blocks = nn.ModuleList(nn.Linear(11, 11) for _ in range(2))
        self.norm = nn.LayerNorm(11)
        self.head = nn.Linear(11, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x) + self.table.sum(dim=0)
        for block in self.blocks:
            x = x + F.gelu(block(x))
        return self.head(self.norm(x))


class Recipe(BaseModel):
    samples: int


class Points:
    """Noisy points of three classes, which a straight line divides."""

    selection_metric = "top1"

    def __init__(self, samples: int = 64, seed: int = 0):
        self.recipe = Recipe(samples=samples)
        torch.manual_seed(seed)
        self.model: nn.Module = Net()
        made = torch.Generator().manual_seed(5)
        self.x = torch.randn(samples, 7, generator=made)
        self.y = (self.x @ torch.randn(7, 3, generator=made)).argmax(dim=1)
        self.progress: list[float] = []
        self.losses: list[float] = []

    @property
    def identity(self) -> str:
        return f"{len(self)} points"

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: Tensor, generator: torch.Generator, progress: float) -> tuple[Tensor, Tensor]:
        self.progress.append(progress)
        noise = torch.randn(len(indices), 7, generator=generator)
        return self.x[indices] + 0.1 * noise, self.y[indices]

    def collate(self, batches: list[Any]) -> list[Any]:
        return batches

    def sampler(self) -> "Points":
        other = copy.copy(self)
        other.model = nn.Identity()
        return other

    def loss(self, model: nn.Module, batches: list[Any], device: torch.device) -> Tensor:
        x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
        loss = F.cross_entropy(model(x).float(), y)
        self.losses.append(loss.item())
        return loss

    @torch.no_grad()
    def evaluate(self, model: nn.Module, device: Device) -> dict[str, float]:
        return {"top1": (model(self.x).argmax(dim=1) == self.y).float().mean().item()}

    def save(self, model: nn.Module, folder: Path, scores: dict[str, float]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(dict(model.state_dict()), folder / "model.safetensors")


def quick(**changes: Any) -> TrainConfig:
    """Eight updates of eight points, the same on every processor."""
    fields = {"epochs": 1, "batch": 8, "precision": "fp32", "compile": "no", "device": "cpu"}
    return TrainConfig.model_validate({**fields, **changes})


if __name__ == "__main__":
    train(Points(), quick(epochs=7), Path(sys.argv[1]))
    exit_process(0)
