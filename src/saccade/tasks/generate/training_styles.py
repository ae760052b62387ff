"""Style sets to train a generator: the content of one picture in the style of another."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Generator, Tensor

from saccade.data.cache import MEMORY_BUDGET, prepare_readable
from saccade.data.files import escape
from saccade.data.pairs import StyleSet
from saccade.data.preprocess import Preprocess
from saccade.errors import DataError
from saccade.tasks.generate.batches import Samples, SourcePixels
from saccade.tasks.generate.captioned import choose_captions, repeat_in_views
from saccade.tasks.generate.recipe import GenerateRecipe


class StylesToPaint:
    """Pictures of a style set, decoded once. Each whose content other styles have too is painted from one of them, and
    from another picture of its own style, which shows other content: so that picture teaches the style. The others
    serve as pictures of their style alone. Resized, cropped and left out as in `PairsToPaint`.

    Raises DataError if there is none to paint."""

    sources = ("picture", "style")
    frames = 1

    def __init__(
        self, dataset: StyleSet, recipe: GenerateRecipe, size: tuple[int, int], views: int, budget: int = MEMORY_BUDGET
    ):
        self.title, self.views, self.dropout = dataset.title, views, recipe.source_dropout
        preprocess = Preprocess(size, "crop")

        def decode(index: int) -> UInt8[np.ndarray, "3 y x"]:
            image = preprocess.resize_and_crop(dataset.picture(index).image)
            return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))

        self.data, kept = prepare_readable(dataset, dataset.title, (3, *size), decode, budget)
        self.captions = [dataset.captions(i) for i in kept]
        stems, styles = dataset.stems, dataset.styles
        self.content, self.style = group_by_key([stems[i] for i in kept]), group_by_key([styles[i] for i in kept])
        self.paintable = [i for i in range(len(kept)) if min(len(self.content[i]), len(self.style[i])) > 1]
        if not self.paintable:
            count, example = len(kept), escape(stems[kept[0]])
            raise DataError(
                f"none of {count} pictures of {dataset.title} ({example} and so on) can be painted: each needs its "
                "name in another style, and another name in its own style"
            )

    def __len__(self) -> int:
        return len(self.paintable)

    def samples(self, indices: Tensor, size: tuple[int, int], generator: Generator) -> Samples:
        """Those of the first of the indices."""
        some, views = repeat_in_views(indices, self.views)
        places = [self.paintable[i] for i in some.tolist()]
        contents = [choose_other(self.content[i], i, generator) for i in places]
        styles = [choose_other(self.style[i], i, generator) for i in places]
        pixels, _ = self.data[places + contents + styles]
        target, content, style = (each[views] for each in pixels.chunk(3))
        texts, captioned = choose_captions([self.captions[places[i]] for i in views.tolist()], generator)
        present = torch.rand(2, len(views), generator=generator) >= self.dropout
        sources = {"picture": SourcePixels(content, present[0]), "style": SourcePixels(style, present[1])}
        return Samples(target[:, None], texts, captioned, sources)


def group_by_key(keys: Sequence[str]) -> list[list[int]]:
    """For each place all places with the same key."""
    members: dict[str, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        members[key].append(i)
    return [members[key] for key in keys]


def choose_other(members: Sequence[int], own: int, generator: Generator) -> int:
    """One of at least two different numbers, other than one of them."""
    drawn = int(torch.randint(len(members) - 1, (), generator=generator))
    return members[-1] if members[drawn] == own else members[drawn]
