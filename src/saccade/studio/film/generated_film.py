"""A film that was painted, on a page: the words that act in each frame, and what each place looks at in all frames."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Int
from PIL import Image
from torch import Tensor

from saccade.studio.film.attention import FilmLayout, Reach
from saccade.studio.film.film import FILL, FilmAttention, FilmPageData, frame_range_label
from saccade.studio.page.budget import pack_to_budget
from saccade.studio.page.page import TARGETS_SHARE, data_url
from saccade.studio.views.generated_picture import GenerationPageData


@dataclass(frozen=True)
class GeneratedFilmLayout(FilmLayout):
    """The same with groups of frames that are known: their patches are attended to, and attend to nothing.

    numbers: of the frames in the film, from 0. known: groups.
    """

    numbers: Sequence[int] = ()
    known: Sequence[int] = ()

    @property
    def centres(self) -> list[float]:
        return [sum(self.numbers[frame] for frame in group) / len(group) for group in self.groups]

    @property
    def targets(self) -> Int[Tensor, "i"]:
        every = torch.arange(self.tokens)
        return every[~torch.isin(every // self.patches, torch.tensor(self.known, dtype=torch.long))]

    def attention_mask(self, reach: Reach, targets: Int[Tensor, "i"]) -> Bool[Tensor, "i n"]:
        return torch.isin(targets, self.targets)[:, None].expand(-1, self.tokens)


@dataclass(frozen=True, kw_only=True)
class GeneratedFilmPageData(FilmPageData):
    """The frames of a window of a film at some sampling steps.

    layers: of each step in turn. words: where they act on the groups that are painted, at the same steps. predictions:
    of each of the frames, by step. window, windows: which one, from 0, of how many.
    """

    kind = "painted-film"

    layout: GeneratedFilmLayout
    words: GenerationPageData
    predictions: Sequence[Sequence[Image.Image]]
    window: int = 0
    windows: int = 1

    @property
    def names(self) -> list[str]:
        return [frame_range_label([self.layout.numbers[frame] for frame in group]) for group in self.layout.groups]

    def fitting(self, budget: float) -> "GeneratedFilmPageData":
        """The places' attention, packed into what a page has besides words and frames."""
        rows, columns = self.layout.grid
        attention = FilmAttention(self.layers, (len(self.layout.groups) * rows, columns))
        pictures = [*self.layout.frames, *(frame for step in self.predictions for frame in step)]
        others = sum(len(data_url(picture)) for picture in pictures) + self.words.packed_size() * 4 // 3
        return replace(self, packed=pack_to_budget(attention, int(budget / TARGETS_SHARE * FILL) - others))

    def content(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        content, data = super().content()
        words, maps = self.words.content()
        content["steps"] = [
            {"step": step["step"], "frames": [data_url(frame) for frame in frames]}
            for step, frames in zip(words["steps"], self.predictions, strict=True)
        ]
        content |= {
            "words": words,
            "numbers": list(self.layout.numbers),
            "known": list(self.layout.known),
            "centres": self.layout.centres,
            "window": self.window,
            "windows": self.windows,
        }
        return content, data | {f"words-{name}": packed for name, packed in maps.items()}
