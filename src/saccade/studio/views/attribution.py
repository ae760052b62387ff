"""Look at a picture and a text through a model that matches them: which words and which patches answer one another."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.console import Console
from rich.text import Text
from torch import nn

from saccade.checkpoints.matchers import PublicMatcher, Reading
from saccade.data import Picture
from saccade.data.files import shown as named
from saccade.errors import SaccadeError
from saccade.lens import TokenMap, Trace, token_map, watch
from saccade.lens.interactions import Interactions, Tower, interactions
from saccade.studio.look import short, shown
from saccade.studio.page import PageInput, PageReport, facts_of, title_of, write_page
from saccade.studio.terminal import words_table
from saccade.studio.views.words import MARKS, AnsweringWords, AnswerLayer

DEPTHS = 3  # layers at which words and patches are told apart
STEPS, MOST_STEPS = 16, 256  # of integration: doubled until the parts add up
LOOSE = 0.01  # of what all pairs add, as the error of their sum: more steps, and if they take too long it is said
LONG = 5e12  # multiply-adds that two processor cores do in about two minutes: layers that need more are left out


@dataclass
class WordsLook:
    """One picture and one text looked at by somebody else's matcher, `task`.

    picture: what of it the model saw. trace: of the picture's tower. places: of its tokens.
    """

    task: PublicMatcher
    name: str
    picture: Image.Image
    trace: Trace
    places: TokenMap
    words: AnsweringWords
    notes: list[str]
    seconds: float

    click = "a word"

    @property
    def grid(self) -> tuple[int, int]:
        return self.places.grid

    def tell(self, console: Console) -> None:
        """The similarity, what it is made of, and a line a word."""
        words, layer = self.words, self.words.layers[0]
        elsewhere = float(layer.elsewhere.sum())
        parts = [(layer.shared - elsewhere, "by words and patches together (below)")]
        if abs(elsewhere) >= 0.00005:
            parts.append((elsewhere, "by words and what of the picture is no patch"))
        parts.append((words.similarity - layer.shared, "that an empty picture or text would share as well"))
        console.print(f"similarity {words.similarity:.4f} with", Text(named(words.text), style="bold"))
        for value, what in parts:
            console.print(f"  {value:+.4f} {what}")
        console.print(words_table(words.names, layer.answers, self.grid, marks=words.marks))

    def page(self, path: Path) -> PageReport:
        """Write the page."""
        height, width = self.task.preprocess.size
        facts = facts_of(self.task, width, height) | {"precision": "fp32"}
        prefix = ["cls"] if self.places.prefix == 1 else [f"token {i + 1}" for i in range(self.places.prefix)]
        return write_page(
            path,
            PageInput(
                picture=self.picture,
                grid=self.grid,
                trace=self.words.others,
                title=title_of(self.name),
                prefix=prefix,
                target=0 if prefix else "mean",
                model=facts,
                notes=self.notes,
                targets=self.words,
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON: of each word what it adds to the similarity, and its map row by row, told apart at the first of the
        layers; of the whole text the same. What words add, and `elsewhere` (by way of what of the picture is no patch),
        add up to `shared`, to within `gap`; the rest of the similarity is what an empty picture or text would share.
        """
        layer = self.words.layers[0]
        maps = layer.answers.unflatten(1, self.grid)
        marks = len(maps) - 1 if self.words.marks else None
        return {
            "model": self.task.name,
            "text": self.words.text,
            "similarity": round(self.words.similarity, 6),
            "shared": round(layer.shared, 6),
            "elsewhere": round(float(layer.elsewhere.sum()), 6),
            "gap": round(layer.gap, 6),
            "words": [
                {"word": word, "is_word": i != marks, "adds": round(float(one.sum()), 6), "map": short(one)}
                for i, (word, one) in enumerate(zip(self.words.words, maps, strict=True))
            ],
            "grid": list(self.grid),
            "heat": short(maps.sum(dim=0)),
            "layer": layer.name,
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
        }


