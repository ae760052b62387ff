"""Shapes with names, as plain dicts."""

from typing import Any

from saccade.errors import SaccadeError
from saccade.models.vit import ViTConfig

# Ours: RMSNorm, QK-norm, no biases, rotary positions, patches that see half a patch beyond their border.
_OURS: dict[str, Any] = {"positions": ("rotary",), "grid": (8, 8), "window": 8, "patch": 4}
# The original ViT's block.
_CLASSIC = {"norm": "layer", "bias": True, "qk_norm": False}

PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {**_OURS, "depth": 9, "block": {"width": 128, "heads": 4, "hidden": 256}},
    "small": {**_OURS, "depth": 9, "block": {"width": 192, "heads": 3, "hidden": 384}},
    # for finding things in pictures of some hundred pixels: coarser tokens, so that there are not too many
    "small/8": {
        **_OURS,
        "depth": 6,
        "patch": 8,
        "window": 16,
        "grid": (16, 16),
        "block": {"width": 192, "heads": 3, "hidden": 384},
    },
    "vit-s/16": {"depth": 12, "patch": 16, "block": {**_CLASSIC, "width": 384, "heads": 6, "hidden": 1536}},
    "vit-b/16": {"depth": 12, "patch": 16, "block": {**_CLASSIC, "width": 768, "heads": 12, "hidden": 3072}},
    "vit-b/32": {
        "depth": 12,
        "patch": 32,
        "grid": (7, 7),
        "block": {**_CLASSIC, "width": 768, "heads": 12, "hidden": 3072},
    },
    "vit-l/16": {"depth": 24, "patch": 16, "block": {**_CLASSIC, "width": 1024, "heads": 16, "hidden": 4096}},
}


def preset(name: str, **changes: Any) -> ViTConfig:
    """The named shape, with fields of ViTConfig changed; `block={...}` changes fields of the block."""
    if name not in PRESETS:
        raise SaccadeError(f"no preset is called {name!r}; there are {', '.join(PRESETS)}")
    fields = {**PRESETS[name], **changes}
    fields["block"] = {**PRESETS[name]["block"], **dict(changes.get("block", {}))}
    return ViTConfig.model_validate(fields)
