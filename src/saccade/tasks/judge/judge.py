"""The judge of pictures of drawn scenes: which statements of a description a picture shows.

Everything is found in the picture: shapes and places by a detector, pixels by a segmenter, colours and relations by
fixed rules. Nothing here shares weights with a model that generates or matches.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice

from saccade.data import read_image
from saccade.data.images import Source
from saccade.data.scenes import Description, Scenes
from saccade.tasks.judge.atoms import check_description, judge_atoms, match_objects
from saccade.tasks.judge.find import SIDE, FoundObject, ObjectFinder
from saccade.tasks.judge.result import Judgement
from saccade.tasks.judge.scores import JudgementScores

CEILING_SEED = 4_000_037  # scenes that neither training nor validation draws


class Judge:
    """Judges pictures. finder: what finds objects in them; default: with the bundled detector and segmenter."""

    def __init__(self, finder: ObjectFinder | None = None) -> None:
        self.finder = finder or ObjectFinder()

    def judge(self, source: Source, description: Description) -> Judgement:
        """Which statements of the description are true of the picture: a path, bytes, Pillow image, array or tensor.

        Raises DataError for a picture that cannot be read, and for a description of other things than drawn scenes
        show.
        """
        return next(self.judge_all([(source, description)]))

    def judge_all(self, pairs: Iterable[tuple[Source, Description]], batch: int = 16) -> Iterator[Judgement]:
        """`judge` for many pictures with their descriptions, in batches, in order."""
        remaining = iter(pairs)
        while chunk := list(islice(remaining, batch)):
            for _, description in chunk:
                check_description(description)
            pictures = [read_image(source) for source, _ in chunk]
            for picture, found, (_, description) in zip(pictures, self.finder.find(pictures), chunk, strict=True):
                judgement = judge_found(found, description, picture.name)
                yield replace(judgement, scale=SIDE / min(picture.image.size), notes=picture.notes)

    def ceiling_scores(
        self, n: int, objects: tuple[int, int] = (1, 3), apart: bool = True, size: int = 128, seed: int = CEILING_SEED
    ) -> JudgementScores:
        """The scores of `n` drawn scenes with their own descriptions: the highest that any generator can reach.

        objects, apart, size, seed: of `saccade.data.scenes.Scenes`.
        """
        scenes = Scenes(n, size, seed, objects=objects, apart=apart)
        pairs = ((scenes.picture(i), scenes.scene(i).description) for i in range(n))
        return JudgementScores.of(self.judge_all(pairs))


def judge_found(found: Sequence[FoundObject], description: Description, name: str = "picture") -> Judgement:
    """Which statements of the description are true of objects that were found in a picture.

    Raises DataError for a description of other things than drawn scenes show.
    """
    check_description(description)
    matches = match_objects(description.objects, found)
    return Judgement(name, description, tuple(found), matches, judge_atoms(description, found, matches))


@lru_cache(maxsize=1)
def _default() -> Judge:
    return Judge()


def judge(source: Source, description: Description) -> Judgement:
    """`Judge.judge` with the bundled networks, which are loaded once."""
    return _default().judge(source, description)


def ceiling_scores(n: int, objects: tuple[int, int] = (1, 3), apart: bool = True) -> JudgementScores:
    """`Judge.ceiling_scores` with the bundled networks."""
    return _default().ceiling_scores(n, objects, apart)
