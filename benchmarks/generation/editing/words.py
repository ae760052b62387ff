"""One attribute of a scene changed by an instruction, English and Korean, seen and held-out combinations."""

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image
from scipy.ndimage import binary_dilation

from benchmarks.generation.figures import Mean, Row, Table
from benchmarks.generation.metrics import Region
from benchmarks.generation.painter import Painter, Request, draw_sheet, picture_of, shifted
from saccade.data.scenes import Combinations, EditedPair, edited_pair, is_held_out
from saccade.data.scenes.instructions import LANGUAGES
from saccade.data.scenes.random_stream import RandomStream
from saccade.tasks.generate.fidelity import psnr
from saccade.tasks.judge.judge import Judge
from saccade.tasks.judge.result import Judgement
from saccade.tasks.judge.scores import Share

MARGIN = 2  # pixels around the changed object and its shadow that may differ
SEARCHED = 10**6  # scenes from which edits are taken
COMBINATIONS: tuple[Combinations, ...] = ("seen", "held-out")
_EDIT = 9  # stream of random numbers; scenes, prompts and guides use 0 to 8


def score(painter: Painter, judge: Judge) -> Iterator[tuple[str, Table]]:
    """Tables with their titles."""
    for combinations in COMBINATIONS:
        for language, pairs in drawn_edits(painter, combinations).items():
            name = f"{combinations}, {language}"
            rows = painted(painter, pairs, name)
            yield f"words: {name}", {row: figures(judge, pairs, pictures) for row, pictures in rows.items()}
            if painter.settings.sheets:
                before = [picture_of(pair.before.pixels) for pair in pairs]
                examples = list(zip(before, *rows.values(), strict=True))
                sheet = draw_sheet(["before", *rows], examples, [pair.instruction for pair in pairs])
                sheet.save(painter.settings.sheets / f"words-{combinations}-{language}.png")


def drawn_edits(painter: Painter, combinations: Combinations) -> dict[str, list[EditedPair]]:
    """n edits with their instructions in each language. Held-out ones change a scene without a held-out combination
    into one that has one; no other edit has any."""
    found: dict[str, list[EditedPair]] = {language: [] for language in LANGUAGES}
    world = painter.scenes(SEARCHED, "seen" if combinations == "seen" else "all")
    for i in range(SEARCHED):
        scene = world.scene(i)
        pairs = [edited_pair(world, scene, RandomStream(world.seed, _EDIT, i), language) for language in LANGUAGES]
        if any(pair is None or not _fits(pair, combinations) for pair in pairs):
            continue
        for language, pair in zip(LANGUAGES, pairs, strict=True):
            assert pair is not None
            found[language].append(pair)
        if len(found["en"]) == painter.settings.n:
            break
    return found


def _fits(pair: EditedPair, combinations: Combinations) -> bool:
    before, after = (is_held_out(each.description.objects, each.description.relations) for each in pair[:2])
    return not before and after == (combinations == "held-out")


def painted(painter: Painter, pairs: Sequence[EditedPair], name: str) -> dict[str, list[Image.Image]]:
    """Pictures of each row."""
    before = [picture_of(pair.before.pixels) for pair in pairs]
    instructions = [pair.instruction for pair in pairs]
    own, other = (
        [Request(text, image) for text, image in zip(texts, before, strict=True)]
        for texts in (instructions, shifted(instructions))
    )
    return {
        "painted": painter.paint(own, f"{name}: edits"),
        "picture kept": before,
        "painted anew from a caption": painter.paint([Request(pair.caption.text) for pair in pairs], f"{name}: anew"),
        "instructions shuffled": painter.paint(other, f"{name}: shuffled"),
        "real": [picture_of(pair.after.pixels) for pair in pairs],
    }


def figures(judge: Judge, pairs: Sequence[EditedPair], pictures: Sequence[Image.Image]) -> Row:
    """What changed, of all edits and of those of colours and of shapes, and what remained."""
    descriptions = [pair.after.description for pair in pairs]
    judgements = list(judge.judge_all(zip(pictures, descriptions, strict=True)))
    outcomes = list(zip(pairs, judgements, strict=True))
    changed = [(pair.kind, changed_as_instructed(pair, each)) for pair, each in outcomes]
    rest = [rest_atoms(pair, each) for pair, each in outcomes]
    return {
        "changed": _share([right for _, right in changed]),
        "colour": _share([right for kind, right in changed if kind == "colour"]),
        "shape": _share([right for kind, right in changed if kind == "shape"]),
        "rest": _share([right for each in rest for right in each]),
        "rest, pictures": _share([all(each) for each in rest]),
        "PSNR outside": Mean(
            [
                psnr(np.asarray(picture)[region], pair.before.pixels[region])
                for pair, picture in zip(pairs, pictures, strict=True)
                for region in (outside(pair),)
            ]
        ),
    }


def changed_as_instructed(pair: EditedPair, judgement: Judgement) -> bool:
    """Whether the changed object has its new shape and colour."""
    return all(atom.right for atom in judgement.atoms if atom.objects == (pair.changed,))


def rest_atoms(pair: EditedPair, judgement: Judgement) -> list[bool]:
    """Of each atom that is not about the changed object whether it is right: the number of objects, the other objects
    and their relations."""
    return [atom.right for atom in judgement.atoms if pair.changed not in atom.objects]


def outside(pair: EditedPair) -> Region:
    """The pixels beyond `MARGIN` of the changed object, as it was and as it should be, and of its shadow."""
    old, new = (scene.instances == pair.changed + 1 for scene in pair[:2])
    differ = (pair.before.pixels != pair.after.pixels).any(axis=2)
    return ~binary_dilation(old | new | differ, np.ones((3, 3)), iterations=MARGIN)


def _share(outcomes: Sequence[bool]) -> Share:
    return Share(sum(outcomes), len(outcomes))
