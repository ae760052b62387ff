"""Films with the objects that the judge finds in each frame, so that frames are examined once for all rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image
from tqdm.auto import tqdm

from saccade.data import read_image
from saccade.data.scenes import Description
from saccade.tasks.judge.films import FilmDescription, FilmJudgement, judge_found_film
from saccade.tasks.judge.find import FoundObject, ObjectFinder
from saccade.tasks.judge.judge import judge_found
from saccade.tasks.judge.scores import Share

APPEARANCE = ("count", "shape", "colour")  # kinds of atoms


@dataclass(frozen=True, eq=False)
class ExaminedFilm:
    """Frames, and what was found in each."""

    frames: Sequence[Image.Image]
    found: Sequence[Sequence[FoundObject]]

    def judge(self, description: FilmDescription) -> FilmJudgement:
        """`judge_film` of these frames."""
        return judge_found_film(self.found, description)

    def take(self, frames: Iterable[int]) -> "ExaminedFilm":
        """The film of these frames, counted from 0, in this order."""
        chosen = list(frames)
        return ExaminedFilm([self.frames[t] for t in chosen], [self.found[t] for t in chosen])

    def still(self, frame: int = 0) -> "ExaminedFilm":
        """A film as long, of one of the frames."""
        return self.take([frame] * len(self.frames))

    def shuffled(self, seed: int) -> "ExaminedFilm":
        """The frames in a random order."""
        return self.take(torch.randperm(len(self.frames), generator=torch.Generator().manual_seed(seed)).tolist())

    def followed_by(self, other: "ExaminedFilm") -> "ExaminedFilm":
        """Frames of this film, then those of another."""
        return ExaminedFilm([*self.frames, *other.frames], [*self.found, *other.found])

    def objects_right(self, description: FilmDescription, frame: int) -> bool:
        """Whether the number of objects and all their shapes and colours are right in a frame."""
        return judge_found(self.found[frame], Description(description.objects)).all_right


def examine(finder: ObjectFinder, films: Sequence[Sequence[Image.Image]], title: str) -> list[ExaminedFilm]:
    """Find the objects of each film. title: of the progress bar."""
    bar = tqdm(films, title, unit="films", delay=1, disable=None, leave=False)
    return [ExaminedFilm(frames, finder.find([read_image(frame) for frame in frames])) for frames in bar]


def judged(films: Iterable[ExaminedFilm], descriptions: Iterable[FilmDescription]) -> list[FilmJudgement]:
    """Each film by its description."""
    return [film.judge(description) for film, description in zip(films, descriptions, strict=True)]


def share(outcomes: Iterable[bool]) -> Share:
    """Of the outcomes that are true."""
    listed = list(outcomes)
    return Share(sum(listed), len(listed))


def appearance_right(judgement: FilmJudgement) -> bool:
    """Whether the number of objects and all their shapes and colours are right in every frame."""
    return all(atom.right for atom in judgement.atoms if atom.kind in APPEARANCE)


def motions_right(judgement: FilmJudgement) -> list[bool]:
    """Of each object."""
    return [atom.right for atom in judgement.atoms if atom.kind == "motion"]


def others(descriptions: Sequence[FilmDescription]) -> list[FilmDescription]:
    """For each film the description of another one, of as many objects where there is one."""
    order = sorted(range(len(descriptions)), key=lambda i: len(descriptions[i].objects))
    found = list(descriptions)
    for position, i in enumerate(order):
        found[i] = descriptions[order[(position + 1) % len(order)]]
    return found


def with_motions_of(one: FilmDescription, other: FilmDescription) -> FilmDescription:
    """The objects of one with motions of another, repeated where these are fewer."""
    motions = tuple(other.motions[i % len(other.motions)] for i in range(len(one.objects)))
    return replace(one, motions=motions)
