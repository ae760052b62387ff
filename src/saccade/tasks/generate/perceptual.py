"""The distance of predictions from the data in the features of a trained picture encoder."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from saccade.errors import UsageError
from saccade.models import ViT
from saccade.tasks.base import Task
from saccade.tasks.loading import load

LEAST_NOISY = 0.5  # share of a batch whose predictions are compared: where noise hides much, the mean of all is right


class PerceptualLoss:
    """1 - cosine of the tokens of predictions and data after the last block of a frozen encoder, mean over the patches.

    The squared error counts every pixel alike, so that an outline, a few pixels of each object, teaches little. Only
    the samples of a batch with the least noise take part (PixelGen, Ma et al. 2026).
    """

    def __init__(self, encoder: Task):
        self.vit = encoder.vit.eval().requires_grad_(False)
        self.standardize = encoder.preprocess.standardize

    def distances(
        self, prediction: Float[Tensor, "b f c y x"], data: Float[Tensor, "b f c y x"], t: Float[Tensor, "b g"]
    ) -> Float[Tensor, "b"]:
        """Of each sample, 0 for those with the most noise. prediction, data: -1 to 1. t: 0 (noise) to 1 (data)."""
        self.vit.to(t.device)
        chosen = t.mean(dim=1).topk(max(1, round(len(t) * LEAST_NOISY))).indices
        with torch.no_grad():
            true = self._tokens(data[chosen])
        errors = token_distances(self._tokens(prediction[chosen]), true)
        return torch.zeros(len(t), device=t.device).index_add(0, chosen, errors)

    def _tokens(self, frames: Float[Tensor, "b f c y x"]) -> Float[Tensor, "b m d"]:
        """The patch tokens of all frames."""
        pictures = self.standardize(frames.flatten(0, 1).float() / 2 + 0.5)
        tokens = self.vit(pictures)[:, self.vit.prefix :].float()
        return tokens.unflatten(0, frames.shape[:2]).flatten(1, 2)


def token_distances(tokens: Float[Tensor, "n m d"], others: Float[Tensor, "n m d"]) -> Float[Tensor, "n"]:
    """1 - cosine of tokens at the same place, mean over places, 0 to 2."""
    return (1 - F.cosine_similarity(tokens, others, dim=-1)).mean(dim=1)


def load_perceptual(name: str) -> PerceptualLoss:
    """The loss in the features of a model, by whatever `saccade.load` takes. Raises UsageError for one that has no ViT
    for RGB pictures."""
    task = load(name)
    network = getattr(task, "model", None)
    vit = getattr(network, "vit", network)
    if not isinstance(task, Task) or not isinstance(vit, ViT) or vit.config.channels != 3:
        raise UsageError(f"--perceptual-model {name}: a model with a Vision Transformer for RGB pictures is expected")
    return PerceptualLoss(task)
