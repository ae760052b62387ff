"""Video classifiers of every family that is read, tiny and with random weights, as transformers writes them."""

import json

import torch
import transformers as hf

NAMES = ["dancing", "running", "춤", "cooking", "juggling"]
LABELS = {"id2label": dict(enumerate(NAMES)), "label2id": {name: i for i, name in enumerate(NAMES)}}
_VIT = {
    "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20, "image_size": 24,
}  # fmt: skip
CONFIGS = {
    "videomae": lambda: hf.VideoMAEConfig(**_VIT, patch_size=8, num_frames=6, tubelet_size=2, **LABELS),
    "videomae-first": lambda: hf.VideoMAEConfig(
        **_VIT, patch_size=8, num_frames=6, tubelet_size=3, use_mean_pooling=False, **LABELS
    ),
    "vivit": lambda: hf.VivitConfig(**_VIT, num_frames=6, tubelet_size=[2, 8, 8], **LABELS),
    "timesformer": lambda: hf.TimesformerConfig(**_VIT, patch_size=8, num_frames=5, **LABELS),
    "timesformer-joint": lambda: hf.TimesformerConfig(
        **_VIT, patch_size=8, num_frames=5, attention_type="joint_space_time", **LABELS
    ),
    "timesformer-space": lambda: hf.TimesformerConfig(
        **_VIT, patch_size=8, num_frames=5, attention_type="space_only", **LABELS
    ),
}
_CLASSES = {
    "videomae": hf.VideoMAEForVideoClassification,
    "vivit": hf.VivitForVideoClassification,
    "timesformer": hf.TimesformerForVideoClassification,
}


def save(name, folder, std=0.3):
    """Write one of CONFIGS with weights and processor. Returns the network of transformers and its processor."""
    torch.manual_seed(len(name))
    model = _CLASSES[name.partition("-")[0]](CONFIGS[name]()).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=std)
    model.save_pretrained(folder)
    sizes = {"size": {"shortest_edge": 27}, "crop_size": {"height": 24, "width": 24}}
    processor = hf.VivitImageProcessor(**sizes) if name == "vivit" else hf.VideoMAEImageProcessorPil(**sizes)
    processor.save_pretrained(folder)
    return model, processor


def rename_processor(folder):
    """Describe the processor as a video processor, in a file of its name."""
    path = folder / "preprocessor_config.json"
    raw = json.loads(path.read_text())
    raw["video_processor_type"] = raw.pop("image_processor_type").replace("Image", "Video")
    path.unlink()
    (folder / "video_preprocessor_config.json").write_text(json.dumps(raw))
