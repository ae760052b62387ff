"""Look at a picture and a text through a model that matches them: which words and which patches answer one another."""

import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from rich.console import Console
from rich.text import Text
from torch import Tensor, nn

from saccade.checkpoints.matchers import PublicMatcher, Reading
from saccade.data import Picture
from saccade.data.files import shown as named
from saccade.errors import SaccadeError
from saccade.lens import TokenMap, Trace, token_map, watch
from saccade.lens.interactions import Interactions, Tower, interactions
from saccade.studio.look import shown
from saccade.studio.page import PageInput, PageReport, write_page
from saccade.studio.queries import rounded
from saccade.studio.targets import Targets
from saccade.studio.terminal import words_table

MARKS = "begin and end"  # of the text: tokens of no word
STEPS = 16
LOOSE = 0.01  # of what all pairs add, as the error of their sum: from there on it is said
_SIGNED = 127


@dataclass(frozen=True)
class AnswerLayer:
    """What words and patches add to the similarity together, told apart at one layer.

    name: of the picture's layer. answers: of each word, the text's marks last, and each patch. elsewhere: of each word
    and all tokens of the picture that are no patch. shared: what all of it should sum up to. gap: by how much a row
    does not, at most.
    """

    name: str
    answers: Float[Tensor, "n m"]
    elsewhere: Float[Tensor, "n"]
    shared: float
    gap: float

    def packed(self) -> tuple[bytes, list[float]]:
        """The maps as bytes, word by word, compressed, and the largest part of each, of either sign.

        part = largest · t·|t| with t = (byte − 128) / 127: off by at most 1/127 of the largest.
        """
        most = self.answers.abs().amax(dim=-1)
        parts = self.answers / most.clamp(min=1e-30)[:, None]
        coded = (parts.abs().sqrt() * parts.sign() * _SIGNED).round() + _SIGNED + 1
        return zlib.compress(coded.to(torch.uint8).numpy().tobytes(), 9), rounded(most, 6)


