"""Whole networks. Names are imported on first use: a classifier is read without the modules of a generator."""

from typing import TYPE_CHECKING

from saccade.lazy import lazy_exports

if TYPE_CHECKING:
    from saccade.models.classifier import Classifier, ClassifierConfig
    from saccade.models.embedder import Embedder, EmbedderConfig
    from saccade.models.generator import Generator, GeneratorConfig
    from saccade.models.matcher import Match, Matcher, MatcherConfig, PictureFeatures, TextFeatures
    from saccade.models.presets import PRESETS, preset
    from saccade.models.text import TextEncoder, TextEncoderConfig
    from saccade.models.vit import ViT, ViTConfig

__all__ = [
    "PRESETS",
    "Classifier",
    "ClassifierConfig",
    "Embedder",
    "EmbedderConfig",
    "Generator",
    "GeneratorConfig",
    "Match",
    "Matcher",
    "MatcherConfig",
    "PictureFeatures",
    "TextEncoder",
    "TextEncoderConfig",
    "TextFeatures",
    "ViT",
    "ViTConfig",
    "preset",
]

_MODULES = {
    ".classifier": (
        "Classifier",
        "ClassifierConfig",
    ),
    ".embedder": (
        "Embedder",
        "EmbedderConfig",
    ),
    ".generator": (
        "Generator",
        "GeneratorConfig",
    ),
    ".matcher": (
        "Match",
        "Matcher",
        "MatcherConfig",
        "PictureFeatures",
        "TextFeatures",
    ),
    ".presets": (
        "PRESETS",
        "preset",
    ),
    ".text": (
        "TextEncoder",
        "TextEncoderConfig",
    ),
    ".vit": (
        "ViT",
        "ViTConfig",
    ),
}

__getattr__, __dir__ = lazy_exports(__name__, {name: module for module, names in _MODULES.items() for name in names})
