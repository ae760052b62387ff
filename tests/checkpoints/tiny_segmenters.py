"""Segmenters of every family that is read, tiny and with random weights, as transformers writes them."""

import json
import shutil

import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from .tiny_detectors import DETR

NAMES = ["sky", "road", "말", "tree", "person", "water", "wall"]
LABELS = {"id2label": dict(enumerate(NAMES)), "label2id": {name: i for i, name in enumerate(NAMES)}}
_RESNET = {"embedding_size": 8, "hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 1, 1], "layer_type": "basic"}
_STAGES = [f"stage{i}" for i in range(1, 5)]
_VIT = {
    "hidden_size": 24, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 64,
    "patch_size": 16,
}  # fmt: skip
_BEIT = {
    "out_indices": [1, 2, 3, 4],
    "pool_scales": [1, 2],
    "auxiliary_channels": 8,
    "use_relative_position_bias": True,
}
_DEEPLAB = {"output_stride": 16, "aspp_out_channels": 12, "atrous_rates": [2, 3, 5]}
_EOMT = {"num_upscale_blocks": 2, "num_blocks": 2, "num_queries": 9, "num_register_tokens": 3}


def _swin():
    return hf.SwinConfig(
        image_size=64, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 2], window_size=4, out_features=_STAGES
    )


def _maskformer():
    decoder = hf.DetrConfig(backbone_config=hf.ResNetConfig(**_RESNET), **{**DETR, "num_queries": 9})
    return hf.MaskFormerConfig(
        backbone_config=_swin(), decoder_config=decoder, fpn_feature_size=32, mask_feature_size=32, **LABELS
    )


def _queries(**others):
    return {
        "backbone_config": _swin(), "hidden_dim": 32, "num_attention_heads": 2, "encoder_layers": 1,
        "decoder_layers": 3, "num_queries": 9, "dim_feedforward": 32, "encoder_feedforward_dim": 32, **others, **LABELS,
    }  # fmt: skip


CONFIGS = {
    "segformer": lambda: hf.SegformerConfig(
        hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 2, 2], decoder_hidden_size=16,
        **LABELS,
    ),
    "upernet": lambda: hf.UperNetConfig(
        backbone_config=_swin(), hidden_size=16, pool_scales=[1, 2], auxiliary_channels=8, auxiliary_in_channels=32,
        **LABELS,
    ),
    "beit": lambda: hf.BeitConfig(**_VIT, **_BEIT, **LABELS),
    "data2vec-vision": lambda: hf.Data2VecVisionConfig(**_VIT, **_BEIT, **LABELS),
    "dpt": lambda: hf.DPTConfig(
        **_VIT, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 12, 16, 20], fusion_hidden_size=16, **LABELS
    ),
    "mobilevit": lambda: hf.MobileViTConfig(
        image_size=64, hidden_sizes=[12, 16, 20], neck_hidden_sizes=[4, 6, 8, 12, 16, 20, 24], num_attention_heads=2,
        **_DEEPLAB, **LABELS,
    ),
    "mobilevitv2": lambda: hf.MobileViTV2Config(
        image_size=64, base_attn_unit_dims=[16, 24, 32], n_attn_blocks=[1, 1, 1], width_multiplier=0.25, **_DEEPLAB,
        **LABELS,
    ),
    "mobilenet_v2": lambda: hf.MobileNetV2Config(image_size=64, depth_multiplier=0.25, output_stride=16, **LABELS),
    "maskformer": _maskformer,
    "mask2former": lambda: hf.Mask2FormerConfig(**_queries(feature_size=32, mask_feature_size=16)),
    "oneformer": lambda: hf.OneFormerConfig(**_queries(conv_dim=32, mask_dim=32)),
    "eomt": lambda: hf.EomtConfig(**_VIT, **_EOMT, **LABELS),
    "eomt_dinov3": lambda: hf.EomtDinov3Config(**_VIT, **_EOMT, **LABELS),
    "detr": lambda: hf.DetrConfig(
        backbone_config=hf.ResNetConfig(out_features=_STAGES, **_RESNET),
        **{**DETR, "encoder_attention_heads": 8, "decoder_attention_heads": 8, "d_model": 64},
        **LABELS,
    ),
}  # fmt: skip

