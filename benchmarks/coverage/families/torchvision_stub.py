"""torchvision beside a torch without CUDA, for the sake of timm, which takes transforms and plain layers from it.

The wheel of torchvision that registries offer is built for CUDA: its compiled operators cannot be loaded beside another
torch, and its import then stops at giving shapes to two of them that it does not find. Declared first, it goes on; they
can still not be called, and nothing that is measured here calls them.
"""

import importlib.util

import torch

SCHEMAS = tuple(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" for name in ("nms", "qnms"))
_library: torch.library.Library | None = None  # what it declares lasts as long as it does


def make_importable() -> bool:
    """Declare what torchvision's import looks for, if that does not import otherwise. Returns whether it imports."""
    global _library
    if importlib.util.find_spec("torchvision") is None:
        return False
    if _library is None and torch.version.cuda is None:
        _library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in SCHEMAS:
            _library.define(schema)
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError, OSError):  # of another torch
        return False
    return True


THERE = make_importable()
