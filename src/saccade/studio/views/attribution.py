"""The view of a dual encoder (CLIP and the like): which words correspond to which patches.

Its towers do not attend to each other, so that the similarity is attributed to pairs of a word and a patch (Möller et
al. 2025) instead of read from cross-attention.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor, nn

from saccade.checkpoints.matchers import PublicMatcher, TokenizedText
from saccade.data import Picture
from saccade.data.files import escape
from saccade.errors import SaccadeError
from saccade.language import localize_text
from saccade.lens import Interactions, TokenMap, Tower, Trace, interactions, token_map, watch
from saccade.studio.patches.extras import Extras
from saccade.studio.patches.features import record_features
from saccade.studio.terminal import plain_table
from saccade.studio.views.base import LookOptions, View, reject_size_option, to_rows
from saccade.studio.views.encoder import visible_part
from saccade.studio.views.word_attributions import SPECIAL, AttributionLayer, WordAttributions
from saccade.tasks.match.public import PublicMatchTask
from saccade.tasks.match.unrelated_texts import UnrelatedTextComparison, compare_with_unrelated

DEPTHS = 3  # pairs of layers at which the similarity is attributed
STEPS, MAX_STEPS = 16, 256  # of integration: doubled until the attributions add up
TOLERANCE = 0.01  # relative error of the sum; a larger one after MAX_STEPS is noted
MAX_COST = 5e12  # multiply-adds that two processor cores do in about two minutes: layers that need more are left out


@dataclass(kw_only=True)
class AttributionView(View):
    """One image and one text seen by another library's dual encoder.

    places: where the tokens of the image tower lie.
    """

    task: PublicMatcher
    places: TokenMap
    targets: WordAttributions

    @classmethod
    def look(cls, task: Any, picture: Picture, options: LookOptions) -> "AttributionView":
        """Attribute the similarity of an image and the best of the texts to words and patches
        (`saccade.lens.interactions`), at the input of the first, the middle and the last block of both towers; without
        the earlier ones where these would take many minutes. At the first block every token still holds its own patch
        or word alone.

        Raises SaccadeError for a text without words or with too many, and where blocks or patches are not recognized.
        """
        reject_size_option(task, options)
        ranker = PublicMatchTask(task)
        several = len(options.texts) > 1
        comparison = (
            compare_with_unrelated(ranker, picture, ranker.encode_pictures([picture]), options.texts)
            if several
            else None
        )
        text = options.texts[0] if comparison is None else comparison.ranking.text
        towers = _run(task, task.preprocess(picture.image)[None], text)
        layers, similarity = _attribute(task, towers)
        words = WordAttributions(
            layers=layers,
            others=towers.image_trace,
            grid=towers.places.grid,
            notes=[],
            text=text,
            words=[*towers.reading.words, SPECIAL],
            similarity=similarity,
            comparison=comparison,
        )
        height, width = towers.pixels.shape[-2:]
        return cls(
            task=task,
            name=picture.name,
            picture=visible_part(task.preprocess, picture.image, words.grid, height // words.grid[0]),
            pixels=(height, width),
            grid=words.grid,
            prediction=None,
            trace=towers.image_trace,
            targets=words,
            summary=None,
            notes=[*picture.notes, *task.notes, *_warnings(layers)],
            seconds=towers.seconds,
            places=towers.places,
            extras=towers.extras,
        )

    @property
    def heat(self) -> Float[Tensor, "y x"]:
        """The attribution of the whole text to each patch, at the first of the layers."""
        return self.targets.layers[0].attributions.sum(dim=0).unflatten(0, self.grid)

    @property
    def prefix(self) -> list[str]:
        return ["cls"] if self.places.prefix == 1 else [f"token {i + 1}" for i in range(self.places.prefix)]

    @property
    def target(self) -> int | Literal["mean"]:
        return 0 if self.prefix else "mean"

    @property
    def click_hint(self) -> str:
        return "a word"

    @property
    def text_comparison(self) -> UnrelatedTextComparison | None:
        return self.targets.comparison

    def print_summary(self, console: Console) -> None:
        """The similarity, its parts, and a row a word."""
        words, layer = self.targets, self.targets.layers[0]
        elsewhere = float(layer.elsewhere.sum())
        parts = [(layer.shared - elsewhere, "from pairs of a word and a patch (below)")]
        if abs(elsewhere) >= 0.00005:
            parts.append((elsewhere, "from pairs of a word and an image token that is not a patch"))
        parts.append((words.similarity - layer.shared, "that an empty image or text has as well"))
        console.print(f"similarity {words.similarity:.4f} with", Text(escape(words.text), style="bold"))
        for value, what in parts:
            console.print(f"  {value:+.4f} {what}")
        console.print(words_table(words.names, layer.attributions, self.grid, special=words.special))

    def to_dict(self) -> dict[str, Any]:
        """For JSON: what each word adds to the similarity, and its map row by row, at the first of the layers. What
        words add, and `elsewhere` (pairs with image tokens that are not patches), sum to `shared`, up to `gap`; the
        rest of the similarity is what an empty image or text has as well.
        """
        words, layer = self.targets, self.targets.layers[0]
        maps = layer.attributions.unflatten(1, self.grid)
        special = len(maps) - 1 if words.special else None
        return super().to_dict() | {
            "text": words.text,
            "similarity": round(words.similarity, 6),
            "shared": round(layer.shared, 6),
            "elsewhere": round(float(layer.elsewhere.sum()), 6),
            "gap": round(layer.gap, 6),
            "words": [
                {"word": word, "is_word": i != special, "adds": round(float(one.sum()), 6), "map": to_rows(one)}
                for i, (word, one) in enumerate(zip(words.words, maps, strict=True))
            ],
            "layer": layer.name,
        }


def words_table(
    words: Sequence[str],
    attributions: Float[Tensor, "n m"],
    grid: tuple[int, int],
    width: int = 12,
    special: bool = False,
) -> Table:
    """A row a word: the sum of its attributions to all patches (a bar to the right of an axis, or a paler one to the
    left if negative), and the patch of its highest attribution. special: the last row is of special tokens."""
    table = plain_table("word", "adds", "", "highest at the patch in")
    table.columns[3].justify = "left"
    table.caption = "to the similarity, summed over the patches; ░, to the left: negative"
    sums, bests, peaks = (each.tolist() for each in (attributions.sum(dim=1), *attributions.max(dim=1)))
    most = max(*map(abs, sums), 1e-12)
    for i, (word, adds, best, peak) in enumerate(zip(words, sums, bests, peaks, strict=True)):
        full = max(int(adds != 0), round(abs(adds) / most * width))
        left, right = (full, 0) if adds < 0 else (0, full)
        signed = Text(" " * (width - left)).append("░" * left, style="red")
        signed.append("│", style="dim").append("█" * right, style="cyan")
        label = Text(f"({escape(word)})", style="dim") if special and i == len(words) - 1 else Text(escape(word))
        row, column = divmod(peak, grid[1])
        where = localize_text(f"row {row + 1}, column {column + 1}" if best > 0 else "none")
        table.add_row(label, Text(f"{adds:+.4f}"), signed, Text(where))
    return table


Blocks = list[tuple[str, nn.Module]]


@dataclass(frozen=True)
class _Towers:
    """Both towers after one forward pass each. empty: token ids of the text without its words. seconds: of both."""

    reading: TokenizedText
    pixels: Tensor
    ids: Tensor
    empty: Tensor
    image_trace: Trace
    image_blocks: Blocks
    text_blocks: Blocks
    places: TokenMap
    extras: Extras
    seconds: float


def _run(matcher: PublicMatcher, pixels: Float[Tensor, "1 c y x"], text: str) -> _Towers:
    reading, model = matcher.read(text), matcher.model
    device = next(model.parameters()).device
    pixels, ids, empty = pixels.to(device), reading.ids.to(device), matcher.replace_words_by_padding(reading).to(device)
    started = time.perf_counter()
    with record_features(model) as recorder, watch(model, values=True) as image_trace:
        matcher.embed_images(pixels)
    with watch(model) as text_trace:
        embedding = matcher.embed_texts(ids)
    seconds = time.perf_counter() - started
    if torch.equal(matcher.embed_texts(empty), embedding):
        raise SaccadeError(
            f"{matcher.name} embeds {text!r} as it does a text without words: its tokenizer.json is of another model, "
            "or it does not know these words"
        )
    blocks = _blocks_of_towers(matcher, image_trace, text_trace)
    places = token_map(model, pixels, image_trace[f"{blocks[0][0][0]}.*"][0].shape[2])
    extras = Extras(recorder.features([c for c in image_trace if c.kind == "self" and c.shape[2] == len(places)]))
    return _Towers(reading, pixels, ids, empty, image_trace, *blocks, places, extras, seconds)


def _attribute(matcher: PublicMatcher, towers: _Towers) -> tuple[list[AttributionLayer], float]:
    """At up to three depths; and the similarity."""
    pixels, ids, places, groups = towers.pixels, towers.ids, towers.places, towers.reading.groups
    image = Tower(
        matcher.embed_images, {"pixel_values": pixels}, {"pixel_values": torch.zeros_like(pixels)},
        towers.image_blocks[0][1],
    )  # fmt: skip
    text = Tower(matcher.embed_texts, {"input_ids": ids}, {"input_ids": towers.empty}, towers.text_blocks[0][1])
    layers, similarity = list[AttributionLayer](), 0.0
    cost = len(places) * (2 * len(groups) + 4)
    for (name, block), (other, layer), steps in _depths(towers.image_blocks, towers.text_blocks, cost, pixels.device):
        found = _converged(replace(image, layer=block), replace(text, layer=layer), towers.reading, steps)
        layers.append(_layer(f"{name}, {other}", found, places))
        similarity = found.similarity
    return layers, similarity


def _blocks_of_towers(matcher: PublicMatcher, image: Trace, text: Trace) -> tuple[Blocks, Blocks]:
    """The blocks of the image tower and of the text tower, by name."""
    towers = [list(_blocks(matcher.model, trace)) for trace in (image, text)]
    for what, blocks, trace in zip(("image", "text"), towers, (image, text), strict=True):
        if not blocks:
            missed = "; ".join(f"{name}: {why}" for name, why in list(trace.missed.items())[:2])
            raise SaccadeError(
                f"{matcher.name} cannot be looked into: no attention of its {what} tower was recorded. {missed}"
            )
    return towers[0], towers[1]


def _blocks(model: nn.Module, trace: Trace) -> Iterator[tuple[str, nn.Module]]:
    """The blocks of a tower in order: members of a ModuleList that hold self-attention."""
    seen = set()
    for call in trace:
        parts = call.name.split(".")
        for end in range(len(parts), 0, -1):
            name = ".".join(parts[:end])
            if isinstance(model.get_submodule(name.rpartition(".")[0]), nn.ModuleList):
                if call.kind == "self" and name not in seen:
                    seen.add(name)
                    yield name, model.get_submodule(name)
                break


def _depths(
    image: Blocks, text: Blocks, cost: int, device: torch.device
) -> Iterator[tuple[tuple[str, nn.Module], tuple[str, nn.Module], int]]:
    """The first, the middle and the last blocks of both towers, with the number of integration steps that MAX_COST
    allows; earlier ones with fewer than STEPS are left out. cost: multiply-adds of a step for each parameter."""
    for i, j in ((0, 0), (len(image) // 2, len(text) // 2), (len(image) - 1, len(text) - 1)):
        most = MAX_STEPS
        if device.type == "cpu":
            most = int(MAX_COST / (cost * sum(p.numel() for _, block in image[i:] for p in block.parameters())))
        if most >= STEPS or i == len(image) - 1:
            yield image[i], text[j], max(most, STEPS)


def _layer(name: str, found: Interactions, places: TokenMap) -> AttributionLayer:
    values = found.values.cpu()
    patches = places.picture(values).flatten(1)
    return AttributionLayer(name, patches, values.sum(dim=1) - patches.sum(dim=1), found.shared, found.gap)


def _converged(image: Tower, text: Tower, reading: TokenizedText, most: int) -> Interactions:
    """With as many steps, up to `most`, as the attributions need to add up."""
    steps = STEPS
    while True:
        found = interactions(image, text, reading.groups, steps)
        steps *= 2
        if _adds_up(found.shared, found.gap) or steps > min(most, MAX_STEPS):
            return found


def _adds_up(shared: float, gap: float) -> bool:
    return gap <= TOLERANCE * max(abs(shared), 0.01)


def _warnings(layers: list[AttributionLayer]) -> list[str]:
    notes = [
        f"the attributions at {layer.name} add up to {layer.shared:.3f} only to within {layer.gap:.1g}"
        for layer in layers
        if not _adds_up(layer.shared, layer.gap)
    ]
    if len(layers) < DEPTHS:
        notes.append("the similarity is attributed at late layers only: earlier ones take many minutes without a GPU")
    return notes
