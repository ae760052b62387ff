"""Inputs of families whose forward signature does not say what it takes: (model) -> keyword arguments."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.coverage.families.transformers.inputs import BATCH, GRID, complete, find, side


def _tiled(model: Any) -> dict[str, Any]:
    """Pictures in tiles, and which words see which."""
    ids = torch.randint(100, 150, (2, 11))
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": torch.randn(2, 1, 4, 3, 56, 56),
        "aspect_ratio_ids": torch.ones(2, 1, dtype=torch.long),
        "aspect_ratio_mask": torch.tensor([[[1, 1, 0, 0]]] * 2),
        "cross_attention_mask": torch.ones(2, 11, 1, 4, dtype=torch.long),
    }


def _idefics(model: Any) -> dict[str, Any]:
    ids, side = torch.randint(100, 150, (2, 11)), model.config.vision_config.image_size
    masks = {"attention_mask": torch.ones_like(ids), "image_attention_mask": torch.ones(2, 11, 1, dtype=torch.long)}
    return {"input_ids": ids, "pixel_values": torch.randn(2, 1, 3, side, side)} | masks


def _kosmos(model: Any) -> dict[str, Any]:
    side, features = model.config.vision_config.image_size, model.config.latent_query_num
    ids = torch.randint(100, 150, (2, 11 + features))
    places = torch.zeros_like(ids)
    places[:, 3 : 3 + features] = 1
    return {"input_ids": ids, "pixel_values": torch.randn(2, 3, side, side), "image_embeds_position_mask": places}


def _classes(model: Any) -> dict[str, Any]:
    """Three classes a picture, each of a few words, and a task."""
    words, tasks = torch.randint(5, 100, (6, 7)), torch.randint(5, 100, (2, 7))
    return {
        "pixel_values": torch.randn(2, 3, 64, 64),
        "classes_input_ids": words,
        "classes_attention_mask": torch.ones_like(words),
        "tasks_input_ids": tasks,
        "tasks_attention_mask": torch.ones_like(tasks),
        "classes_structure": torch.tensor([3, 3]),
    }


def _places(*sizes: int) -> Tensor:
    """Columns and rows of the patches of pictures: (BATCH, patches, 2)."""
    return torch.cartesian_prod(*[torch.arange(n) for n in sizes]).expand(BATCH, -1, -1)


def _gemma4_vision(model: Any) -> dict[str, Any]:
    width = 3 * model.config.patch_size**2
    side = model.config.pooling_kernel_size * 2
    return {"pixel_values": torch.rand(BATCH, side**2, width), "pixel_position_ids": _places(side, side)}


def _gemma4_unified(model: Any) -> dict[str, Any]:
    width = 3 * find(model.config, "model_patch_size", 48) ** 2
    return complete(model, {"pixels": torch.rand(BATCH, GRID**2, width), "image_position_ids": _places(GRID, GRID)})


def _tiles(model: Any) -> dict[str, Any]:
    n = side(model.config)
    tiles = torch.ones(BATCH, 1, dtype=torch.bool)
    return complete(model, {"pixels": torch.randn(BATCH, 1, 3, n, n), "pixel_attention_mask": tiles})


def _inkling2(model: Any) -> dict[str, Any]:
    """Patches of the size of what becomes one token, channels last."""
    n = find(model.config, "patch_size") * find(model.config, "spatial_merge_size")
    grid = torch.tensor([[1, GRID, GRID]] * BATCH)
    return complete(model, {"pixels": torch.randn(BATCH * GRID**2, n, n, 3), "image_grid_thw": grid})


def _inkling(model: Any) -> dict[str, Any]:
    n, t = find(model.config, "patch_size"), find(model.config, "temporal_patch_size")
    return complete(model, {"pixels": torch.randn(BATCH * GRID, t, n, n, 3)})


def _molmo2(model: Any) -> dict[str, Any]:
    """One crop a picture, of which each token pools four patches."""
    config = model.config.vision_config
    patches = (config.image_size[0] // config.patch_size) ** 2
    pools = torch.arange(BATCH * patches).reshape(BATCH * patches // 4, 4)
    grids = torch.tensor([[2, patches // 8, 0, 0]] * BATCH)
    pixels = torch.randn(BATCH, patches, 3 * config.patch_size**2)
    return complete(model, {"pixels": pixels, "image_token_pooling": pools, "image_grids": grids})


def _pi0(model: Any) -> dict[str, Any]:
    """One camera, the state of a robot, and noise for its actions."""
    n, config = side(model.config), model.config
    seen = {"pixels": torch.randn(BATCH, 3, n, n)}
    words = {k: v for k, v in complete(model.model.vlm, seen).items() if k in ("input_ids", "attention_mask")}
    return words | {
        "pixel_values": seen["pixels"][:, None],
        "pixel_attention_mask": torch.ones(BATCH, 1, dtype=torch.bool),
        "state": torch.randn(BATCH, config.max_state_dim),
        "noise": torch.randn(BATCH, config.chunk_size, config.max_action_dim),
        "timestep": torch.rand(BATCH),
    }


def _paddle(model: Any) -> dict[str, Any]:
    n = find(model.config, "patch_size")
    grid = torch.tensor([[1, GRID, GRID]] * BATCH)
    return complete(model, {"pixels": torch.randn(BATCH * GRID**2, 3, n, n), "image_grid_thw": grid})


def _glm_image(model: Any) -> dict[str, Any]:
    """A picture to go by and the place of the one to be made."""
    config = model.config
    grids = torch.tensor([[1, GRID, GRID]] * 2 * BATCH)
    width = 3 * find(config, "patch_size") ** 2
    start, end = (torch.full((BATCH, 1), i) for i in (config.image_start_token_id, config.image_end_token_id))
    words = torch.randint(100, 150, (BATCH, 2, 5))
    places = torch.full((BATCH, GRID**2), config.image_token_id)
    ids = torch.cat([words[:, 0], start, places, end, words[:, 1], start], dim=1)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": torch.randn(BATCH * GRID**2, width),
        "image_grid_thw": grids,
        "images_per_sample": torch.tensor([2] * BATCH),
    }


def _video(model: Any) -> dict[str, Any]:
    """One film: the position embeddings of TVP fit one film only."""
    return {
        "input_ids": torch.randint(100, 150, (1, 11)),
        "attention_mask": torch.ones(1, 11, dtype=torch.long),
        "pixel_values": torch.randn(1, model.config.num_frames, 3, 64, 64),
    }


def _audio_video(model: Any) -> dict[str, Any]:
    return {
        "input_ids": torch.randint(100, 150, (BATCH, 11)),
        "pixel_values_videos": torch.randn(BATCH, 4, 3, 56, 56),
        "input_values": torch.randn(BATCH, 1, 64),
    }


def _crops(model: Any) -> dict[str, Any]:
    return complete(model, {"pixels": torch.randn(BATCH, 1, 3, 56, 56)})


def _prompt(places: int, token: int) -> torch.Tensor:
    """Words around the places of a picture."""
    words = torch.randint(100, 150, (BATCH, 11))
    return torch.cat([words[:, :3], torch.full((BATCH, places), token), words[:, 3:]], dim=1)


def _granite_vision(model: Any) -> dict[str, Any]:
    """A picture as a whole and as one tile, which end in 4 and 6 tokens (each row of the tile with a new line)."""
    ids = _prompt(10, model.config.image_token_index)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": torch.randn(BATCH, 2, 3, 64, 64),
        "image_sizes": torch.tensor([[64, 64]] * BATCH),
    }


def _phi4(model: Any) -> dict[str, Any]:
    """A picture as a whole and as one crop: 6 tokens each, with new lines, and one between them."""
    ids = _prompt(13, find(model.config, "image_token_id"))
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "image_pixel_values": torch.randn(BATCH, 2, 3, 56, 56),
        "image_sizes": torch.tensor([[56, 56]] * BATCH),
        "image_attention_mask": torch.ones(BATCH, 2, GRID, GRID),
    }


def _kosmos25(model: Any) -> dict[str, Any]:
    pictures = complete(model, {"pixels": torch.empty(0)})["flattened_patches"]
    features = model.config.latent_query_num
    ids = torch.randint(100, 150, (BATCH, 11 + features))
    places = torch.zeros_like(ids)
    places[:, 3 : 3 + features] = 1
    return {"input_ids": ids, "flattened_patches": pictures, "image_embeds_position_mask": places}


def _half(model: Any) -> dict[str, Any]:
    """SegGPT's: a picture, another beside it and its mask, each half of what the model sees."""
    return {name: torch.randn(BATCH, 3, 64, 64) for name in ("pixel_values", "prompt_pixel_values", "prompt_masks")}


