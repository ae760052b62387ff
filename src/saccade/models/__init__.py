"""Whole networks."""

from saccade.models.classifier import Classifier, ClassifierConfig
from saccade.models.embedder import Embedder, EmbedderConfig
from saccade.models.presets import PRESETS, preset
from saccade.models.vit import ViT, ViTConfig

__all__ = ["PRESETS", "Classifier", "ClassifierConfig", "Embedder", "EmbedderConfig", "ViT", "ViTConfig", "preset"]
