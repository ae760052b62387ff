"""Detectors of every family that is read, tiny and with random weights, as transformers writes them."""

import torch
import transformers as hf

NAMES = ["cat", "dog", "말"]
LABELS = {"id2label": dict(enumerate(NAMES)), "label2id": {name: i for i, name in enumerate(NAMES)}}
_RESNET = {"embedding_size": 8, "hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 1, 1], "layer_type": "basic"}
_LATE = ["stage2", "stage3", "stage4"]
DETR = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 37, "decoder_ffn_dim": 37, "num_queries": 7,
}  # fmt: skip
_RT = {
    "encoder_hidden_dim": 32, "encoder_in_channels": [12, 16, 20], "encoder_ffn_dim": 32, "encoder_layers": 1,
    "encoder_attention_heads": 2, "num_queries": 9, "d_model": 32, "decoder_in_channels": [32, 32, 32],
    "decoder_ffn_dim": 32, "decoder_layers": 2, "decoder_attention_heads": 2, "num_denoising": 0, "decoder_n_points": 2,
}  # fmt: skip
_POINTS = {"decoder_n_points": [2, 2, 2], "lqe_hidden_dim": 8}
_VIT = {
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 64, "patch_size": 16,
    "out_indices": [1, 2],
}  # fmt: skip
_GROUPS = {
    "projector_scale_factors": [1.0], "decoder_ffn_dim": 32, "decoder_layers": 2, "decoder_self_attention_heads": 2,
    "decoder_cross_attention_heads": 2, "d_model": 32, "num_queries": 5, "group_detr": 2,
}  # fmt: skip


def _resnet(stages=("stage4",)):
    return hf.ResNetConfig(out_features=list(stages), **_RESNET)


def _rt_resnet():
    return hf.RTDetrResNetConfig(out_features=_LATE, **_RESNET)


def _hgnet():
    return hf.HGNetV2Config(
        out_features=_LATE,
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 8, 12, 16],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[8, 12, 16, 20],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        embedding_size=8,
        hidden_sizes=[8, 12, 16, 20],
        depths=[1, 1, 1, 1],
    )


def _dab():
    sizes = {name: value for name, value in DETR.items() if name != "d_model"}
    return hf.DabDetrConfig(backbone_config=_resnet(), hidden_size=32, **sizes, **LABELS)


CONFIGS = {
    "detr": lambda: hf.DetrConfig(backbone_config=_resnet(), **DETR, **LABELS),
    "table-transformer": lambda: hf.TableTransformerConfig(backbone_config=_resnet(), **DETR, **LABELS),
    "yolos": lambda: hf.YolosConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=[64, 96],
        patch_size=16, num_detection_tokens=7, **LABELS,
    ),
    "conditional_detr": lambda: hf.ConditionalDetrConfig(backbone_config=_resnet(), **DETR, **LABELS),
    "dab-detr": _dab,
    "deformable_detr": lambda: hf.DeformableDetrConfig(
        backbone_config=_resnet(_LATE), num_feature_levels=4, **{**DETR, "num_queries": 41}, **LABELS
    ),
    "rt_detr": lambda: hf.RTDetrConfig(backbone_config=_rt_resnet(), **_RT, **LABELS),
    "rt_detr_v2": lambda: hf.RTDetrV2Config(backbone_config=_rt_resnet(), **_RT, **LABELS),
    "d_fine": lambda: hf.DFineConfig(backbone_config=_hgnet(), **{**_RT, **_POINTS}, **LABELS),
    "deimv2": lambda: hf.Deimv2Config(backbone_config=_hgnet(), **{**_RT, **_POINTS}, **LABELS),
    "lw_detr": lambda: hf.LwDetrConfig(
        backbone_config=hf.LwDetrViTConfig(pretrain_image_size=64, num_windows=4, window_block_indices=[0], **_VIT),
        **_GROUPS, **LABELS,
    ),
    "rf_detr": lambda: hf.RfDetrConfig(
        backbone_config=hf.RfDetrDinov2Config(num_windows=2, **_VIT), **_GROUPS, **LABELS
    ),
}  # fmt: skip

# The image processor of each family's checkpoints, made to prepare small pictures.
_EDGES = {"size": {"shortest_edge": 96, "longest_edge": 160}}
_SQUARE = {"size": {"height": 64, "width": 64}}
PROCESSORS = {
    "detr": ("DetrImageProcessorPil", _EDGES),
    "table-transformer": ("DetrImageProcessorPil", _EDGES),
    "yolos": ("YolosImageProcessorPil", _EDGES),
    "conditional_detr": ("ConditionalDetrImageProcessorPil", _EDGES),
    "dab-detr": ("ConditionalDetrImageProcessorPil", _EDGES),
    "deformable_detr": ("DeformableDetrImageProcessorPil", _EDGES),
    "lw_detr": ("DeformableDetrImageProcessorPil", {**_SQUARE, "do_pad": False}),
    "rt_detr": ("RTDetrImageProcessorPil", _SQUARE),
    "rt_detr_v2": ("RTDetrImageProcessorPil", _SQUARE),
    "d_fine": ("RTDetrImageProcessorPil", _SQUARE),
    "deimv2": ("RTDetrImageProcessorPil", _SQUARE),
}


def tiny(family):
    """A model of the family, every parameter and every statistic moved from its first value."""
    torch.manual_seed(0)
    config = CONFIGS[family]()
    model = getattr(hf, config.architectures[0] if config.architectures else _class_of(config))(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.15 * torch.randn_like(parameter)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer += 0.1 * torch.randn_like(buffer)
            if name.endswith("running_var"):
                buffer *= 0.7 + 0.6 * torch.rand_like(buffer)
    return model


def _class_of(config):
    return hf.MODEL_FOR_OBJECT_DETECTION_MAPPING[type(config)].__name__


def processor(family):
    name, options = PROCESSORS[family]
    return getattr(hf, name)(**options)