def _pixels(rows: int, columns: int) -> Callable[[Any], dict[str, Any]]:
    return lambda model: {"pixel_values": torch.randn(BATCH, 3, rows, columns)}


# Inputs of a family, where a signature does not tell them: (model) -> what its forward is called with.
INPUTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "depth_pro": _pixels(256, 256),
    "gemma4_unified": _gemma4_unified,
    "gemma4_vision": _gemma4_vision,
    "glm_image": _glm_image,
    "granite4_vision": _granite_vision,
    "granite_docling": _tiles,
    "idefics": _idefics,
    "inkling2": _inkling2,
    "inkling_mm_model": _inkling,
    "kosmos-2": _kosmos,
    "kosmos-2.5": _kosmos25,
    "mllama": _tiled,
    "molmo2": _molmo2,
    "omdet-turbo": _classes,
    "paddleocr_vl": _paddle,
    "pe_audio_video": _audio_video,
    "perception_lm": _crops,
    "phi4_multimodal": _phi4,
    "pi0": _pi0,
    "pp_ocrv5_mobile_rec": _pixels(96, 128),
    "seggpt": _half,
    "timm_backbone": _pixels(160, 160),
    "timm_wrapper": _pixels(160, 160),
    "tvp": _video,
}


def _forget(model: Any) -> None:
    """No words that were read in an earlier run."""

    def clear(model: Any, args: Any) -> None:
        model.language_cache_class.cache.clear()
        model.language_cache_prompt.cache.clear()

    model.register_forward_pre_hook(clear)


# What is done to a model before it is run.
PREPARE: dict[str, Callable[[Any], None]] = {"omdet-turbo": _forget}
