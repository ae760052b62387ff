"""ResNets that a detector's checkpoint names as timm's, under transformers' names: the same network, without timm.

DETR and its kin were published with a ResNet (He et al. 2016; the stride of a bottleneck in its 3x3 convolution) that
transformers builds through timm. transformers has the same network itself, so only names differ.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from saccade.errors import CheckpointError

# layers a stage, and what a layer is made of
_RESNETS = {
    "resnet18": ([2, 2, 2, 2], "basic"),
    "resnet34": ([3, 4, 6, 3], "basic"),
    "resnet50": ([3, 4, 6, 3], "bottleneck"),
    "resnet101": ([3, 4, 23, 3], "bottleneck"),
    "resnet152": ([3, 8, 36, 3], "bottleneck"),
}
_WIDTHS = {"basic": [64, 128, 256, 512], "bottleneck": [256, 512, 1024, 2048]}
_NORMS = {"bn": "normalization", "conv": "convolution"}


def timm_backbone(config: Mapping[str, Any]) -> str | None:
    """Name of the timm model that a detector's config.json takes for a backbone; None if it takes none."""
    inner = config.get("backbone_config")
    if isinstance(inner, dict):
        return str(inner.get("backbone")) if inner.get("model_type") == "timm_backbone" else None
    if config.get("use_timm_backbone", True) is False:
        return None
    return str(config.get("backbone") or "resnet50")  # what transformers takes where no backbone is named


def without_timm(
    config: Mapping[str, Any], weights: Mapping[str, Tensor], stages: list[int], where: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The config and the weights with the ResNet as transformers' own.

    stages: those whose maps the detector reads (1 to 4), where the config does not say. Raises CheckpointError for
    a backbone that is no plain ResNet.
    """
    name = timm_backbone(config)
    assert name is not None
    backbone = config.get("backbone_config") or {}
    options = config.get("backbone_kwargs") or {}
    if name.removesuffix(".a1_in1k") not in _RESNETS or config.get("dilation") or backbone.get("output_stride"):
        dilated = " with dilation" if config.get("dilation") or backbone.get("output_stride") else ""
        raise CheckpointError(
            f"{where}: its backbone is timm's {name}{dilated}; only plain {', '.join(_RESNETS)} can be read here "
            "(for others timm would be needed, which this library does without)"
        )
    depths, kind = _RESNETS[name.removesuffix(".a1_in1k")]
    read = backbone.get("out_indices") or options.get("out_indices") or stages
    resnet = {
        "model_type": "resnet",
        "num_channels": int(backbone.get("num_channels") or options.get("in_chans") or config.get("num_channels") or 3),
        "embedding_size": 64,
        "hidden_sizes": _WIDTHS[kind],
        "depths": depths,
        "layer_type": kind,
        "out_features": [f"stage{i}" for i in read],
    }
    dropped = ("backbone", "backbone_kwargs", "use_timm_backbone", "use_pretrained_backbone", "dilation")
    changed = {key: value for key, value in config.items() if key not in dropped} | {"backbone_config": resnet}
    return changed, {_renamed(key): tensor for key, tensor in weights.items()}


def _renamed(key: str) -> str:
    """A weight of timm's ResNet under transformers' name; any other name as it is."""
    found = re.fullmatch(r"(.*backbone\.(?:conv_encoder\.)?model\.)(?:_backbone\.)?(.+)", key)
    if found is None:
        return key
    before, name = found.groups()
    if stem := re.fullmatch(r"(bn|conv)1\.(\w+)", name):
        return f"{before}embedder.embedder.{_NORMS[stem[1]]}.{stem[2]}"
    if layer := re.fullmatch(r"layer(\d)\.(\d+)\.(bn|conv)(\d)\.(\w+)", name):
        stage, i, what, part, value = layer.groups()
        at = f"encoder.stages.{int(stage) - 1}.layers.{i}.layer.{int(part) - 1}"
        return f"{before}{at}.{_NORMS[what]}.{value}"
    if shortcut := re.fullmatch(r"layer(\d)\.(\d+)\.downsample\.([01])\.(\w+)", name):
        stage, i, part, value = shortcut.groups()
        what = "convolution" if part == "0" else "normalization"
        return f"{before}encoder.stages.{int(stage) - 1}.layers.{i}.shortcut.{what}.{value}"
    return key