@torch.no_grad()
def look_words(matcher: PublicMatcher, picture: Picture, text: str) -> WordsLook:
    """Run a matcher on one picture and one text, and tell what each word adds to their similarity by way of each patch
    (`saccade.lens.interactions`), at the input of the first, the middle and the last block of both towers; without the
    earlier ones where these would take many minutes. At the first block every token still holds its own place alone.

    Raises SaccadeError for a text without words or with too many, and where the blocks or patches cannot be told.
    """
    reading = matcher.read(text)
    model, device = matcher.model, next(matcher.model.parameters()).device
    pixels = matcher.preprocess(picture.image)[None].to(device)
    ids = reading.ids.to(device)
    started = time.perf_counter()
    with watch(model, values=True) as seen:
        matcher.of_picture(pixels)
    with watch(model) as read:
        told = matcher.of_text(ids)
    seconds = time.perf_counter() - started
    blank = matcher.nothing(reading).to(device)
    if torch.equal(matcher.of_text(blank), told):
        raise SaccadeError(
            f"{matcher.name} answers {text!r} as it does a text without words: its tokenizer.json is of another model, "
            "or it does not know these words"
        )
    eyes, mouth = _towers(matcher, seen, read)
    places = token_map(model, pixels, seen[f"{eyes[0][0]}.*"][0].shape[2])
    see = Tower(matcher.of_picture, {"pixel_values": pixels}, {"pixel_values": torch.zeros_like(pixels)}, eyes[0][1])
    tell = Tower(matcher.of_text, {"input_ids": ids}, {"input_ids": blank}, mouth[0][1])
    layers, similarity = list[AnswerLayer](), 0.0
    for (name, block), (other, layer), most in _depths(
        eyes, mouth, len(places) * (2 * len(reading.groups) + 4), device
    ):
        found = _summed(replace(see, layer=block), replace(tell, layer=layer), reading, most)
        layers.append(_layer(f"{name}, {other}", found, places))
        similarity = found.similarity
    notes = [*picture.notes, *matcher.notes, *_doubts(layers)]
    names = [*reading.words, MARKS]
    words = AnsweringWords(
        layers=layers, others=seen, grid=places.grid, notes=[], text=text, words=names, similarity=similarity
    )
    covered = shown(matcher.preprocess, picture.image, places.grid, pixels.shape[-2] // places.grid[0])
    return WordsLook(matcher, picture.name, covered, seen, places, words, notes, seconds)


Blocks = list[tuple[str, nn.Module]]


def _towers(matcher: PublicMatcher, seen: Trace, read: Trace) -> tuple[Blocks, Blocks]:
    """The blocks of the picture's tower and of the text's, by name."""
    towers = [list(_blocks(matcher.model, trace)) for trace in (seen, read)]
    for what, blocks, trace in zip(("picture", "text"), towers, (seen, read), strict=True):
        if not blocks:
            missed = "; ".join(f"{name}: {why}" for name, why in list(trace.missed.items())[:2])
            raise SaccadeError(
                f"{matcher.name} cannot be looked into: no block of its {what} tower was seen to attend. {missed}"
            )
    return towers[0], towers[1]


def _blocks(model: nn.Module, trace: Trace) -> Iterator[tuple[str, nn.Module]]:
    """The blocks of a tower in order: what is one of a list of modules and holds self-attention."""
    met = set()
    for call in trace:
        parts = call.name.split(".")
        for end in range(len(parts), 0, -1):
            name = ".".join(parts[:end])
            if isinstance(model.get_submodule(name.rpartition(".")[0]), nn.ModuleList):
                if call.kind == "self" and name not in met:
                    met.add(name)
                    yield name, model.get_submodule(name)
                break


def _depths(
    eyes: Blocks, mouth: Blocks, work: int, device: torch.device
) -> Iterator[tuple[tuple[str, nn.Module], tuple[str, nn.Module], int]]:
    """The first, the middle and the last blocks of both towers, with how many steps of integration there is time for;
    earlier ones with time for less than STEPS are left out. work: multiply-adds of a step for each number learned."""
    for i, j in ((0, 0), (len(eyes) // 2, len(mouth) // 2), (len(eyes) - 1, len(mouth) - 1)):
        most = MOST_STEPS
        if device.type == "cpu":
            most = int(LONG / (work * _size(eyes[i:])))
        if most >= STEPS or i == len(eyes) - 1:
            yield eyes[i], mouth[j], max(most, STEPS)


def _size(blocks: Blocks) -> int:
    return sum(p.numel() for _, block in blocks for p in block.parameters())


def _layer(name: str, found: Interactions, places: TokenMap) -> AnswerLayer:
    values = found.values.cpu()
    patches = places.picture(values).flatten(1)
    return AnswerLayer(name, patches, values.sum(dim=1) - patches.sum(dim=1), found.shared, found.gap)


def _summed(see: Tower, tell: Tower, reading: Reading, most: int) -> Interactions:
    """With as many steps, up to `most`, as make the parts add up."""
    steps = STEPS
    while True:
        found = interactions(see, tell, reading.groups, steps)
        steps *= 2
        if _adds_up(found.shared, found.gap) or steps > min(most, MOST_STEPS):
            return found


def _adds_up(shared: float, gap: float) -> bool:
    return gap <= LOOSE * max(abs(shared), 0.01)


def _doubts(layers: list[AnswerLayer]) -> list[str]:
    doubts = [
        f"the parts told at {layer.name} add up to {layer.shared:.3f} only to within {layer.gap:.1g}"
        for layer in layers
        if not _adds_up(layer.shared, layer.gap)
    ]
    if len(layers) < DEPTHS:
        doubts.append(
            "words and patches are told apart at late layers only: earlier ones take many minutes without a GPU"
        )
    return doubts