# The image processor of each family's checkpoints, made to prepare small pictures.
_SQUARE = {"size": {"height": 64, "width": 64}}
_EDGES = {"size": {"shortest_edge": 64, "longest_edge": 160}}
PROCESSORS = {
    "segformer": ("SegformerImageProcessorPil", {**_SQUARE, "do_reduce_labels": True}),
    "upernet": ("SegformerImageProcessorPil", {"size": {"height": 72, "width": 88}}),
    "beit": ("BeitImageProcessorPil", {**_SQUARE, "do_center_crop": False, "do_reduce_labels": True}),
    "data2vec-vision": ("BeitImageProcessorPil", _SQUARE),
    "dpt": ("DPTImageProcessorPil", {**_SQUARE, "do_reduce_labels": True}),
    "mobilevit": ("MobileViTImageProcessorPil", {"size": {"shortest_edge": 72}, "crop_size": 64}),
    "mobilevitv2": ("MobileViTImageProcessorPil", {"size": {"shortest_edge": 64}, "do_center_crop": False}),
    "mobilenet_v2": ("MobileNetV2ImageProcessorPil", {"size": {"shortest_edge": 70}, "crop_size": 65}),
    "maskformer": ("MaskFormerImageProcessorPil", {**_EDGES, "do_reduce_labels": True, "ignore_index": 255}),
    "mask2former": ("Mask2FormerImageProcessorPil", {"size": {"height": 64, "width": 96}}),
    "oneformer": ("OneFormerImageProcessorPil", _EDGES),
    "eomt": ("EomtImageProcessorPil", {"size": {"shortest_edge": 64, "longest_edge": None}, "do_split_image": True}),
    "eomt_dinov3": ("EomtImageProcessorPil", {"size": {"shortest_edge": 64, "longest_edge": 64}, "do_pad": True}),
    "detr": ("DetrImageProcessorPil", _EDGES),
}

_CLASSES = {
    "maskformer": "MaskFormerForInstanceSegmentation",
    "mask2former": "Mask2FormerForUniversalSegmentation",
    "oneformer": "OneFormerForUniversalSegmentation",
    "eomt": "EomtForUniversalSegmentation",
    "eomt_dinov3": "EomtDinov3ForUniversalSegmentation",
    "detr": "DetrForSegmentation",
}


def tiny(family):
    """A model of the family, every parameter and every statistic moved from its first value, that sees several
    classes in a picture if it is given one for each pixel."""
    torch.manual_seed(0)
    config = CONFIGS[family]()
    named = _CLASSES.get(family) or hf.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING[type(config)].__name__
    model = getattr(hf, named)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.15 * torch.randn_like(parameter)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer += 0.1 * torch.randn_like(buffer)
            if name.endswith("running_var"):
                buffer *= 0.7 + 0.6 * torch.rand_like(buffer)
        if "ForSemanticSegmentation" in named:
            _even(model)
    return model


def _even(model):
    """No class is the likeliest everywhere: else a test of masks would show little."""
    logits = model(pixel_values=torch.rand(1, 3, 64, 64)).logits
    *_, bias = (p for name, p in model.named_parameters() if p.shape == (len(NAMES),) and "aux" not in name)
    bias -= logits.mean(dim=(0, 2, 3))


def processor(family):
    name, options = PROCESSORS[family]
    return getattr(hf, name)(**options)


def write(family, folder):
    """A checkpoint of the family in `folder`, as transformers writes it."""
    tiny(family).save_pretrained(folder)
    processor(family).save_pretrained(folder)
    return folder


def changed(folder, to, weights=None, **config):
    """A copy of a checkpoint with other weights or fields of its config (None: without it)."""
    to.mkdir()
    contents = {**json.loads((folder / "config.json").read_text()), **config}
    (to / "config.json").write_text(json.dumps({key: value for key, value in contents.items() if value is not None}))
    shutil.copy(folder / "preprocessor_config.json", to)
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors if weights is None else weights(tensors), to / "model.safetensors")
    return to
