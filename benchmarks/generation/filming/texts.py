"""Films from captions: seen and held-out combinations of shape and colour."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.generation.figures import Row, Table
from benchmarks.generation.filming.consistency import consistency
from benchmarks.generation.filming.examined import (
    ExaminedFilm,
    appearance_right,
    examine,
    judged,
    motions_right,
    others,
    share,
)
from benchmarks.generation.filming.painter import COMBINATIONS, FilmPainter
from benchmarks.generation.filming.sheet import save_sheets
from saccade.tasks.judge.films import FilmDescription, FilmJudgement
from saccade.tasks.judge.find import ObjectFinder
from saccade.tasks.judge.scores import JudgementScores

KINDS = {
    "moves": ("moves right", "moves left", "moves up", "moves down"),
    "turns": ("turns clockwise", "turns counterclockwise"),
    "grows or shrinks": ("grows", "shrinks"),
    "stays still": ("stays still",),
}
MISTAKES = 8  # kinds that are printed

Judgements = Mapping[str, Sequence[FilmJudgement]]


def score(painter: FilmPainter, finder: ObjectFinder) -> Iterator[tuple[str, Table]]:
    """Tables with their titles."""
    for combinations in COMBINATIONS:
        prompts, name = painter.prompts(combinations), f"text, {combinations}"
        painted = examine(finder, painter.from_texts(prompts, f"{name}: painting"), f"{name}: judging")
        true = examine(finder, [prompt.frames for prompt in prompts], f"{name}: judging true films")
        descriptions = [prompt.description for prompt in prompts]
        judgements = judgements_of(painted, true, descriptions)
        yield f"{name}: whole films", {row: whole_films(each) for row, each in judgements.items()}
        yield f"{name}: atoms", {row: atoms(each) for row, each in judgements.items()}
        yield f"{name}: motion by its kind", {row: by_motion(each) for row, each in judgements.items()}
        yield f"{name}: consistency", consistency(painted, true, judgements["painted"], judgements["true"])
        print(f"painted motions that are wrong: {mistakes(judgements['painted'])}")
        if painter.settings.sheets:
            texts = [prompt.text for prompt in prompts]
            save_sheets(painter.settings.sheets, f"text-{combinations}", painted, texts, judgements["painted"])


def judgements_of(
    painted: Sequence[ExaminedFilm], true: Sequence[ExaminedFilm], descriptions: Sequence[FilmDescription]
) -> Judgements:
    """Painted and true films, and the controls: the first frame of a true film all the time, its frames in a random
    order, and painted films by the descriptions of others."""
    rows = {
        "painted": painted,
        "true": true,
        "true, still": [film.still() for film in true],
        "true, frames shuffled": [film.shuffled(i) for i, film in enumerate(true)],
    }
    found = {row: judged(films, descriptions) for row, films in rows.items()}
    found["painted, captions shuffled"] = judged(painted, others(descriptions))
    return found


def whole_films(judgements: Sequence[FilmJudgement]) -> Row:
    """All right; by the number of objects; objects right in every frame; motions right."""
    numbers = sorted({len(each.description.objects) for each in judgements})
    return {
        "all right": share(each.all_right for each in judgements),
        **{
            f"{k} object{'s' * (k > 1)}": share(
                each.all_right for each in judgements if len(each.description.objects) == k
            )
            for k in numbers
        },
        "objects, all frames": share(appearance_right(each) for each in judgements),
        "all motions": share(all(motions_right(each)) for each in judgements),
    }


def atoms(judgements: Sequence[FilmJudgement]) -> Row:
    """Of all kinds, and of each."""
    total = JudgementScores.of(judgements).total
    return {name: figure for name, figure in total.items() if figure.n and name != "pictures"}


def by_motion(judgements: Sequence[FilmJudgement]) -> Row:
    """Right motions of objects, by the motion that is described; without those that do not occur."""
    outcomes = [
        (motion, right)
        for each in judgements
        for motion, right in zip(each.description.motions, motions_right(each), strict=True)
    ]
    found = {kind: share(right for motion, right in outcomes if motion in motions) for kind, motions in KINDS.items()}
    return {kind: figure for kind, figure in found.items() if figure.n}


def mistakes(judgements: Sequence[FilmJudgement]) -> str:
    """The most common wrong motions, and how often they occur."""
    found: Counter[str] = Counter()
    for each in judgements:
        wrong = [atom for atom in each.wrong if atom.kind == "motion"]
        reasons = (atom.reason if atom.reason.startswith("it ") else "the object is lost" for atom in wrong)
        found.update(
            f"{each.description.motions[atom.objects[0]]}: {reason}"
            for atom, reason in zip(wrong, reasons, strict=True)
        )
    return ", ".join(f"{reason} ({count})" for reason, count in found.most_common(MISTAKES)) or "none"
