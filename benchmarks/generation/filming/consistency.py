"""Whether objects keep their colour and shape along their tracks, beside those of true films.

- colour drift: the distance, ΔE*ab (CIE 1976), of the mean colour of an object's pixels from that in the first frame,
  the mean over later frames, objects and films.
- shape drift: 1 - IoU of an object's mask with that in the first frame, both moved to the same centre of mass and
  scaled to the same area; the mean likewise, without objects that should turn.

Objects count that the judge finds in every frame of both the painted and the true film of a caption.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from scipy.ndimage import map_coordinates

from benchmarks.generation.figures import Mean, Ratio, Table
from benchmarks.generation.filming.examined import ExaminedFilm
from saccade.tasks.judge.films import FilmJudgement
from saccade.tasks.judge.find import FoundObject, resize_for_detection

GRID, REACH = 48, 1.6  # points of a side and half a side, in units of the square root of the area, of aligned masks
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65

WholeTrack = Sequence[FoundObject]
Drift = Callable[[ExaminedFilm, WholeTrack], float]


def consistency(
    painted: Sequence[ExaminedFilm],
    true: Sequence[ExaminedFilm],
    painted_judgements: Sequence[FilmJudgement],
    true_judgements: Sequence[FilmJudgement],
) -> Table:
    """Drifts of painted and of true films, and their ratios; without columns of which there is no object."""
    rows: dict[str, dict[str, Mean | Ratio]] = {"painted": {}, "true": {}}
    for name, drift, turning in (("colour drift", colour_drift, True), ("shape drift", shape_drift, False)):
        pairs = []
        for one, other, a, b in zip(painted, true, painted_judgements, true_judgements, strict=True):
            for i in _tracked(a, b, turning):
                pairs.append((drift(one, _whole(a, i)), drift(other, _whole(b, i))))
        if pairs:
            above, below = (list(each) for each in zip(*pairs, strict=True))
            rows["painted"] |= {name: Mean(above), f"{name} / true": Ratio(above, below)}
            rows["true"] |= {name: Mean(below), f"{name} / true": Ratio(below, below)}
    return rows


def colour_drift(film: ExaminedFilm, track: WholeTrack) -> float:
    """The mean distance ΔE*ab to the first frame."""
    colours = [lab(mean_colour(frame, each.mask)) for frame, each in zip(film.frames, track, strict=True)]
    return float(np.mean([np.linalg.norm(each - colours[0]) for each in colours[1:]]))


def shape_drift(film: ExaminedFilm, track: WholeTrack) -> float:
    """1 - the mean IoU with the first frame."""
    masks = [aligned(each.mask) for each in track]
    return float(np.mean([1 - (each & masks[0]).sum() / (each | masks[0]).sum() for each in masks[1:]]))


def mean_colour(frame: Image.Image, mask: Bool[np.ndarray, "y x"]) -> Float[np.ndarray, "3"]:
    """In sRGB, 0 to 1, over the pixels of the mask, which is of the frame as examined."""
    pixels: UInt8[np.ndarray, "y x 3"] = np.asarray(resize_for_detection(frame))
    return pixels[mask].mean(axis=0) / 255


def lab(rgb: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """CIELAB of a colour in sRGB (IEC 61966-2-1), with the white point D65."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    t = _TO_XYZ @ linear / _WHITE
    x, y, z = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def aligned(mask: Bool[np.ndarray, "y x"]) -> Bool[np.ndarray, "g g"]:
    """The mask with its centre of mass in the middle, scaled to the same area whatever its own."""
    rows, columns = np.nonzero(mask)
    unit = np.sqrt(len(rows))
    places = np.linspace(-REACH, REACH, GRID) * unit
    grid = np.meshgrid(rows.mean() + places, columns.mean() + places, indexing="ij")
    return map_coordinates(mask.astype(np.float32), grid, order=1) >= 0.5


def _tracked(one: FilmJudgement, other: FilmJudgement, turning: bool) -> list[int]:
    """Positions of the objects found in every frame of both. turning: with those that should turn."""
    return [
        i
        for i, motion in enumerate(one.description.motions)
        if (turning or not motion.startswith("turns")) and all([*one.tracks[i], *other.tracks[i]])
    ]


def _whole(judgement: FilmJudgement, i: int) -> WholeTrack:
    return [each for each in judgement.tracks[i] if each is not None]
