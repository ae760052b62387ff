"""Whole networks."""

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
