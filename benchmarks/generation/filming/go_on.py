"""Films that go on from the first third of a drawn film, window by window.

The true film has all frames of the same motions, so that the given frames show a third of each motion, and painted and
true films go on at the same speed and end within the picture. Motions are those of the new frames.
"""

from collections.abc import Iterator, Sequence

from benchmarks.generation.figures import Row, Table
from benchmarks.generation.filming.consistency import consistency
from benchmarks.generation.filming.examined import ExaminedFilm, appearance_right, examine, judged, motions_right, share
from benchmarks.generation.filming.painter import COMBINATIONS, FilmPainter
from benchmarks.generation.filming.sheet import save_sheets
from saccade.tasks.judge.films import FilmDescription
from saccade.tasks.judge.find import ObjectFinder

LONGER = 3  # times as many frames as are given


def score(painter: FilmPainter, finder: ObjectFinder) -> Iterator[tuple[str, Table]]:
    """Tables with their titles."""
    known = painter.settings.frames
    for combinations in COMBINATIONS:
        prompts, name = painter.prompts(combinations, LONGER * known), f"go on, {combinations}"
        new = [film[known:] for film in painter.going_on(prompts, known, f"{name}: painting")]
        true = examine(finder, [prompt.frames for prompt in prompts], f"{name}: judging true films")
        begun = [film.take(range(known)) for film in true]
        pairs = zip(begun, examine(finder, new, f"{name}: judging"), strict=True)
        painted = [start.followed_by(rest) for start, rest in pairs]
        descriptions = [prompt.description for prompt in prompts]
        repeated = [
            start.followed_by(film.still(known - 1).take(range(known, LONGER * known)))
            for start, film in zip(begun, true, strict=True)
        ]
        rows = {"painted": painted, "true": true, f"frame {known} repeated": repeated}
        yield name, {row: figures(films, descriptions, known) for row, films in rows.items()}
        judgements = judged(painted, descriptions)
        yield f"{name}: consistency", consistency(painted, true, judgements, judged(true, descriptions))
        if painter.settings.sheets:
            texts = [prompt.text for prompt in prompts]
            save_sheets(painter.settings.sheets, f"go-on-{combinations}", painted, texts, judgements)


def figures(films: Sequence[ExaminedFilm], descriptions: Sequence[FilmDescription], known: int) -> Row:
    """Whether objects are right in three of the new frames and in all of them, and their motions."""
    pairs = list(zip(films, descriptions, strict=True))
    new = judged((film.take(range(known, len(film.frames))) for film in films), descriptions)
    instants = (3 * known // 2, 2 * known, LONGER * known)
    return {
        **{f"objects, frame {t}": share(film.objects_right(each, t - 1) for film, each in pairs) for t in instants},
        "objects, all new frames": share(appearance_right(each) for each in new),
        "motions": share(right for each in new for right in motions_right(each)),
        "all motions": share(all(motions_right(each)) for each in new),
        "all right": share(each.all_right for each in new),
    }
