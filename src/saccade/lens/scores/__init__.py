"""Is the map telling the truth? Scores of maps, each beside random ones and with an interval."""

from saccade.lens.scores.bootstrap import Measured
from saccade.lens.scores.coverage import coverage
from saccade.lens.scores.knockout import head_knockout
from saccade.lens.scores.perturbation import (
    Perturbation,
    deletion,
    insertion,
    negative_perturbation,
    positive_perturbation,
)
from saccade.lens.scores.pointing import PointingGame, pointing_game
from saccade.lens.scores.segmentation import Segmented, segmentation

__all__ = [
    "Measured",
    "Perturbation",
    "PointingGame",
    "Segmented",
    "coverage",
    "deletion",
    "head_knockout",
    "insertion",
    "negative_perturbation",
    "pointing_game",
    "positive_perturbation",
    "segmentation",
]
