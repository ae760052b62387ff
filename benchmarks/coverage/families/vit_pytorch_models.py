"""Tiny models of vit-pytorch: one of each of its modules, whose last class in the file is the model."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Made = tuple[nn.Module, tuple]
SIDE, FRAMES = 32, 4

# Arguments by name, given where a model knows them.
VALUES: dict[str, Any] = {
    "image_size": SIDE,
    "img_size": SIDE,
    "patch_size": 8,
    "image_patch_size": 8,
    "freq_patch_size": 8,
    "frames": FRAMES,
    "num_frames": FRAMES,
    "max_frames": FRAMES,
    "frame_patch_size": 2,
    "seq_len": 32,
    "num_classes": 5,
    "dim": 32,
    "depth": 2,
    "spatial_depth": 2,
    "temporal_depth": 2,
    "cls_depth": 1,
    "heads": 2,
    "mlp_dim": 48,
    "mlp_mult": 2,
    "dim_head": 16,
    "dim_action": 3,
    "max_tokens_per_depth": (12, 9),
    "num_residual_streams": 2,
    "num_slots": 3,
}
FOUR: dict[str, Any] = {"dim": (32, 32, 64, 64), "depth": (1, 1, 1, 1)}  # stages
SIGLIP = {f"siglip_{name}": value for name, value in VALUES.items() if name in ("dim", "depth", "heads", "mlp_dim")}
# What a module needs besides.
OVERRIDES: dict[str, dict[str, Any]] = {
    "cct": {"embedding_dim": 32, "num_layers": 2, "num_heads": 2, "mlp_ratio": 2.0, "num_classes": 5},
    "cct_3d": {"embedding_dim": 32, "num_layers": 2, "num_heads": 2, "mlp_ratio": 2.0, "num_classes": 5},
    "cross_vit": {
        "sm_dim": 24,
        "lg_dim": 32,
        "sm_patch_size": 4,
        "lg_patch_size": 8,
        "lg_enc_depth": 1,
        "sm_enc_heads": 2,
        "lg_enc_heads": 2,
        "cross_attn_heads": 2,
        "depth": 2,
    },
    "crossformer": FOUR | {"global_window_size": (4, 2, 2, 1), "local_window_size": 2},
    "cvt": {"s2_emb_dim": 32, "s2_heads": 2, "s2_depth": 1, "s3_emb_dim": 48, "s3_heads": 2, "s3_depth": 1},
    "levit": {"image_size": 64, "dim": (32, 48, 64), "depth": 2, "heads": (2, 2, 2)},
    "look_vit": {"highres_patch_size": 4, "mlp_factor": 2},
    "looped_vit": {"pre_loop_depth": 1, "num_looped_blocks": 1, "post_loop_depth": 1, "loop_depth": 2},
    "max_vit": {"depth": (1, 1), "window_size": 4, "dim_conv_stem": 16},
    "max_vit_with_registers": {"depth": (1, 1), "window_size": 4, "dim_conv_stem": 16},
    "mobile_vit": {
        "image_size": (64, 64),
        "dims": [16, 24, 32],
        "channels": [8, 8, 16, 16, 24, 24, 32, 32, 40, 40, 48],
        "depths": (1, 1, 1),
        "patch_size": (2, 2),
    },
    "nest": {"patch_size": 4, "num_hierarchies": 2, "block_repeats": (1, 1), "heads": 2},
    "pit": {"depth": (1, 1)},
    "regionvit": FOUR | {"window_size": 2, "local_patch_size": 2},
    "scalable_vit": {"dim": 16, "depth": (1, 1, 1), "heads": (1, 2, 2), "reduction_factor": (4, 2, 1)},
    "sep_vit": {"dim": 16, "depth": (1, 1), "heads": (1, 2)},
    "t2t": {"t2t_layers": ((7, 4), (3, 2))},
    "twins_svt": {f"s{i}_{name}": 2 for i in range(1, 5) for name in ("local_patch_size", "global_k")}
    | {"s1_patch_size": 2, "s4_patch_size": 1, "s3_depth": 1, "s4_depth": 1, "s2_emb_dim": 64, "s4_emb_dim": 64}
    | {"s3_emb_dim": 64, "s3_patch_size": 2},
    "vat_siglip": SIGLIP | {"siglip_image_size": SIDE, "siglip_patch_size": 8},
    "vit_nd": {"ndim": 3, "input_shape": (8, 8, 8), "patch_size": 4},
    "vit_nd_pope": {"ndim": 3, "input_shape": (8, 8, 8), "patch_size": 4},
    "vit_nd_rotary": {"ndim": 3, "input_shape": (8, 8, 8), "patch_size": 4},
}


def _picture() -> Tensor:
    return torch.randn(2, 3, SIDE, SIDE)


def _video() -> Tensor:
    return torch.randn(2, 3, FRAMES, SIDE, SIDE)


def _sizes() -> list[Tensor]:
    return [torch.randn(3, SIDE, SIDE), torch.randn(3, SIDE, SIDE // 2)]


# What a model is called with, by the name of its first argument, and where that does not tell, by module.
INPUTS: dict[str, Callable[[], Any]] = {
    "video": _video,
    "series": lambda: torch.randn(2, 3, 32),
    "batched_images": lambda: [_sizes(), _sizes()[:1]],
    "cct_3d": _video,
    "crossformer": lambda: torch.randn(2, 3, 64, 64),
    "levit": lambda: torch.randn(2, 3, 64, 64),
    "mobile_vit": lambda: torch.randn(2, 3, 64, 64),
    "na_vit_nested_tensor": _sizes,
    "na_vit_nested_tensor_3d": lambda: [torch.randn(3, FRAMES, SIDE, n) for n in (SIDE, SIDE // 2)],
    "sep_vit": lambda: torch.randn(2, 3, 56, 56),
    "vat_siglip": lambda: torch.randn(2, 1, 3, 1, SIDE, SIDE),
    "vit_nd": lambda: torch.randn(2, 3, 8, 8, 8),
    "vit_nd_pope": lambda: torch.randn(2, 3, 8, 8, 8),
    "vit_nd_rotary": lambda: torch.randn(2, 3, 8, 8, 8),
}
# A model to train, record or distil another by: it attends through that, which has a module of its own.
WRAPPERS = {"encoder", "image_net", "net", "teacher", "transformer", "vit"}


def families() -> dict[str, Callable[[], Made]]:
    """Every module of the installed vit-pytorch that has a model of its own. Raises ImportError and, where its
    torchvision does not fit torch, RuntimeError."""
    import vit_pytorch

    found: dict[str, Callable[[], Made]] = {}
    for module in pkgutil.iter_modules(vit_pytorch.__path__):
        model = _model(module.name)
        if isinstance(model, str):
            found[module.name] = lambda why=model: _refuse(why)
        elif model is not None and not WRAPPERS & set(_required(model)):
            found[module.name] = lambda name=module.name, model=model: _make(name, model)
    return found


def _refuse(why: str) -> Made:
    raise ImportError(why)


def _model(name: str) -> type[nn.Module] | str | None:
    """The last class of a file; why it cannot be imported; None if it has none."""
    try:
        module = importlib.import_module(f"vit_pytorch.{name}")
    except ImportError as error:
        return str(error)
    classes = [c for c in vars(module).values() if inspect.isclass(c) and issubclass(c, nn.Module)]
    own = [c for c in classes if c.__module__ == module.__name__]
    return max(own, key=lambda c: inspect.getsourcelines(c)[1], default=None)


def _required(model: type) -> list[str]:
    parameters = list(inspect.signature(model).parameters.values())
    return [p.name for p in parameters if p.default is p.empty]


def _make(name: str, model: type[nn.Module]) -> Made:
    torch.manual_seed(0)
    known = inspect.signature(model).parameters
    values = {key: value for key, value in VALUES.items() if key in known} | OVERRIDES.get(name, {})
    made = model(**values).eval()
    first = list(inspect.signature(model.forward).parameters)[1]
    return made, (INPUTS.get(name, INPUTS.get(first, _picture))(),)
