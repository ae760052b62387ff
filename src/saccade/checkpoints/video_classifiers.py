"""Public classifiers of videos in transformers checkpoints: VideoMAE, ViViT, TimeSformer. Needs saccade-attention[hf].

transformers provides the network and the image processor. Weights are loaded here, from safetensors only. No code of a
checkpoint is executed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from saccade.checkpoints.family import short_name
from saccade.checkpoints.files import OpenedCheckpoint, open_checkpoint
from saccade.checkpoints.public import (
    PublicModel,
    class_names,
    family_of,
    image_processor,
    load_network,
    network_config,
    prepare_images,
    quiet_transformers,
    refuse_quantised,
)
from saccade.data.files import escape
from saccade.errors import CheckpointError


@dataclass(frozen=True)
class VideoClassifierFamily:
    """A family of video classifiers. model: class of transformers. processor: default image processor."""

    model: str
    processor: str


# By the model_type of config.json.
KINDS: Mapping[str, VideoClassifierFamily] = {
    "videomae": VideoClassifierFamily("VideoMAEForVideoClassification", "VideoMAEImageProcessor"),
    "vivit": VideoClassifierFamily("VivitForVideoClassification", "VivitImageProcessor"),
    "timesformer": VideoClassifierFamily("TimesformerForVideoClassification", "VideoMAEImageProcessor"),
}
PROCESSORS = ("VideoMAEImageProcessor", "VivitImageProcessor")
_VIDEO_CONFIG = "video_preprocessor_config.json"


@dataclass
class PublicVideoClassifier(PublicModel):
    """A public classifier of videos for inference.

    Its tokens are `prefix`, then places of the video, each a patch of `tube` consecutive frames.
    """

    @property
    def config(self) -> Any:
        """transformers' config of the network."""
        return self.model.config

    @property
    def num_frames(self) -> int:
        """How many frames it takes."""
        return int(self.config.num_frames)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels at which it takes them."""
        return _pair(self.config.image_size)

    @property
    def tubelet_size(self) -> int:
        """Consecutive frames in a token."""
        if self.family == "vivit":
            return int(self.config.tubelet_size[0])
        return int(self.config.tubelet_size) if self.family == "videomae" else 1

    @property
    def patch(self) -> tuple[int, int]:
        """(height, width) of a patch in pixels."""
        return _pair(self.config.tubelet_size[1:] if self.family == "vivit" else self.config.patch_size)

    @property
    def prefix(self) -> list[str]:
        """Names of the tokens before those of the video."""
        return [] if self.family == "videomae" else ["cls"]

    @property
    def mean_pooled(self) -> bool:
        """Whether it predicts from the mean of all tokens; otherwise from the first one."""
        return self.family == "videomae" and bool(self.config.use_mean_pooling)

    @property
    def divided_attention(self) -> bool:
        """Whether attention over time and over space are calls of their own (Bertasius et al. 2021, section 3)."""
        return self.family == "timesformer" and self.config.attention_type == "divided_space_time"

    def preprocess(self, pictures: Sequence[Image.Image]) -> Float[Tensor, "1 t 3 y x"]:
        """Input of the network for the frames of one video. Raises DataError for frames that cannot be prepared,
        CheckpointError if their prepared size is not the network's."""
        inputs = prepare_images(self.processor, self.model, pictures, self.name)["pixel_values"]
        inputs = inputs.reshape(1, len(pictures), *inputs.shape[-3:])
        if tuple(inputs.shape[-2:]) != self.size:
            found, expected = (" x ".join(map(str, reversed(size))) for size in (inputs.shape[-2:], self.size))
            raise CheckpointError(
                f"{escape(self.name)}: its processor makes frames of {found} pixels, its network takes {expected}: "
                "preprocessor_config.json is of another model"
            )
        return inputs

    def pictures(self, inputs: Float[Tensor, "1 t 3 y x"]) -> list[Image.Image]:
        """The frames as the network sees them: cropped, at its own size."""
        processor, pixels = self.processor, inputs[0].double().cpu()
        if processor.do_normalize:
            mean, std = (torch.tensor(x, dtype=torch.float64) for x in (processor.image_mean, processor.image_std))
            pixels = pixels * std[:, None, None] + mean[:, None, None]
        if processor.do_rescale:
            pixels = (pixels + float(getattr(processor, "offset", False))) / processor.rescale_factor
        return [Image.fromarray(each.numpy()) for each in pixels.round().clamp(0, 255).byte().permute(0, 2, 3, 1)]

    @torch.no_grad()
    def logits(self, inputs: Float[Tensor, "1 t 3 y x"]) -> Float[Tensor, "1 classes"]:
        """Raises CheckpointError if they are not finite."""
        out = self.model(pixel_values=inputs.to(next(self.model.parameters()).device)).logits.float()
        if not out.isfinite().all():
            raise self.not_finite()
        return out


def is_video_classifier(source: OpenedCheckpoint) -> bool:
    """Whether the config of a checkpoint names a video classifier of KINDS."""
    return str(source.config().get("model_type")) in KINDS


def load_video_classifier(spec: str | Path | OpenedCheckpoint) -> PublicVideoClassifier:
    """Load a public classifier of videos.

    spec: "hf:owner/name" (fetched once, then from the cache), a folder with config.json and model.safetensors, or an
    opened checkpoint.

    Raises CheckpointError, in one line, for any other family, pickles, damaged or missing weights, a TimeSformer
    without attention over time, and where transformers is not installed.
    """
    source = spec if isinstance(spec, OpenedCheckpoint) else open_checkpoint(spec)
    raw_config, notes = dict(source.config()), list[str]()
    family = family_of(raw_config, KINDS, "video classifier", source.name)
    refuse_quantised(source)
    if raw_config.get("attention_type") == "space_only":
        raise CheckpointError(
            f"{source.name}: its attention_type is space_only, so that it answers for each frame alone; expected "
            "divided_space_time or joint_space_time"
        )
    kind = KINDS[family]
    with quiet_transformers(source.name) as library:
        config = network_config(library, kind.model, raw_config, source.name)
        model = load_network(library, kind.model, config, source.weights, source.name, notes)
        ours = {"VivitImageProcessor": library.VivitImageProcessor.from_dict}  # on NumPy, under no other name
        processor = image_processor(library, kind.processor, PROCESSORS, _with_processor(source), notes, ours)
    return PublicVideoClassifier(
        model, class_names(model.config, notes), processor, family, short_name(source.name), notes
    )


def _with_processor(source: OpenedCheckpoint) -> OpenedCheckpoint:
    """The checkpoint with its video processor, if it has one, as the image processor of the same name: it prepares each
    frame as that does."""
    nested = source.config("processor_config.json").get("video_processor")
    candidates = (source.config("preprocessor_config.json"), source.config(_VIDEO_CONFIG), nested)
    raw_config: dict[str, Any] = dict(next((each for each in candidates if each), {}))
    named = raw_config.pop("video_processor_type", None)
    if named is not None and "image_processor_type" not in raw_config:
        usual = "VideoMAE" if str(named).startswith("Timesformer") else str(named).removesuffix("VideoProcessor")
        raw_config["image_processor_type"] = f"{usual}ImageProcessor"
    return replace(source, configs={**source.configs, "preprocessor_config.json": raw_config})


def _pair(size: Any) -> tuple[int, int]:
    """(height, width), of which one number stands for both."""
    return (int(size), int(size)) if isinstance(size, int) else (int(size[0]), int(size[1]))
