"""A classifier of a few thousand weights, and pictures that are easy to tell apart."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from saccade.data.preprocess import Preprocess
from saccade.models import Classifier, ClassifierConfig, ViTConfig
from saccade.tasks import ClassifyTask

COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 50, 40)}


def config(classes: int = 3, **vit: object) -> ClassifierConfig:
    fields = {
        "block": {"width": 16, "heads": 2, "hidden": 24},
        "depth": 2,
        "patch": 4,
        "grid": (4, 4),
        "positions": ("rotary",),
        **vit,
    }
    return ClassifierConfig(vit=ViTConfig.model_validate(fields), classes=classes)


def task(labels: tuple[str, ...] = tuple(COLOURS), seed: int = 0, size: int = 16, **vit: object) -> ClassifyTask:
    """Random weights, the head's too: what it says depends on the picture."""
    torch.manual_seed(seed)
    model = Classifier(config(len(labels), **vit)).eval()
    torch.nn.init.normal_(model.head.weight)
    return ClassifyTask(model, Preprocess((size, size), "crop"), "tiny", labels=list(labels))


def picture(colour: str, seed: int = 0, size: tuple[int, int] = (23, 19)) -> Image.Image:
    """Noise of one colour; size: (width, height)."""
    noise = np.random.default_rng(seed).normal(0, 35, (size[1], size[0], 3))
    return Image.fromarray((np.array(COLOURS[colour]) + noise).clip(0, 255).astype(np.uint8))


def folder(root: Path, each: int = 4, classes: tuple[str, ...] = tuple(COLOURS), first: int = 0) -> Path:
    """root/blue/0.png and so on."""
    for kind in classes:
        (root / kind).mkdir(parents=True)
        for i in range(each):
            picture(kind, seed=first + i, size=(16 + i % 5, 16 + i % 3)).save(root / kind / f"{i}.png")
    return root


def without_digests(folder: Path) -> None:
    """Make a saved model one of an earlier version, whose files may be changed."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k not in ("files", "sha256")}))
