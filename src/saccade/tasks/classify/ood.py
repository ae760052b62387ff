"""Pictures that are unlike those a classifier was trained on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.models import ViT

FILE, KEY = "ood.safetensors", "out_of_distribution"  # of the tensors; of the thresholds, on the card
ACCEPTED = 0.95  # share of held-out pictures below the threshold


@dataclass(frozen=True)
class OODDetector:
    """Scores how far a picture's features lie from those of the training pictures: their Mahalanobis distance from the
    mean (Lee et al. 2018, section 2.1, with one Gaussian for all classes), divided by the square root of the number
    of features.
    It is the root mean square of standardised, decorrelated features: about 1 for pictures such as those of training.

    Attributes:
        mean: of the features.
        whitening: lower triangular; `whitening.T @ whitening` is the inverse of their covariance.
        threshold: `ACCEPTED` of the held-out pictures have a lower score.
        margin: threshold of the margin of `Confidence`.
        size: (height, width) of the input in pixels for which it holds.
    """

    mean: Float[Tensor, "e"]
    whitening: Float[Tensor, "e e"]
    threshold: float
    margin: float
    size: tuple[int, int]

    def __call__(self, features: Float[Tensor, "n e"]) -> Float[Tensor, "n"]:
        """The score of each picture, at least 0."""
        centred = features.float() - self.mean.to(features.device)
        return (centred @ self.whitening.T.to(features.device)).square().mean(dim=-1).sqrt()

    @property
    def tensors(self) -> dict[str, Tensor]:
        """As they are saved."""
        return {"mean": self.mean, "whitening": self.whitening.half()}

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor], card: Mapping[str, Any], width: int) -> Self:
        """From `tensors` and the entry `KEY` of the card. width: number of features. Raises ValueError for others."""
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if found != {"mean": (width,), "whitening": (width, width)}:
            raise ValueError(f"{FILE} holds {found}; expected mean ({width},) and whitening ({width}, {width})")
        if not all(tensor.is_floating_point() and bool(tensor.isfinite().all()) for tensor in tensors.values()):
            raise ValueError(f"{FILE} holds numbers that are not finite")
        try:
            threshold, margin = float(card["threshold"]), float(card["margin_threshold"])
            height, width = map(int, card["size"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"{KEY} of the card lacks its threshold, margin_threshold or size") from error
        return cls(tensors["mean"].float(), tensors["whitening"].float(), threshold, margin, (height, width))


def fit_gaussian(features: Float[Tensor, "n e"]) -> tuple[Float[Tensor, "e"], Float[Tensor, "e e"]]:
    """Mean and whitening matrix of features, rounded as they are saved. The covariance is shrunk towards a multiple of
    the identity by the OAS estimator (Chen et al. 2010, eq. 23), so that fewer pictures than features will do.

    Raises ValueError for features that do not vary."""
    n, e = features.shape
    mean = features.double().mean(dim=0)
    centred = features.double() - mean
    covariance = centred.T @ centred / n
    trace, squares = covariance.trace(), covariance.square().sum()
    if not trace > 0:
        raise ValueError("the features are the same for all pictures, or not numbers")
    spread = (n + 1 - 2 / e) * (squares - trace.square() / e)
    shrinkage = float(((1 - 2 / e) * squares + trace.square()) / spread) if spread > 0 else 1.0
    shrinkage = min(1.0, max(shrinkage, 1e-6))
    shrunk = (1 - shrinkage) * covariance + shrinkage * trace / e * torch.eye(e, dtype=torch.float64)
    factor = torch.linalg.cholesky(shrunk)
    whitening = torch.linalg.solve_triangular(factor, torch.eye(e, dtype=torch.float64), upper=False)
    return mean.float(), whitening.half().float()


def pooled_features(tokens: Float[Tensor, "b n d"], vit: ViT) -> Float[Tensor, "b e"]:
    """The class token, where there is one, and the mean of the patches, side by side."""
    patches = tokens[:, vit.prefix :].float().mean(dim=1)
    return torch.cat([tokens[:, 0].float(), patches], dim=-1) if vit.config.cls else patches


def feature_count(vit: ViT) -> int:
    """The number of `pooled_features` an encoder."""
    return vit.config.block.width * (2 if vit.config.cls else 1)


@contextmanager
def record_pooled(vit: ViT) -> Iterator[list[Tensor]]:
    """Record `pooled_features` every forward pass of an encoder in the block."""
    found: list[Tensor] = []
    hook = vit.register_forward_hook(lambda module, inputs, tokens: found.append(pooled_features(tokens.detach(), vit)))
    try:
        yield found
    finally:
        hook.remove()
