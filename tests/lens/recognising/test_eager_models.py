"""Models of Hugging Face whose attention is written as separate operations, against the maps they return."""

import pytest
import torch
from torch import nn

from saccade.lens import watch

transformers = pytest.importorskip("transformers")

TINY = {"hidden_size": 28, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 19}
STAGES = {"depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 2, 2], "hidden_sizes": [8, 16, 16, 16]}
HIERA = {"image_size": [64, 64], "embed_dim": 16, "depths": [1, 1, 1, 1], "masked_unit_size": [8, 8]}
SWIN = {"image_size": 32, "patch_size": 2, "embed_dim": 12, "depths": [2, 1], "num_heads": [2, 3], "window_size": 4}
TEXT = {**TINY, "encoder_hidden_size": 28, "vocab_size": 99, "bos_token_id": 1, "pad_token_id": 0, "sep_token_id": 2}
RESNET = {"embedding_size": 8, "hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1], "layer_type": "basic"}
WORDS = torch.tensor([[1, 5, 6, 2], [1, 7, 2, 0]])


def make(name, config, **options):
    return getattr(transformers, name)(getattr(transformers, config)(**options))


def blip():
    vision = {**TINY, "image_size": 16, "patch_size": 8}
    return make("BlipForImageTextRetrieval", "BlipConfig", vision_config=vision, text_config=TEXT)


def detr():
    backbone = transformers.ResNetConfig(**RESNET, out_features=["stage4"])
    small = {"encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    small |= {"d_model": 12, "encoder_ffn_dim": 11, "decoder_ffn_dim": 11, "num_queries": 5, "num_labels": 3}
    return make("DetrForObjectDetection", "DetrConfig", backbone_config=backbone, **small)


def mask2former():
    stages = ["stage1", "stage2", "stage3", "stage4"]
    swin = {**SWIN, "image_size": 64, "depths": [1] * 4, "num_heads": [2] * 4}
    backbone = transformers.SwinConfig(**swin, out_features=stages)
    small = {"feature_size": 32, "mask_feature_size": 32, "hidden_dim": 32, "encoder_layers": 1, "decoder_layers": 3}
    small |= {"num_attention_heads": 2, "dim_feedforward": 11, "encoder_feedforward_dim": 11, "num_queries": 5}
    return make("Mask2FormerModel", "Mask2FormerConfig", backbone_config=backbone, **small)


def sam():
    small = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 64, "patch_size": 8}
    small |= {"output_channels": 8, "window_size": 3, "global_attn_indexes": [1], "mlp_dim": 10, "num_pos_feats": 4}
    return make("SamVisionModel", "SamVisionConfig", attn_implementation="eager", **small)


# Model, size of its picture, and the names of the maps among its outputs.
MODELS = {
    "vit": (lambda: make("ViTModel", "ViTConfig", image_size=24, patch_size=8, **TINY), 24, ["attentions"]),
    "swin": (lambda: make("SwinModel", "SwinConfig", **SWIN), 32, ["attentions"]),
    "swinv2": (lambda: make("Swinv2Model", "Swinv2Config", **SWIN), 32, ["attentions"]),
    "hiera": (
        lambda: make("HieraModel", "HieraConfig", num_heads=[1, 2, 2, 4], **HIERA),
        64, ["attentions"],
    ),
    "pvt": (
        lambda: make("PvtModel", "PvtConfig", image_size=64, sequence_reduction_ratios=[4, 2, 1, 1], **STAGES),
        64, ["attentions"],
    ),
    "segformer": (lambda: make("SegformerModel", "SegformerConfig", **STAGES), 64, ["attentions"]),
    "timesformer": (
        lambda: make("TimesformerModel", "TimesformerConfig", image_size=16, patch_size=8, num_frames=3, **TINY),
        (3, 3, 16, 16), ["attentions"],
    ),
    "blip": (blip, 16, ["attentions"]),
    "sam": (sam, 64, ["attentions"]),
    "detr": (detr, 64, ["encoder_attentions", "decoder_attentions", "cross_attentions"]),
    "mask2former": (mask2former, 64, ["attentions"]),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore")
def test_maps_are_those_the_model_returns(name):
    build, size, outputs = MODELS[name]
    torch.manual_seed(3)
    model = build().eval()
    for p in model.parameters():  # larger weights than the default: maps with some structure
        nn.init.normal_(p, std=0.2)
    if getattr(model, "_supports_sdpa", False):
        model.set_attn_implementation("eager")
    shape = size if isinstance(size, tuple) else (3, size, size)
    given = {"pixel_values": torch.randn(2, *shape)} | ({"input_ids": WORDS} if name == "blip" else {})
    with torch.no_grad():
        maps = returned(model, given, outputs)
        plain = model(**given)
        with watch(model, values=True) as trace:
            watched = model(**given)
    for a, b in zip(tensors(plain), tensors(watched), strict=True):
        assert torch.equal(a, b)
    assert maps
    assert len(trace) >= len(maps)
    assert not any(call.note or call.v is None for call in trace)
    assert {call.kind for call in trace} <= {"self", "cross"}
    assert not trace.missed or name == "mask2former"  # which has deformable attention, of another kind
    found = [call.weights() for call in trace]
    for w in maps:
        assert min(distance(w, call) for call in found) < 1e-4


def returned(model, given, outputs):
    """The maps that a model returns; those of SAM's modules, which it drops on the way."""
    maps = []
    for module in model.modules():
        if type(module).__name__ == "SamVisionAttention":
            module.register_forward_hook(lambda module, args, out: maps.append(out[1]))
    out = model(**given, output_attentions=True)
    return list(maps) or [w for field in outputs for w in out[field] if w is not None]


def tensors(out):
    return [t for t in out.values() if isinstance(t, torch.Tensor)]


def distance(w, call):
    """The largest difference of two maps, which may have windows on an axis of their own, after that of the heads, or
    be a mean of heads."""
    w = w.transpose(1, 2) if w.ndim == 5 else w
    if w.ndim == 3 and w.shape == (call.shape[0], *call.shape[2:]):
        call = call.mean(1)
    return float((call.reshape(w.shape) - w).abs().max()) if call.numel() == w.numel() else 1.0
