"""What a tiny model of a family needs besides the rules of `tiny_models.py` and `tiny_inputs.py`."""

from collections.abc import Callable
from typing import Any

VOCABULARY_MAP = {"<image>": 90} | {f"IMGIMG{'A' * i}Z": 100 + i for i in range(8)}

# Values of a family's config that are taken as they are; a dict goes down to a config in it.
OVERRIDES: dict[str, Any] = {
    "align": {"vision_config": {"width_coefficient": 0.3, "depth_coefficient": 0.3}},
    "aria": {"projector_patch_to_query_dict": {16: 4}},
    "chameleon": {"vocabulary_map": VOCABULARY_MAP},
    "efficientnet": {"width_coefficient": 0.3, "depth_coefficient": 0.3},
    "gemma3": {"mm_tokens_per_image": 4},
    "shieldgemma2": {"mm_tokens_per_image": 4},
    "layoutlmv3": {"coordinate_size": 10, "shape_size": 12},
}

# Inputs of a family, where a signature does not tell them: (model) -> what its forward is called with.
INPUTS: dict[str, Callable[[Any], dict[str, Any]]] = {}
