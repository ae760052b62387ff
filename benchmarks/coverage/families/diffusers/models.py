"""Tiny models of diffusers: every transformer and UNet, built and fed by the names of their arguments."""

import inspect
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.coverage.families.diffusers.audio import INPUTS as SOUNDS
from benchmarks.coverage.families.diffusers.images import INPUTS as PICTURES
from benchmarks.coverage.families.diffusers.overrides import OVERRIDES, WITHOUT
from benchmarks.coverage.families.diffusers.videos import INPUTS as FILMS

Made = tuple[nn.Module, tuple, dict[str, Any]]
BATCH, WORDS, SIDE, FRAMES, CHANNELS, HEADS, WIDTH = 2, 7, 8, 2, 4, 2, 32

# Sizes by the name of an argument. Text is as wide as the model, so that what joins both fits.
SIZES: dict[str, Any] = (
    dict.fromkeys(("num_layers", "num_single_layers", "num_hidden_layers", "depth", "n_layers", "mmdit_layers"), 2)
    | dict.fromkeys(("num_mmdit_layers", "num_single_dit_layers", "num_visual_blocks", "dit_depth", "nlayers"), 2)
    | dict.fromkeys(("num_refiner_layers", "n_refiner_layers", "num_text_blocks", "layers_per_block"), 1)
    | dict.fromkeys(("num_attention_heads", "num_heads", "n_heads", "num_key_value_heads", "num_kv_heads"), HEADS)
    | dict.fromkeys(("n_kv_heads", "dit_heads", "num_cross_attention_heads", "audio_num_attention_heads"), HEADS)
    | dict.fromkeys(("num_key_value_attention_heads", "nheads"), HEADS)
    | dict.fromkeys(("attention_head_dim", "head_dim", "audio_attention_head_dim", "linear_head_dim"), WIDTH // HEADS)
    | dict.fromkeys(("cross_attention_head_dim",), WIDTH // HEADS)
    | dict.fromkeys(
        ("dim", "hidden_size", "model_dim", "embed_dim", "dit_dim", "d_model", "cross_attention_dim"), WIDTH
    )
    | dict.fromkeys(
        ("text_dim", "text_embed_dim", "text_embed_2_dim", "joint_attention_dim", "caption_channels"), WIDTH
    )
    | dict.fromkeys(("caption_projection_dim", "pooled_projection_dim", "text_in_dim", "context_in_dim"), WIDTH)
    | dict.fromkeys(("cap_feat_dim", "dit_text_dim", "audio_cross_attention_dim", "in_text_dim", "in_text_dim2"), WIDTH)
    | dict.fromkeys(("cross_attention_input_dim", "cond_token_dim", "text_hidden_dim", "llm_features_dim"), WIDTH)
    | dict.fromkeys(("text_encoder_dim", "encoder_hidden_size", "encoder_hid_dim", "condition_dim_in"), WIDTH)
    | dict.fromkeys(("time_embed_dim", "freq_dim", "timestep_embed_dim", "time_dim", "adaln_dim"), WIDTH)
    | dict.fromkeys(("ffn_dim", "ff_dim", "intermediate_size", "ffn_hidden_size", "ff_inner_dim"), 48)
    | dict.fromkeys(("sample_height", "sample_width", "sample_size", "pos_embed_max_size", "base_height"), SIDE)
    | dict.fromkeys(("sample_frames", "video_length"), FRAMES)
    | dict.fromkeys(("block_out_channels",), (WIDTH, WIDTH))
    | dict.fromkeys(("norm_num_groups", "groups"), 4)
    | {"in_channels": CHANNELS, "out_channels": CHANNELS, "vocab_size": 64, "num_embeds_ada_norm": 10}
)
AXES = {2: (8, 8), 3: (4, 6, 6), 4: (4, 4, 4, 4)}  # of a rotary embedding; they sum to the width of a head


def families() -> dict[str, Callable[[], Made]]:
    """Every transformer and UNet of the installed diffusers. Raises ImportError."""
    from diffusers.models import transformers, unets

    found = {name: vars(part).get(name) or getattr(part, name) for part in (transformers, unets) for name in dir(part)}
    models = {name: c for name, c in found.items() if inspect.isclass(c) and issubclass(c, nn.Module)}
    return {name: partial(make, c) for name, c in sorted(models.items()) if name not in WITHOUT}


def make(cls: type[nn.Module]) -> Made:
    """A model and the first inputs that it can be run with. Raises what the form that came furthest led to."""
    torch.manual_seed(0)
    model = cls(**_arguments(cls)).eval().float()
    errors = []
    given = (PICTURES | FILMS | SOUNDS).get(cls.__name__)
    for form in [{}] if given else forms(getattr(model, "config", {}).get("in_channels") or CHANNELS):
        torch.manual_seed(2)
        inputs = given(model) if given else _inputs(model, form)
        try:
            with torch.no_grad():
                model(**inputs)
            return model, (), inputs
        except Exception as error:  # every form is tried; the reason of the one that came furthest is told
            errors.append(error)
    raise max(errors, key=_depth)


def _depth(error: Exception) -> int:
    return len(traceback.extract_tb(error.__traceback__))


def _arguments(cls: type) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, parameter in inspect.signature(cls).parameters.items():
        usual = parameter.default
        if isinstance(usual, (list, tuple)) and ("axes" in name or name in ("rope_dim_list", "rope_dim")):
            values[name] = type(usual)(AXES[len(usual)]) if "len" not in name else usual
        elif name in SIZES and (usual is not None or name in ("in_channels", "out_channels")):
            values[name] = SIZES[name]
        elif isinstance(usual, tuple) and name.endswith("block_types") and len(usual) > 2:
            values[name] = (usual[0], usual[-1])
    return values | OVERRIDES.get(cls.__name__, {})


def forms(channels: int) -> Iterator[dict[str, Tensor]]:
    """The forms in which denoisers take what they paint: pictures, films, films frame by frame, sequences."""
    yield {"hidden_states": torch.randn(BATCH, channels, SIDE, SIDE)}
    yield {"hidden_states": torch.randn(BATCH, channels, FRAMES, SIDE, SIDE)}
    yield {"hidden_states": torch.randn(BATCH, FRAMES, channels, SIDE, SIDE)}
    yield {"hidden_states": torch.randn(BATCH, SIDE * 2, channels)}
    yield {"hidden_states": torch.randn(BATCH, channels, SIDE * 2)}


def _axes(model: Any) -> int:
    config = model.config
    return len(config.get("axes_dims_rope") or config.get("axes_dims") or config.get("rope_axes_dim") or (0, 0, 0))


# What a denoiser is called with besides, by the name of the argument: (model) -> value.
NAMED: dict[str, Callable[[Any], Any]] = {
    "timestep": lambda model: torch.tensor([5.0, 9.0]),
    "timesteps": lambda model: torch.tensor([5, 9]),
    "r_timestep": lambda model: torch.tensor([3.0, 4.0]),
    "timestep_r": lambda model: torch.tensor([3.0, 4.0]),
    "encoder_hidden_states": lambda model: torch.randn(BATCH, WORDS, WIDTH),
    "encoder_hidden_states_t5": lambda model: torch.randn(BATCH, WORDS, WIDTH),
    "encoder_attention_mask": lambda model: torch.ones(BATCH, WORDS, dtype=torch.bool),
    "encoder_hidden_states_mask": lambda model: torch.ones(BATCH, WORDS, dtype=torch.bool),
    "encoder_mask": lambda model: torch.ones(BATCH, WORDS, dtype=torch.long),
    "pooled_projections": lambda model: torch.randn(BATCH, WIDTH),
    "guidance": lambda model: torch.tensor([4.0, 4.0]) if model.config.get("guidance_embeds") else None,
    "img_ids": lambda model: (
        torch.cartesian_prod(*[torch.arange(4)] * 2, torch.arange(1)).float()[:, : _axes(model)]
        if _axes(model) <= 3
        else torch.cartesian_prod(torch.arange(1), *[torch.arange(4)] * 2, torch.arange(1)).float()
    ),
    "txt_ids": lambda model: torch.zeros(WORDS, _axes(model)),
    "class_labels": lambda model: torch.tensor([1, 2]),
    "original_size": lambda model: torch.tensor([[64.0, 64.0]] * BATCH),
    "target_size": lambda model: torch.tensor([[64.0, 64.0]] * BATCH),
    "crop_coords": lambda model: torch.zeros(BATCH, 2),
    "sample": lambda model: torch.randn(BATCH, CHANNELS, SIDE, SIDE),
    "num_frames": lambda model: 1,
    "height": lambda model: 4,
    "width": lambda model: 4,
    "fps": lambda model: torch.tensor([8, 8]),
}
# Given only where the forward asks for them.
ONLY_REQUIRED = {"class_labels", "num_frames", "height", "width", "fps", "encoder_attention_mask"}


def _inputs(model: nn.Module, form: dict[str, Tensor]) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for name, parameter in inspect.signature(model.forward).parameters.items():
        required = parameter.default is parameter.empty
        if name in form:
            inputs[name] = form[name]
        elif name in NAMED and (required or name not in ONLY_REQUIRED):
            inputs[name] = NAMED[name](model)
    return inputs
