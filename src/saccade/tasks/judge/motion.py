"""How an object moves, from what was found of it in each frame."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from saccade.data.scenes import shapes
from saccade.tasks.judge.find import FoundObject
from saccade.tasks.judge.outlines import fit_outline

# Drawn films: paths of 0.22 to 0.5 of the shorter side, sizes that change by 1.7, turns of 115 degrees.
MIN_PATH = 0.1  # of the picture's shorter side
STRAIGHT = 2.0  # times as far along its axis as across it
MIN_GROWTH = 1.3  # times, of the size
MIN_TURN = np.radians(40)
SLACK = 0.25  # of a change, by which it may go back from one frame to the next
SYMMETRY = {"square": 4, "frame": 4, "cross": 4, "triangle": 3, "star": 5}  # turns that look the same


def motion_of(track: Sequence[FoundObject]) -> str:
    """One of `saccade.data.scenes.films.DIRECTIONS`, or "moves diagonally" or "moves unsteadily".

    track: the object in each frame, of two or more.
    """
    centres = np.array([((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for b in (each.box for each in track)])
    places = centres / min(track[0].mask.shape)
    sizes = np.log([np.sqrt(each.num_pixels) for each in track])
    path, growth = places[-1] - places[0], sizes[-1] - sizes[0]
    if np.abs(places - places[0]).max() >= MIN_PATH:
        axis = int(np.abs(path).argmax())
        if np.abs(path).max() < MIN_PATH or not _is_steady(places[:, axis]):
            return "moves unsteadily"
        if np.abs(path[axis]) < STRAIGHT * np.abs(path[1 - axis]):
            return "moves diagonally"
        return (("moves left", "moves right"), ("moves up", "moves down"))[axis][int(path[axis] > 0)]
    if np.abs(growth) >= np.log(MIN_GROWTH):
        return "moves unsteadily" if not _is_steady(sizes) else "grows" if growth > 0 else "shrinks"
    angles = rotation_angles(track)
    if np.abs(angles[-1]) >= MIN_TURN:
        if not _is_steady(angles):
            return "moves unsteadily"
        return "turns clockwise" if angles[-1] > 0 else "turns counterclockwise"
    return "stays still"


def rotation_angles(track: Sequence[FoundObject]) -> Float[np.ndarray, "t"]:
    """By how much, in radians and clockwise, the object has turned in each frame since the first.

    Turns from frame to frame are the shortest that the shape's symmetry allows.
    """
    if track[0].shape in shapes.ROUND:
        return np.zeros(len(track))
    nothing = np.zeros_like(track[0].mask)
    angle: float | None = None
    angles = []
    for each in track:
        angle = fit_outline(each, nothing, angle).angle
        angles.append(angle)
    period = 2 * np.pi / SYMMETRY.get(track[0].shape, 1)
    unwrapped = np.unwrap(angles, period=period)
    return unwrapped - unwrapped[0]


def _is_steady(values: Float[np.ndarray, "t"]) -> bool:
    """Whether they go one way, but for small steps back."""
    change = values[-1] - values[0]
    return bool((np.diff(values) * np.sign(change) >= -SLACK * abs(change)).all())
