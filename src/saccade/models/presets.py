"""Named configurations, as plain dicts."""

from typing import Any

from saccade.errors import SaccadeError
from saccade.models.vit import ViTConfig

# Models trained here: RMSNorm, QK-norm, no biases, rotary positions, patches that overlap by half a patch.
_SACCADE: dict[str, Any] = {"positions": ("rotary",), "grid": (8, 8), "window": 8, "patch": 4}
# The original ViT's block.
_ORIGINAL = {"norm": "layer", "bias": True, "qk_norm": False}

PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {**_SACCADE, "depth": 9, "block": {"width": 128, "heads": 4, "hidden": 256}},
    "small": {**_SACCADE, "depth": 9, "block": {"width": 192, "heads": 3, "hidden": 384}},
    # For detection in images of some hundred pixels: larger patches keep the number of tokens low.
    "small/8": {
        **_SACCADE,
        "depth": 6,
        "patch": 8,
        "window": 16,
        "grid": (16, 16),
        "block": {"width": 192, "heads": 3, "hidden": 384},
    },
    # The same with a quarter of the tokens: two to three times as fast.
    "small/16": {
        **_SACCADE,
        "depth": 6,
        "patch": 16,
        "window": 32,
        "block": {"width": 192, "heads": 3, "hidden": 384},
    },
    # As deep as "small", for the classification of photographs of 64 pixels: a quarter of its tokens.
    "small-d9/8": {
        **_SACCADE,
        "depth": 9,
        "patch": 8,
        "window": 16,
        "block": {"width": 192, "heads": 3, "hidden": 384},
    },
    "vit-s/16": {"depth": 12, "patch": 16, "block": {**_ORIGINAL, "width": 384, "heads": 6, "hidden": 1536}},
    "vit-b/16": {"depth": 12, "patch": 16, "block": {**_ORIGINAL, "width": 768, "heads": 12, "hidden": 3072}},
    "vit-b/32": {
        "depth": 12,
        "patch": 32,
        "grid": (7, 7),
        "block": {**_ORIGINAL, "width": 768, "heads": 12, "hidden": 3072},
    },
    "vit-l/16": {"depth": 24, "patch": 16, "block": {**_ORIGINAL, "width": 1024, "heads": 16, "hidden": 4096}},
}


def preset(name: str, **changes: Any) -> ViTConfig:
    """The named configuration with fields of ViTConfig replaced; `block={...}` replaces fields of the block."""
    if name not in PRESETS:
        raise SaccadeError(f"no preset is called {name!r}; there are {', '.join(PRESETS)}")
    fields = {**PRESETS[name], **changes}
    fields["block"] = {**PRESETS[name]["block"], **dict(changes.get("block", {}))}
    return ViTConfig.model_validate(fields)
