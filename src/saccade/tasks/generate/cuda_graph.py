"""A generator's training step as one CUDA graph.

A small generator has thousands of small kernels a step, and a GPU is done with each before the next one is launched. A
graph launches all of them at once, and its parts are compiled into fewer ones; its tensors have fixed shapes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from saccade.models.generator import FilmClip, Generator
from saccade.models.source_encoders import PictureInput
from saccade.ops import WordBatch
from saccade.tasks.generate.fixed_shapes import pad_words


class GraphedGenerator(nn.Module):
    """Computes what `Generator.forward` does, for training, forwards and backwards by graphs. The first batch that fits
    is captured; those of other shapes are computed without a graph."""

    def __init__(self, generator: Generator):
        super().__init__()
        self.generator = generator
        self._graph: Callable[..., Tensor] | None = None
        self._shapes: list[torch.Size] = []

    def forward(
        self,
        z: Float[Tensor, "b f c y x"],
        t: Float[Tensor, "b g"],
        words: WordBatch,
        present: Bool[Tensor, "b"],
        pictures: Mapping[str, PictureInput],
        past: Sequence[FilmClip] = (),
        first: int = 0,
    ) -> Float[Tensor, "b f c y x"]:
        """As `Generator.forward`."""
        if z.shape[1] > 1:
            return self.generator(z, t, words, present, pictures, past, first)
        given_words, words = words, pad_words(words, self.generator.config.text.max_bytes)
        if words is given_words:  # too many to fit
            return self.generator(z, t, words, present, pictures)
        given: tuple[Tensor, ...] = (z, t, words.ids, words.byte_mask, words.index, words.word_mask, present)
        names = tuple(name for name in self.generator.pictures if name in pictures)
        given += tuple(tensor for name in names for tensor in pictures[name])
        if self._graph is None:
            self._graph, self._shapes = (
                capture_cuda_graphs(self.generator, given, names),
                [each.shape for each in given],
            )
        if self._shapes != [each.shape for each in given]:
            return self.generator(z, t, words, present, pictures)
        return self._graph(*given)


class _Flat(nn.Module):
    """The generator as a function of tensors. names: of the pictures, in their order."""

    def __init__(self, generator: Generator, names: Sequence[str]):
        super().__init__()
        self.generator, self.names = generator, names

    def forward(self, z: Tensor, t: Tensor, *rest: Tensor) -> Tensor:
        ids, byte_mask, index, word_mask, present, *given = rest
        words = WordBatch(ids, byte_mask, index, word_mask, (), ())
        pairs = zip(given[::2], given[1::2], strict=True)
        pictures = {n: PictureInput(*pair) for n, pair in zip(self.names, pairs, strict=True)}
        return self.generator(z, t, words, present, pictures)


def capture_cuda_graphs(generator: Generator, given: Sequence[Tensor], names: Sequence[str]) -> Any:
    """The generator as graphs, for tensors like those given; names: of the pictures that are."""
    enabled, dtype = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    with torch.autocast("cuda", dtype, enabled, cache_enabled=False):  # a graph must cast the weights every time
        samples = tuple(each.clone() for each in given)
        return torch.cuda.make_graphed_callables(_Flat(generator, names), samples, allow_unused_input=True)
