"""The judge of films: objects followed through all frames, and how they move."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from saccade.data import read_image
from saccade.data.images import Source
from saccade.data.scenes import Description
from saccade.data.scenes.captions import article
from saccade.data.scenes.films import DIRECTIONS, Film
from saccade.errors import DataError
from saccade.tasks.judge.atoms import Matches, check_description, match_objects
from saccade.tasks.judge.find import FoundObject, ObjectFinder
from saccade.tasks.judge.motion import motion_of
from saccade.tasks.judge.result import Atom, BaseJudgement

Track = tuple[FoundObject | None, ...]  # of each frame


@dataclass(frozen=True)
class FilmDescription:
    """Attributes:
    objects: (shape, colour) of each; the colour is "" where it is not named.
    motions: of each object, one of `saccade.data.scenes.films.DIRECTIONS`.

    Raises:
        DataError: shapes, colours or motions that drawn films do not show; not one motion for each object.
    """

    objects: tuple[tuple[str, str], ...]
    motions: tuple[str, ...]

    def __post_init__(self) -> None:
        check_description(Description(self.objects))
        if len(self.motions) != len(self.objects):
            raise DataError(
                f"the film has {len(self.objects)} objects and {len(self.motions)} motions; one each expected"
            )
        for motion in self.motions:
            if motion not in DIRECTIONS:
                raise DataError(f"the film has the motion {motion!r}; the judge knows {', '.join(DIRECTIONS)}")

    @classmethod
    def of(cls, film: Film) -> "FilmDescription":
        """What a drawn film shows."""
        return cls(tuple(zip(film.names, film.colours, strict=True)), tuple(film.motions))


@dataclass(frozen=True)
class FilmJudgement(BaseJudgement):
    """Which statements of a description are true of a film.

    Attributes:
        description: what the film should show.
        tracks: for each object of the description, what was found of it in each frame, or None where nothing was.
        atoms: the count, and each object's shape, colour and motion. The first three must be right in every frame.
    """

    description: FilmDescription
    tracks: tuple[Track, ...]
    atoms: tuple[Atom, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON. Boxes are left, top, right, bottom in pixels of the frames as examined."""
        return {
            "objects": [list(each) for each in self.description.objects],
            "motions": list(self.description.motions),
            "all_right": self.all_right,
            "atoms": [atom.to_dict() for atom in self.atoms],
            "tracks": [[list(each.box) if each else None for each in track] for track in self.tracks],
        }


def judge_film(
    frames: UInt8[np.ndarray, "t y x 3"] | Sequence[Source],
    description: FilmDescription,
    finder: ObjectFinder | None = None,
) -> FilmJudgement:
    """Which statements of the description are true of a film of two or more frames.

    In each frame the found objects are assigned to the described ones by shape and colour, as for a picture. finder:
    what finds objects; default: with the bundled networks.

    Raises DataError for fewer than two frames, or one that cannot be read.
    """
    if len(frames) < 2:
        raise DataError(f"the film has {len(frames)} frames; 2 or more expected")
    pictures = [read_image(frame) for frame in frames]
    return judge_found_film((finder or ObjectFinder()).find(pictures), description)


def judge_found_film(found: Sequence[Sequence[FoundObject]], description: FilmDescription) -> FilmJudgement:
    """`judge_film` of the objects that were found in each of two or more frames."""
    matches = [match_objects(description.objects, each) for each in found]
    tracks = tuple(_track(i, matches, found) for i in range(len(description.objects)))
    counts = [len(each) for each in found]
    atoms = [_count(len(description.objects), counts)]
    for i, track in enumerate(tracks):
        atoms += _object(description, i, track)
    return FilmJudgement(description, tracks, tuple(atoms))


def _track(i: int, matches: Sequence[Matches], found: Sequence[Sequence[FoundObject]]) -> Track:
    positions = [here[i] for here in matches]
    return tuple(None if at is None else objects[at] for at, objects in zip(positions, found, strict=True))


def _count(expected: int, counts: Sequence[int]) -> Atom:
    wrong = [f"{count} found in frame {t}" for t, count in enumerate(counts) if count != expected]
    return Atom("count", f"{expected} object{'s' * (expected != 1)} in every frame", not wrong, _first(wrong))


def _object(description: FilmDescription, i: int, track: Track) -> list[Atom]:
    shape, colour = description.objects[i]
    phrase, motion = f"{colour} {shape}".strip(), description.motions[i]
    lost = [f"not found in frame {t}" for t, each in enumerate(track) if each is None]
    seen = [(t, each) for t, each in enumerate(track) if each is not None]
    shapes = lost + [f"{article(each.shape)} in frame {t}" for t, each in seen if each.shape != shape]
    atoms = [Atom("shape", article(phrase), not shapes, _first(shapes), (i,))]
    if colour:
        colours = lost + [f"{each.colour or 'grey'} in frame {t}" for t, each in seen if each.colour != colour]
        atoms.append(Atom("colour", f"the {phrase} is {colour}", not colours, _first(colours), (i,)))
    moved = None if lost else motion_of([each for _, each in seen])
    reason = _first(lost) if lost else "" if moved == motion else f"it {moved}"
    return [*atoms, Atom("motion", f"the {phrase} {motion}", not reason, reason, (i,))]


def _first(reasons: Sequence[str]) -> str:
    return f"{reasons[0]}{f' and {len(reasons) - 1} more' if len(reasons) > 1 else ''}" if reasons else ""
