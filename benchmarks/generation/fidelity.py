"""How near pictures are to the true ones: SSIM, PSNR and the distance of their features, row by row."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from benchmarks.generation.figures import Mean, Table
from saccade.tasks.generate.fidelity import fidelity_scores
from saccade.tasks.generate.neighbours import Pictures
from saccade.tasks.segment.task import SegmentTask

LOWER_IS_BETTER = "feature distance"
Means = dict[str, dict[str, Mean]]  # row -> measure -> mean


def measured(rows: dict[str, Pictures], truth: Pictures, encoder: SegmentTask) -> Means:
    """Each measure of each row."""
    return {
        row: {name: Mean(values) for name, values in fidelity_scores(pictures, truth, encoder).items()}
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


def stacked(pictures: Sequence[Image.Image]) -> Pictures:
    return np.stack([np.asarray(each) for each in pictures])
