"""Config values that single families need in addition to the rules of `models.py`."""

from collections.abc import Callable
from typing import Any

from transformers import Gemma4UnifiedVisionConfig, Gemma4VisionConfig, PreTrainedConfig

# A word for each of 160 codes of a picture, whose number is spelt with A for 0 to J for 9.
CODES = {"".join(chr(ord("A") + int(digit)) for digit in str(i)): 200 + i for i in range(160)}
VOCABULARY_MAP = {"<image>": 90} | {f"IMGIMG{letters}Z": token for letters, token in CODES.items()}

FEATURE_SIZES = [[16, 16], [8, 8], [4, 4]]
SAM = {"vision_config": {"num_pos_feats": 32, "global_attn_indexes": [1]}}
HIERA = {
    "backbone_feature_sizes": FEATURE_SIZES,
    "backbone_config": {"hidden_size": 96, "num_attention_heads": 1, "blocks_per_stage": [1, 1, 2, 1]},
}
TILES = {"image_grid_pinpoints": [[56, 56]]}
LEVELS = {"intermediate_layers_indices": [0, 1], "vision_output_dim": 192}
SMALL = {"image_size": 64, "patch_size": 16}
CONVOLUTIONS = {"hidden_dim": 384, "width_coefficient": 0.3, "depth_coefficient": 0.3}
RATIOS = {"longratio": 7, "midratio": 5, "shortratio": 3}  # kernels of PP-OCR's blocks, each with stride and padding
STRIPES: dict[str, Any] = {"reduce_channel": [1, 1, 0], "return_channel": [1, 1, 0]}
for _name, _n in RATIOS.items():
    STRIPES[f"vertical_long_to_small_conv_{_name}"] = [[_n, 1], [1, 1], [_n // 2, 0]]
    STRIPES[f"horizontal_small_to_long_conv_{_name}"] = [[1, _n], [1, 1], [0, _n // 2]]
    STRIPES[f"symmetric_conv_long_{_name}"] = [[_n, _n], [1, 1], [_n // 2, _n // 2]]
STAGES = {  # of a convolutional network: (kernel, from, to, stride, whether it squeezes and excites)
    "block_configs": [
        [[3, 96, 96, 1, True]],
        [[3, 96, 96, 2, False]],
        [[3, 96, 192, 2, False]],
        [[3, 192, 384, 2, False]],
    ],
    "out_indices": [1, 2, 3, 4],
}
DETECTED = {"intraclass_block_config": STRIPES, "scale_factor_list": [1, 2, 4, 8], "kernel_list": [3, 2, 2]}
# A language model whose layers take keys and values of earlier layers.
SHARING = {
    "num_hidden_layers": 4,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "num_kv_shared_layers": 2,
    "intermediate_size": [96] * 4,
    "activation_sparsity_pattern": [0.95, 0.0, 0.0, 0.0],
}
NARROW = {"architecture": "mobilenetv5_base", "model_args": {"channel_multiplier": 0.1}}
PATCHES = {"embed_dim": 64, "depth": 2, "num_heads": 4, "img_size": (56, 56), "global_pool": ""}  # of a ViT of timm
PATCHES_MAP = {name: value for name, value in PATCHES.items() if name != "global_pool"}
WRAPPED = {
    "vision_start_token_id": 91,
    "vision_end_token_id": 92,
    "audio_start_token_id": 93,
    "audio_end_token_id": 94,
}
CODEC = {"encoder_hidden_size": 8, "downsampling_ratios": [2, 4], "hidden_size": 32, "decoder_hidden_size": 32}
VISUAL_TOKENS = {"<image>": 90, "<|extra_200|>": 91} | {f"<|visual token {i:06d}|>": 200 + i for i in range(160)}

# Values of a family's config that are taken as they are; a dict goes down to a config in it.
OVERRIDES: dict[str, Any] = {
    "align": {"vision_config": CONVOLUTIONS, "projection_dim": 96},
    "cohere_compass": {
        "text_config": {
            "rope_parameters": {
                "full_attention": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 2, 4]}
            }
        },
        "vision_config": {"deepstack_visual_indexes": [0, 1]},
    },
    "deepseek_ocr2": {
        "text_config": {"mlp_layer_types": ["dense", "sparse"], "num_experts_per_tok": 2},
        "vision_config": {"sam_config": {"downsample_channels": [64, 64]}},
    },
    "deepseek_vl_hybrid": {"high_res_vision_config": {"global_attn_indexes": [1]}},
    "donut-swin": {"window_size": 2},
    "dots3_note": {
        "vision_config": {"mlp_layer_types": ["dense", "sparse"], "adapter_in_dim": 64},
        "audio_config": {"adapter_input_size": 64},
    },
    "edgetam": {
        "vision_config": {
            "backbone_config": {
                "architecture": "repvit_m1",
                "model_args": {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
            },
            "backbone_feature_sizes": FEATURE_SIZES,
        }
    },
    "fast_vlm": {"vision_config": {"architecture": "fastvit_sa12", "hidden_size": 1024}},
    "gemma3n": {
        "text_config": SHARING,
        "vision_config": NARROW | {"hidden_size": 2048},
    },
    "gemma3n_vision": NARROW,
    "hunyuan_vl": {"text_config": {"head_dim": 16}},
    "inkling_mm_model": {"vision_config": {"patch_size": 4}},
    "kosmos-2.5": {"latent_query_num": 16},
    "muse_spark": {"audio_config": {"num_hidden_layers": 4, "hidden_sizes": [16] * 4}, "out_hidden_size": 256},
    "omdet-turbo": {
        "apply_layernorm_after_vision_backbone": False,
        "encoder_in_channels": [24, 32, 48],
        "vision_features_channels": [64] * 3,
        "text_projection_in_dim": 32,
        "text_projection_out_dim": 32,
        "class_embed_dim": 32,
        "text_config": {"hidden_size": 32},
    },
    "paddleocr_vl": {
        "text_config": {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5, "mrope_section": [2, 3, 3]}}
    },
    "pe_audio_video": {
        "audio_video_config": {
            "audio_config": {"dac_config": CODEC},
            "video_config": {
                "vision_config": {"architecture": "vit_pe_core_large_patch14_336", "model_args": PATCHES_MAP}
            },
        }
    },
    "perception_lm": {"vision_config": {"architecture": "vit_pe_lang_large_patch14_448", "model_args": PATCHES}},
    "phi4_multimodal": {"vision_config": {"crop_size": 56}},
    "pp_doclayout_v2": {
        "class_thresholds": [0.5] * 25,
        "class_order": list(range(20)) * 2,
        "reading_order_config": {
            "start_token_id": 0,
            "pad_token_id": 1,
            "end_token_id": 2,
            "pred_token_id": 3,
            "max_2d_position_embeddings": 1024,
        },
    },
    "pp_formulanet": {"vision_config": {"post_conv_in_channels": 64}},
    "pp_ocrv5_server_det": DETECTED,
    "pp_ocrv6_medium_det": DETECTED | {"backbone_config": STAGES},
    "pp_ocrv6_small_det": {"backbone_config": STAGES, "layer_list_out_channels": [96, 96, 192, 384]},
    "qwen2_5_omni_thinker": WRAPPED,
    "qwen3_omni_moe_thinker": WRAPPED,
    "qwen4_exp": {
        "text_config": {
            "indexer_n_heads": 2,
            "indexer_kv_heads": 1,
            "indexer_head_dim": 16,
            "indexer_budget": 4,
            "indexer_compress_ratio": 2,
        }
    },
    "seggpt": {"image_size": [128, 64]},
    "step3p7": {"text_config": {"sliding_window": 8}},
    "t5gemma2_encoder": {"text_config": {"dropout_rate": 0.0}, "mm_tokens_per_image": 4},
    "timm_backbone": {"backbone": "test_vit"},
    "timm_wrapper": {"architecture": "test_vit"},
    "efficientloftr": {"hidden_size": 256, "num_attention_heads": 8, "num_key_value_heads": 8},
    "depth_pro": {
        "patch_size": 64,
        "intermediate_hook_ids": [1, 0],
        "image_model_config": SMALL,
        "patch_model_config": SMALL,
        "fov_model_config": SMALL,
    },
    "edgetam_video": {
        "vision_config": {"backbone_config": {"hidden_size": 96}, "backbone_feature_sizes": FEATURE_SIZES}
    },
    "emu3": {
        "vocabulary_map": VISUAL_TOKENS,
        "image_token_id": 90,
        "text_config": {"vocab_size": 400},
        "vq_config": {"base_channels": 32, "channel_multiplier": [1, 2], "codebook_size": 160},
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
    "molmo2": {"adapter_config": {"vision_feature_layer": [1, 0]}, "image_patch_id": 90},
    "muse_glimmer": {"out_hidden_size": 256},
    "slanext": {"post_conv_in_channels": 64, "post_conv_out_channels": 64},
    "superglue": {"keypoint_detector_config": {"descriptor_decoder_dim": 256}, "hidden_size": 256},
    "vipllava": {"vision_feature_layer": [-1, -2]},
    "zoedepth": {"bottleneck_features": 64},
    "aria": {"projector_patch_to_query_dict": {16: 4}},
    "chameleon": {"vocabulary_map": VOCABULARY_MAP, "vocab_size": 400, "image_token_id": 90},
    "efficientnet": CONVOLUTIONS,
    "gemma3": {"mm_tokens_per_image": 4},
    "granite4_vision": {
        "image_grid_pinpoints": [[64, 64]],
        "deepstack_layer_map": [[0, 0], [1, 1]],
        "downsample_rate": "1/2",
        "spatial_target_layers": [0, 0, 1, 1],
    },
    "layoutlmv3": {"coordinate_size": 10, "shape_size": 12, "input_size": 64},
    "llava_next": TILES,
    "llava_next_video": TILES,
    "llava_onevision": TILES,
    "sam": SAM,
    "sam2": {"vision_config": HIERA},
    "sam2_video": {"vision_config": HIERA},
    "sam3_tracker": {"vision_config": {"backbone_feature_sizes": FEATURE_SIZES}},
    "sam3_video": {"image_size": 56, "tracker_config": {"vision_config": {"backbone_feature_sizes": FEATURE_SIZES}}},
    "sam_hq": SAM | {"mask_decoder_config": {"vit_dim": 64}},
    "shieldgemma2": {"mm_tokens_per_image": 4},
    "t5gemma2": {"encoder": {"mm_tokens_per_image": 4}},
    "tvp": {"max_img_size": 64, "visual_prompt_size": 16},
    "unlimited_ocr": {"vision_config": {"sam_config": {"downsample_channels": [64, 64]}}},
    "uvdoc": {"backbone_config": {"out_indices": [1, 2, 3, 4, 5, 6]}},
    "vitmatte": {"convstream_hidden_sizes": [48, 96, 192], "fusion_hidden_sizes": [64, 64, 32, 16]},
}

# Configs in a family's config that it does not make of itself.
PARTS: dict[str, dict[str, Callable[[], PreTrainedConfig]]] = {
    "gemma4": {"vision_config": Gemma4VisionConfig},
    "embedding_gemma2": {"vision_config": Gemma4VisionConfig},
    "gemma4_unified": {"vision_config": Gemma4UnifiedVisionConfig},
}
