"""Preprocessing from and to transformers' preprocessor_config.json."""

from collections.abc import Mapping
from typing import Any

from saccade.checkpoints.family import IMAGENET, OPENAI_CLIP, height_width, read_interpolation
from saccade.data.preprocess import Preprocess

_HALF = [0.5, 0.5, 0.5]
_CLIP = {name: list(values) for name, values in OPENAI_CLIP.items()}
# Defaults of transformers' image processors.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "ViT": {"size": {"height": 224, "width": 224}, "resample": 2, "image_mean": _HALF, "image_std": _HALF},
    "DeiT": {
        "size": {"height": 256, "width": 256},
        "do_center_crop": True,
        "crop_size": 224,
        "resample": 3,
        "image_mean": _HALF,
        "image_std": _HALF,
    },
    "CLIP": {
        "size": {"shortest_edge": 224},
        "do_center_crop": True,
        "crop_size": 224,
        "resample": 3,
        "image_mean": _CLIP["mean"],
        "image_std": _CLIP["std"],
    },
}
_DEFAULTS["Bit"] = _DEFAULTS["CLIP"]


def read_processor(raw_config: dict[str, Any], default: Preprocess, kind: str, notes: list[str]) -> Preprocess:
    """Preprocessing from the contents of the file.

    raw_config: empty if there is no file, which gives `default`. kind: assumed if the file names no type.
    """
    if not raw_config:
        notes.append("no preprocessor_config.json: pictures are prepared as is usual for this family")
        return default
    named = str(raw_config.get("image_processor_type") or raw_config.get("feature_extractor_type") or kind)
    kind = next((known for known in ("DeiT", "ViT", "CLIP", "Bit") if named.startswith(known)), kind)
    fields = {**_DEFAULTS[kind], **raw_config}
    mean, std = fields["image_mean"], fields["image_std"]
    if fields.get("do_normalize") is False:
        mean, std = [0.0] * len(mean), [1.0] * len(std)
    common: dict[str, Any] = {
        "interpolation": read_interpolation(fields["resample"], notes),
        "mean": tuple(map(float, mean)),
        "std": tuple(map(float, std)),
    }
    size = fields["size"]
    if isinstance(size, int):  # files older than transformers 4.26
        size = {"height": size, "width": size} if kind in ("ViT", "DeiT") else {"shortest_edge": size}
    crop = height_width(fields.get("crop_size")) if fields.get("do_center_crop") else None
    if "shortest_edge" in size:
        short = int(size["shortest_edge"])
        return Preprocess(crop or (short, short), "crop", short, **common)
    stretched = height_width(size) or default.size
    if crop is None or crop == stretched:
        return Preprocess(stretched, **common)
    return Preprocess(crop, "stretch", stretched[0], **common)


def write_processor(preprocess: Preprocess) -> dict[str, Any]:
    """The inverse of `read_processor`: contents of preprocessor_config.json."""
    numbers = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
    height, width = preprocess.size
    common = {
        "do_resize": True,
        "resample": numbers[preprocess.interpolation],
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(preprocess.mean),
        "image_std": list(preprocess.std),
    }
    crop = {"do_center_crop": True, "crop_size": {"height": height, "width": width}}
    if preprocess.resize == "crop":
        size = {"shortest_edge": preprocess.shortest or min(preprocess.size)}
        return {"image_processor_type": "CLIPImageProcessor", "size": size, **crop, **common}
    if preprocess.shortest is None:
        return {"image_processor_type": "ViTImageProcessor", "size": {"height": height, "width": width}, **common}
    size = {"height": preprocess.shortest, "width": preprocess.shortest}
    return {"image_processor_type": "DeiTImageProcessor", "size": size, **crop, **common}


def center_crop_preprocess(
    size: tuple[int, int], share: float = 1.0, normalise: Mapping[str, Any] = IMAGENET
) -> Preprocess:
    """Resize the shorter side to size / share, then crop the center; bicubic."""
    return Preprocess(size, "crop", int(min(size) / share), "bicubic", **normalise)
