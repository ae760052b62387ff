"""The models that are installed with the library, and what their cards say. Reads no weights."""

import json
import math
from importlib.resources import files
from pathlib import Path
from typing import Any

DEFAULT_CLASSIFIER = "tiny-imagenet"  # of `saccade.load`, `look`, `predict` and `val`


def bundled() -> list[str]:
    """Names of the bundled models."""
    root = files("saccade") / "weights"
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir()) if root.is_dir() else []


def bundled_folder(name: str) -> Path:
    """The folder of a bundled model."""
    return Path(str(files("saccade") / "weights" / name))


def is_bundled(folder: Path) -> bool:
    """Whether a model's folder is part of the library."""
    return folder.resolve().is_relative_to(Path(str(files("saccade"))).resolve())


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model that `saccade train` wrote: its task, network, labels and card."""
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def count_parameters(file: Path) -> int:
    """Elements of all tensors of a safetensors file, from its header (an 8-byte length, then JSON) alone."""
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
