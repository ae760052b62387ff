"""What a tiny model of a family needs besides the rules of `tiny_models.py` and `tiny_inputs.py`."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import Gemma4VisionConfig, PreTrainedConfig

# A word for each of 160 codes of a picture, whose number is spelt with A for 0 to J for 9.
CODES = {"".join(chr(ord("A") + int(digit)) for digit in str(i)): 200 + i for i in range(160)}
VOCABULARY_MAP = {"<image>": 90} | {f"IMGIMG{letters}Z": token for letters, token in CODES.items()}

SAM = {"vision_config": {"num_pos_feats": 32, "global_attn_indexes": [1]}}
HIERA = {
    "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
    "backbone_config": {"hidden_size": 96, "num_attention_heads": 1, "blocks_per_stage": [1, 1, 2, 1]},
}
TILES = {"image_grid_pinpoints": [[56, 56]]}
LEVELS = {"intermediate_layers_indices": [0, 1], "vision_output_dim": 192}
SMALL = {"image_size": 64, "patch_size": 16}
CONVOLUTIONS = {"hidden_dim": 384, "width_coefficient": 0.3, "depth_coefficient": 0.3}

# Values of a family's config that are taken as they are; a dict goes down to a config in it.
OVERRIDES: dict[str, Any] = {
    "align": {"vision_config": CONVOLUTIONS, "projection_dim": 384},
    "efficientloftr": {"hidden_size": 256},
    "depth_pro": {
        "patch_size": 64,
        "intermediate_hook_ids": [1, 0],
        "image_model_config": SMALL,
        "patch_model_config": SMALL,
        "fov_model_config": SMALL,
    },
    "edgetam_video": {"vision_config": {"backbone_config": {"hidden_size": 96}}},
    "emu3": {
        "vocabulary_map": VOCABULARY_MAP,
        "image_token_id": 90,
        "text_config": {"vocab_size": 400},
        "vq_config": {"base_channels": 32, "channel_multiplier": [1, 2]},
    },
    "florence2": {
        "vision_config": {
            "embed_dim": [16, 32, 48, 64],
            "num_heads": [2, 2, 4, 4],
            "num_groups": [2, 2, 4, 4],
            "projection_dim": 64,
        }
    },
    "janus": {"vq_config": {"base_channels": 32, "channel_multiplier": [1, 2], "latent_channels": 32}},
    "llama4": {
        "vision_config": {
            "intermediate_size": 256,
            "vision_output_dim": 64,
            "projector_input_dim": 64,
            "projector_output_dim": 64,
        }
    },
    "lw_detr": {"projector_scale_factors": [1.0]},
    "mllama": {"text_config": {"num_hidden_layers": 4, "cross_attention_layers": [3]}, "vision_config": LEVELS},
    "molmo2": {"adapter_config": {"vision_feature_layer": [1, 0]}},
    "slanext": {"post_conv_in_channels": 64, "post_conv_out_channels": 64},
    "superglue": {"keypoint_detector_config": {"descriptor_decoder_dim": 256}, "hidden_size": 256},
    "vipllava": {"vision_feature_layer": [-1, -2]},
    "zoedepth": {"bottleneck_features": 64},
    "aria": {"projector_patch_to_query_dict": {16: 4}},
    "chameleon": {"vocabulary_map": VOCABULARY_MAP, "vocab_size": 400, "image_token_id": 90},
    "efficientnet": CONVOLUTIONS,
    "gemma3": {"mm_tokens_per_image": 4},
    "granite4_vision": TILES,
    "layoutlmv3": {"coordinate_size": 10, "shape_size": 12, "input_size": 64},
    "llava_next": TILES,
    "llava_next_video": TILES,
    "llava_onevision": TILES,
    "sam": SAM,
    "sam2": {"vision_config": HIERA},
    "sam2_video": {"vision_config": HIERA},
    "sam3_tracker": {"vision_config": {"backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]]}},
    "sam3_video": {"tracker_config": {"vision_config": {"backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]]}}},
    "sam_hq": SAM | {"mask_decoder_config": {"vit_dim": 64}},
    "shieldgemma2": {"mm_tokens_per_image": 4},
    "t5gemma2": {"encoder": {"mm_tokens_per_image": 4}},
    "tvp": {"max_img_size": 64},
    "vitmatte": {"convstream_hidden_sizes": (48, 96, 192)},
}

# Configs in a family's config that it does not make of itself.
PARTS: dict[str, dict[str, Callable[[], PreTrainedConfig]]] = {
    "gemma4": {"vision_config": Gemma4VisionConfig},
    "embedding_gemma2": {"vision_config": Gemma4VisionConfig},
}


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


# Inputs of a family, where a signature does not tell them: (model) -> what its forward is called with.
INPUTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "idefics": _idefics,
    "kosmos-2": _kosmos,
    "mllama": _tiled,
    "omdet-turbo": _classes,
}