@dataclass(frozen=True, kw_only=True)
class AnsweringWords(Targets):
    """The words of a text, in order, and what each adds to its similarity with a picture by way of each patch.

    similarity: the cosine, -1 to 1.
    """

    kind = "words"

    layers: list[AnswerLayer]
    text: str
    words: list[str]
    similarity: float

    def __len__(self) -> int:
        return len(self.words)

    @property
    def names(self) -> list[str]:
        return self.words

    def first(self, n: int) -> "AnsweringWords":
        cut = [replace(one, answers=one.answers[:n], elsewhere=one.elsewhere[:n]) for one in self.layers]
        return replace(self, words=self.words[:n], layers=cut)

    def cut(self, n: int) -> str:
        return f"the page shows the first {n} words, to stay small"

    def content(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        layers, data = [], {}
        for i, layer in enumerate(self.layers):
            data[str(i)], largest = layer.packed()
            told = {"sums": layer.answers.sum(dim=1), "elsewhere": layer.elsewhere}
            layers.append(
                {
                    "name": layer.name,
                    "heads": len(self),
                    "largest": largest,
                    "shared": float(f"{layer.shared:.4g}"),
                    **{name: rounded(values, 4) for name, values in told.items()},
                }
            )
        told = {"text": self.text, "similarity": float(f"{self.similarity:.4g}"), "marks": self.words[-1] == MARKS}
        return {"kind": self.kind, "names": self.names, "layers": layers, **told}, data


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
        """The similarity, and a line a word."""
        console.print(f"similarity {self.words.similarity:.3f} with", Text(named(self.words.text), style="bold"))
        console.print(words_table(self.words.names, self.words.layers[-1].answers, self.grid))

    def page(self, path: Path) -> PageReport:
        """Write the page."""
        height, width = self.task.preprocess.size
        facts = {
            "name": self.task.name,
            "parameters": f"{self.task.parameters / 1e6:.1f} million",
            "picture": f"{width} x {height} pixels",
            "precision": "fp32",
        }
        prefix = ["cls"] if self.places.prefix == 1 else [f"token {i + 1}" for i in range(self.places.prefix)]
        return write_page(
            path,
            PageInput(
                picture=self.picture,
                grid=self.grid,
                trace=self.words.others,
                title=self.name.replace("\\", "/").rsplit("/", 1)[-1],
                prefix=prefix,
                target=0 if prefix else "mean",
                model=facts,
                notes=self.notes,
                targets=self.words,
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON: of each word what it adds to the similarity, and its map row by row, as the last layer's tokens
        tell; of the whole text the same."""
        layer = self.words.layers[-1]
        maps = layer.answers.unflatten(1, self.grid)
        return {
            "model": self.task.name,
            "text": self.words.text,
            "similarity": round(self.words.similarity, 6),
            "words": [
                {"word": word, "adds": round(float(one.sum()), 6), "map": _short(one)}
                for word, one in zip(self.words.words, maps, strict=True)
            ],
            "grid": list(self.grid),
            "heat": _short(maps.sum(dim=0)),
            "layer": layer.name,
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
        }


def _short(x: Tensor) -> list[list[float]]:
    return [[round(value, 6) for value in row] for row in x.tolist()]


@torch.no_grad()
def look_words(matcher: PublicMatcher, picture: Picture, text: str, steps: int = STEPS) -> WordsLook:
    """Run a matcher on one picture and one text, and tell what each word adds to their similarity by way of each patch
    (`saccade.lens.interactions`), at the input of the first, the middle and the last block of both towers.

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
        matcher.of_text(ids)
    seconds = time.perf_counter() - started
    eyes, mouth = list(_blocks(model, seen)), list(_blocks(model, read))
    if not eyes or not mouth:
        tower = "picture" if not eyes else "text"
        missed = "; ".join(f"{name}: {why}" for name, why in [*seen.missed.items(), *read.missed.items()][:2])
        raise SaccadeError(f"{matcher.name} cannot be looked into: no block of its {tower} tower attends. {missed}")
    blank = matcher.nothing(reading).to(device)
    layers, similarity = [], 0.0
    places = token_map(model, pixels, _tokens(seen, eyes[0][0]))
    for i, j in zip(_spread(len(eyes)), _spread(len(mouth)), strict=True):
        name, block = eyes[i]
        see = Tower(matcher.of_picture, {"pixel_values": pixels}, {"pixel_values": torch.zeros_like(pixels)}, block)
        tell = Tower(matcher.of_text, {"input_ids": ids}, {"input_ids": blank}, mouth[j][1])
        found = interactions(see, tell, reading.groups, steps)
        layers.append(_layer(f"{name}, {mouth[j][0]}", found, places))
        similarity = found.similarity
    notes = [*picture.notes, *matcher.notes, *_doubts(layers)]
    words = AnsweringWords(
        layers=layers, others=seen, grid=places.grid, notes=[], text=text, words=[*reading.words, MARKS], similarity=similarity
    )
    picture_shown = shown(matcher.preprocess, picture.image, places.grid, pixels.shape[-2] // places.grid[0])
    return WordsLook(matcher, picture.name, picture_shown, seen, places, words, notes, seconds)


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


def _tokens(trace: Trace, block: str) -> int:
    return trace[f"{block}.*"][0].shape[2]


def _spread(count: int) -> list[int]:
    """The first, the middle and the last of so many; the same number of them whatever the tower."""
    return [0, count // 2, count - 1]


def _layer(name: str, found: Interactions, places: TokenMap) -> AnswerLayer:
    values = found.values.cpu()
    patches = places.picture(values).flatten(1)
    return AnswerLayer(name, patches, values.sum(dim=1) - patches.sum(dim=1), found.shared, found.gap)


def _doubts(layers: list[AnswerLayer]) -> list[str]:
    return [
        f"the parts told at {layer.name} add up to {layer.shared:.3f} only to within {layer.gap:.1g}"
        for layer in layers
        if layer.gap > LOOSE * max(abs(layer.shared), 0.01)
    ]
