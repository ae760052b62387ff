"""Inputs for any vision model, from the signature of its forward and the sizes in its config."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

BATCH, WORDS, GRID, FRAMES = 2, 11, 4, 4
Inputs = dict[str, Any]


class NoInputs(Exception):
    """No inputs were found that the model takes."""


def inputs_for(model: PreTrainedModel, given: Callable[[PreTrainedModel], Inputs] | None = None) -> Inputs:
    """Inputs that the model's forward takes: those of `given`, or the first form of picture that it can be run with.
    Raises NoInputs with what every form led to."""
    said = []
    for pictures in [{}] if given else forms(model.config):
        torch.manual_seed(2)
        try:
            inputs = given(model) if given else complete(model, pictures)
            with torch.no_grad():
                model(**inputs)
            return inputs
        except Exception as error:  # every form is tried; the reasons of all are told
            said.append(f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200] if str(error) else ''}")
    raise NoInputs(" | ".join(dict.fromkeys(said)))


def find(config: PreTrainedConfig, name: str, default: Any = None) -> Any:
    """A value of the config or of the first of its parts that has it."""
    value = getattr(config, name, None)
    if value is not None:
        return value
    parts = [part for part in vars(config).values() if isinstance(part, PreTrainedConfig)]
    parts.sort(key=lambda part: "text" in part.model_type)
    return next((v for part in parts if (v := find(part, name)) is not None), default)


def side(config: PreTrainedConfig) -> int:
    """Height and width of pictures in pixels."""
    size = find(config, "image_size", 64)
    return int(size[0] if isinstance(size, (list, tuple)) else size if isinstance(size, int) else 64)


def _patch(config: PreTrainedConfig) -> int:
    patch = find(config, "patch_size", 16)
    return int(patch[0] if isinstance(patch, (list, tuple)) else patch)


def forms(config: PreTrainedConfig) -> Iterator[dict[str, Tensor]]:
    """The forms in which models take pictures, the plainest first."""
    c, s, p = int(find(config, "num_channels", 3)), side(config), _patch(config)
    t = find(config, "temporal_patch_size", find(config, "patch_temporal", 1))
    t = int(t[0] if isinstance(t, (list, tuple)) else t)
    frames = int(find(config, "num_frames", find(config, "frames_per_clip", FRAMES)) or FRAMES)
    grid, patches = GRID * GRID, c * t * p * p
    thw = torch.tensor([[1, GRID, GRID]] * BATCH)
    sizes = torch.tensor([[s, s]] * BATCH)
    yield {"pixels": torch.randn(BATCH, c, s, s)}
    yield {"pixels": torch.randn(BATCH, c, s, s), "image_sizes": sizes}
    yield {"pixels": torch.randn(BATCH * grid, patches), "image_grid_thw": thw, "video_grid_thw": thw}
    yield {"pixels": torch.randn(1, BATCH * grid, patches), "image_grid_thw": thw}
    yield {"pixels": torch.randn(BATCH, frames, c, s, s)}
    yield {"pixels": torch.randn(BATCH, 1, c, s, s), "image_sizes": sizes}
    yield {"pixels": torch.randn(BATCH, 2, c, s, s), "image_sizes": sizes}
    yield {"pixels": torch.randn(BATCH, grid, patches), "image_grid_thw": thw}
    square = torch.tensor([[GRID, GRID]] * BATCH)
    yield {
        "pixels": torch.randn(BATCH, grid, patches),
        "pixel_attention_mask": torch.ones(BATCH, grid, dtype=torch.long),
        "spatial_shapes": square,
        "image_position_ids": torch.cartesian_prod(torch.arange(GRID), torch.arange(GRID)).expand(BATCH, -1, -1),
    }
    yield {
        "pixels": torch.randn(BATCH * grid, c, p, p),
        "image_grid_thw": thw,
        "image_grid_hws": square,
        "grid_thws": thw,
    }
    yield {"pixels": torch.randn(BATCH * grid, c, t, p, p), "image_grid_thw": thw}


PIXELS = (
    "pixel_values",
    "pixel_values_images",
    "pixel_values_videos",
    "images",
    "flattened_patches",
    "pixel_patches",
    "image_pixel_values",
)


def complete(model: PreTrainedModel, pictures: dict[str, Tensor]) -> Inputs:
    """Everything that the forward asks for beside the picture."""
    parameters = inspect.signature(model.forward).parameters
    pictures = dict(pictures)
    pixels = pictures.pop("pixels")
    main = next((name for name in PIXELS if name in parameters), "pixel_values")
    if main == "flattened_patches":  # each begins with its row and column
        width = find(model.config, "patch_embed_hidden_size")
        rows, columns = (t.flatten() + 1.0 for t in torch.meshgrid(*[torch.arange(GRID)] * 2, indexing="ij"))
        places = torch.stack([rows, columns], dim=1).expand(BATCH, -1, -1)
        pixels = torch.cat([places, torch.randn(BATCH, GRID * GRID, width)], dim=2)
    inputs: Inputs = {main: pixels} | {name: t for name, t in pictures.items() if name in parameters}
    required = {n for n, p in parameters.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD}
    if "input_ids" in parameters:
        inputs |= words(model, pixels, pictures, parameters)
    for name, make in EXTRAS.items():
        if name in parameters and name not in inputs:
            inputs[name] = make(model)
    for name in sorted(required - set(inputs)):
        if name in REQUIRED:
            inputs[name] = REQUIRED[name](model)
    return inputs


def words(model: PreTrainedModel, pixels: Tensor, pictures: dict[str, Tensor], parameters: Any) -> Inputs:
    """Token ids: random words around as many image tokens as the picture has features."""
    vocabulary = int(find(model.config, "vocab_size", 160))
    ids = torch.randint(min(100, vocabulary * 5 // 8), vocabulary, (BATCH, WORDS))
    image = next((i for name in IMAGE_TOKENS if (i := find(model.config, name)) is not None), None)
    if image is not None:
        features = image_features(model, pixels, pictures) // BATCH
        wrap = [find(model.config, name) for name in ("vision_start_token_id", "vision_end_token_id")]
        start, end = (torch.full((BATCH, int(w is not None)), w or 0) for w in wrap)
        ids = torch.cat([ids[:, :3], start, torch.full((BATCH, features), int(image)), end, ids[:, 3:]], dim=1)
    ids[:, 0] = find(model.config, "bos_token_id", 1) or 1
    eos = find(model.config, "eos_token_id", 2)
    ids[:, -1] = eos[0] if isinstance(eos, (list, tuple)) else eos or 2
    made: Inputs = {"input_ids": ids}
    if "attention_mask" in parameters:
        made["attention_mask"] = torch.ones_like(ids)
    for name in ("mm_token_type_ids", "token_type_ids"):
        if name in parameters:
            made[name] = (ids == image).long() if image is not None else torch.zeros_like(ids)
    return made


IMAGE_TOKENS = (
    "image_token_id",
    "image_token_index",
    "image_context_token_id",
    "img_token_id",
    "video_token_id",
    "video_token_index",
)


def image_features(model: PreTrainedModel, pixels: Tensor, pictures: dict[str, Tensor]) -> int:
    """How many image tokens the pictures of the whole batch become."""
    holder = next((m for m in model.modules() if hasattr(m, "get_image_features")), None)
    if holder is None:
        return BATCH * GRID * GRID
    parameters = inspect.signature(holder.get_image_features).parameters
    name = next((n for n in parameters if n in PIXELS), "pixel_values")
    with torch.no_grad():
        more = {n: t for n, t in pictures.items() if n in parameters}
        more |= {n: make(model) for n, make in EXTRAS.items() if n in parameters}
        found = holder.get_image_features(**{name: pixels}, **more)
    if isinstance(found, ModelOutput):
        found = found.pooler_output if getattr(found, "pooler_output", None) is not None else found.last_hidden_state
    every = list(found) if isinstance(found, (list, tuple)) else [found]
    return sum(t.numel() // t.shape[-1] for t in every if isinstance(t, Tensor))


def _decoder_ids(model: PreTrainedModel) -> Tensor:
    return torch.randint(5, 90, (BATCH, WORDS - 4))


def _sides(model: PreTrainedModel) -> tuple[int, int]:
    return side(model.config), side(model.config)


# Given wherever the forward knows them.
EXTRAS: dict[str, Callable[[PreTrainedModel], Any]] = {
    "decoder_input_ids": _decoder_ids,
    "qformer_input_ids": _decoder_ids,
    "input_points": lambda model: torch.tensor([[[[20.0, 30.0], [40.0, 11.0]]]] * BATCH),
    "aspect_ratio_ids": lambda model: torch.ones(BATCH, 1, dtype=torch.long),
    "aspect_ratio_mask": lambda model: torch.tensor([[[1, 0, 0, 0]]] * BATCH),
    "visual_feats": lambda model: torch.randn(BATCH, 7, int(find(model.config, "visual_feat_dim", 64))),
    "visual_embeds": lambda model: torch.randn(BATCH, 7, int(find(model.config, "visual_embedding_dim", 64))),
    "visual_pos": lambda model: torch.rand(BATCH, 7, 4),
    "target_sizes": lambda model: torch.tensor([[GRID, GRID]] * BATCH),
    "image_grid_hw": lambda model: torch.tensor([[GRID, GRID]] * BATCH),
    "image_merge_sizes": lambda model: torch.tensor([2] * BATCH),
    "high_res_pixel_values": lambda model: torch.randn(BATCH, 3, 64, 64),
    "bbox": lambda model: torch.tensor([[[5, 7, 30, 41]] * WORDS] * BATCH),
}
# Given only where the forward cannot do without.
REQUIRED: dict[str, Callable[[PreTrainedModel], Any]] = {
    "task_inputs": lambda model: torch.randint(1, 90, (BATCH, 77)),
    "prompt_pixel_values": lambda model: torch.randn(BATCH, 3, *_sides(model)),
    "prompt_masks": lambda model: torch.randn(BATCH, 3, *_sides(model)),
    "grid_thw": lambda model: torch.tensor([[1, GRID, GRID]] * BATCH),
    "pixel_mask": lambda model: torch.ones(BATCH, side(model.config), side(model.config), dtype=torch.long),
}
