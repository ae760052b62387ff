"""How near pictures are to the true ones: SSIM, PSNR and the distance of their features, row by row."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from benchmarks.generation.figures import Mean, Table
from benchmarks.generation.metrics import psnr, ssim
from benchmarks.generation.painter import picture_of
from saccade.tasks.generate.neighbours import Pictures
from saccade.tasks.loading import load
from saccade.tasks.segment.task import SegmentTask

BATCH = 25
LOWER_IS_BETTER = "feature distance"
Means = dict[str, dict[str, Mean]]  # row -> measure -> mean


def patch_encoder() -> SegmentTask:
    """The model of the feature distance."""
    encoder = load("shapes")
    assert isinstance(encoder, SegmentTask)
    return encoder


def measured(rows: dict[str, Pictures], truth: Pictures, encoder: SegmentTask) -> Means:
    """Each measure of each row."""
    true = patch_tokens(truth, encoder)
    return {
        row: {
            "SSIM": Mean([ssim(one, other) for one, other in zip(pictures, truth, strict=True)]),
            "PSNR": Mean([psnr(one, other) for one, other in zip(pictures, truth, strict=True)]),
            LOWER_IS_BETTER: Mean(feature_distances(patch_tokens(pictures, encoder), true)),
        }
        for row, pictures in rows.items()
    }


def differences(means: Means) -> Table:
    """The painted pictures minus each other row; of distances the reverse."""
    first, *others = means
    return {
        row: {
            name: mean.minus(means[first][name]) if name == LOWER_IS_BETTER else means[first][name].minus(mean)
            for name, mean in means[row].items()
        }
        for row in others
    }


def clearly_better(better: Table) -> list[str]:
    """The measures by which the painted pictures are better than every other row, zero outside of all intervals.
    better: of `differences`."""
    measures = next(iter(better.values()))
    return [name for name in measures if all(row[name].interval[0] > 0 for row in better.values())]


@torch.no_grad()
def patch_tokens(pictures: Pictures, encoder: SegmentTask) -> Float[Tensor, "n m d"]:
    """The patch tokens of each picture after the last block of the encoder."""
    vit = encoder.vit.eval()
    inputs = torch.stack([encoder.preprocess(picture_of(each)) for each in pictures])
    return torch.cat([vit(some)[:, vit.prefix :].float() for some in inputs.split(BATCH)])


def feature_distances(tokens: Float[Tensor, "n m d"], others: Float[Tensor, "n m d"]) -> list[float]:
    """1 - cosine of tokens at the same place, mean over places, 0 to 2."""
    return (1 - F.cosine_similarity(tokens, others, dim=-1)).mean(dim=1).tolist()


def stacked(pictures: Sequence[Image.Image]) -> Pictures:
    return np.stack([np.asarray(each) for each in pictures])
