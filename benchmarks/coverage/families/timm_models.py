"""Models of timm: the smallest of each module, with random weights, at its own image size."""

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import torch
from torch import nn

from benchmarks.coverage.families.transformers.models import NotTiny

Made = tuple[nn.Module, tuple]
MOST = 150_000_000  # parameters
TRIED = 20  # names of a module, evenly among all it has
# What makes a module's models small that are large by name.
SMALLER: dict[str, dict[str, Any]] = {
    "beit": {"depth": 2},
    "deepseek_vit": {"depth": 2, "img_size": 224},
    "gemma4_vit": {"depth": 2, "img_size": 192},
    "naflexvit": {"depth": 2},
    "qwen3_vit": {"depth": 2, "img_size": 192},
    "vision_transformer_sam": {"depth": 2, "global_attn_indexes": (1,)},
}


def families() -> dict[str, Callable[[], tuple[Made, nn.Module]]]:
    """Every module of the installed timm that has models. Raises ImportError and, where its torchvision does not fit
    torch, RuntimeError."""
    import timm

    return {name: partial(make, name) for name in timm.list_modules() if timm.list_models(module=name)}


def make(module: str) -> tuple[Made, nn.Module]:
    """The smallest model of a module with what it is called with, and its twin that writes its attention out where
    timm has a fused and a readable form."""
    import timm
    from timm.layers import set_fused_attn

    options, names = SMALLER.get(module, {}), timm.list_models(module=module)
    work, name = min(_work(name, options) for name in names[:: max(1, len(names) // TRIED)])
    if work == float("inf"):
        raise NotTiny(f"its models have more than {MOST:,} parameters")
    torch.manual_seed(0)
    model = timm.create_model(name, **options).eval()
    set_fused_attn(enable=False)
    twin = timm.create_model(name, **options).eval()
    set_fused_attn(enable=True)
    twin.load_state_dict(model.state_dict())
    return (model, (torch.randn(2, *_size(name, options)),)), twin


def _size(name: str, options: dict[str, Any]) -> tuple[int, int, int]:
    import timm

    channels, *sides = timm.get_pretrained_cfg(name).input_size
    rows, columns = [options["img_size"]] * 2 if "img_size" in options else sides
    return channels, rows, columns


def _work(name: str, options: dict[str, Any]) -> tuple[float, str]:
    """A measure of the work of a model: parameters times pixels."""
    import timm

    try:
        with torch.device("meta"):
            blank = timm.create_model(name, **options)
    except (TypeError, RuntimeError, NotImplementedError):  # it takes no such option, or computes while it is built
        return float("inf"), name
    total = sum(p.numel() for p in blank.parameters())
    return (total * prod(_size(name, options)) if total <= MOST else float("inf")), name
