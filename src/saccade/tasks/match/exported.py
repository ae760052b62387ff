"""A matcher in files of an inference engine: one of the pictures, one of the texts, one of the head."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor, nn

from saccade.engines.run import EngineNetwork
from saccade.engines.signature import Input, Signature
from saccade.errors import CheckpointError
from saccade.models.matcher import Matcher, PictureFeatures, TextFeatures
from saccade.ops import WordBatch, tokenize
from saccade.tasks.exported import ExportedTask
from saccade.tasks.exported_graph import MAX_BATCH, MAX_ROWS, Case, ExportGraph, dynamic_axis
from saccade.tasks.match.task import MatchTask

MAX_TEXTS = 2**20  # of a batch, and different words in it


class PictureEncoderGraph(ExportGraph):
    """Tokens and a vector of each picture."""

    outputs = ("tokens", "vector")

    def __init__(self, task: MatchTask):
        super().__init__(task)
        self.card = {"log_scale": task.model.log_scale.item(), "bias": task.model.bias.item()}

    def forward(self, pictures: Float[Tensor, "b c y x"]) -> tuple[Tensor, ...]:
        return tuple(self.model.encode_pictures(pictures))


class TextEncoderGraph(ExportGraph):
    """Tokens and a vector of each text, from a `WordBatch`."""

    outputs = ("text_tokens", "text_vector")

    def inputs(self) -> tuple[Input, ...]:
        config = self.model.config.text
        different, length = dynamic_axis("different", MAX_TEXTS), dynamic_axis("bytes", config.max_bytes)
        texts, words = dynamic_axis("texts", MAX_TEXTS), dynamic_axis("words", config.max_words)
        return (
            Input(name="ids", axes=(different, length), dtype="int64"),
            Input(name="byte_mask", axes=(different, length), dtype="bool"),
            Input(name="index", axes=(texts, words), dtype="int64"),
            Input(name="word_mask", axes=(texts, words), dtype="bool"),
        )

    def forward(
        self,
        ids: Int[Tensor, "u w"],
        byte_mask: Bool[Tensor, "u w"],
        index: Int[Tensor, "b m"],
        word_mask: Bool[Tensor, "b m"],
    ) -> tuple[Tensor, ...]:
        found = self.model.encode_texts(WordBatch(ids, byte_mask, index, word_mask, (), ()))
        return found.tokens, found.vector

    def example(self) -> Case:
        return self._words(3, 2, torch.Generator())

    def comparison_inputs(self, generator: Generator) -> list[Case]:
        return [self._words(texts, words, generator) for texts, words in ((1, 1), (1, 7), (5, 3))]

    def _words(self, texts: int, words: int, generator: Generator) -> Case:
        """Texts of random words, the first as long as any, the others of any length."""
        config = self.model.config.text
        different, words, length = texts + words, min(words, config.max_words), min(words + 1, config.max_bytes)
        ids = torch.randint(1, 256, (different, length), generator=generator)
        byte_mask, word_mask = _lengths(different, length, generator), _lengths(texts, words, generator)
        index = torch.randint(different, (texts, words), generator=generator)
        return ids * byte_mask, byte_mask, index * word_mask, word_mask


class HeadGraph(ExportGraph):
    """The logit of each pair of a picture and a text."""

    outputs = ("logit",)

    def inputs(self) -> tuple[Input, ...]:
        config = self.model.config
        pairs, patches = dynamic_axis("pairs", MAX_BATCH), dynamic_axis("patches", MAX_ROWS**2, 2)
        words, width = dynamic_axis("words", config.text.max_words), config.vit.block.width
        text_width = config.text.block.width
        return (
            Input(name="tokens", axes=(pairs, patches, dynamic_axis("token width", width, width))),
            Input(name="text_tokens", axes=(pairs, words, dynamic_axis("text token width", text_width, text_width))),
            Input(name="word_mask", axes=(pairs, words), dtype="bool"),
        )

    def forward(
        self, tokens: Float[Tensor, "p n d"], text_tokens: Float[Tensor, "p m e"], word_mask: Bool[Tensor, "p m"]
    ) -> tuple[Tensor, ...]:
        return (self.model.head(text_tokens, tokens, word_mask).logits,)

    def example(self) -> Case:
        return self._pairs(3, 4, 2, torch.Generator())

    def comparison_inputs(self, generator: Generator) -> list[Case]:
        return [self._pairs(*sizes, generator) for sizes in ((1, 2, 1), (1, 16, 7), (5, 9, 3))]

    def _pairs(self, pairs: int, patches: int, words: int, generator: Generator) -> Case:
        words = min(words, self.model.config.text.max_words)
        widths = self.model.config.vit.block.width, self.model.config.text.block.width
        tokens, text_tokens = (
            torch.randn(pairs, count, width, generator=generator)
            for count, width in zip((patches, words), widths, strict=True)
        )
        return tokens, text_tokens, _lengths(pairs, words, generator)


def _lengths(rows: int, longest: int, generator: Generator) -> Bool[Tensor, "rows longest"]:
    """Masks of rows of any length from 1, the first as long as any."""
    lengths = torch.randint(1, longest + 1, (rows,), generator=generator)
    lengths[0] = longest
    return torch.arange(longest) < lengths[:, None]


class ExportedMatcher(nn.Module):
    """The networks of a matcher on an engine, in the place of `Matcher`.

    fingerprint: of the matcher that was exported (`saccade.tasks.match.index.fingerprint`).
    """

    similarity = Matcher.similarity

    def __init__(self, networks: Mapping[str, EngineNetwork], log_scale: float, bias: float, fingerprint: str):
        super().__init__()
        self.pictures, self.texts, self.head = networks[""], networks["texts"], networks["head"]
        self.log_scale, self.bias = (
            nn.Parameter(torch.tensor(value), requires_grad=False) for value in (log_scale, bias)
        )
        self.fingerprint = fingerprint

    @property
    def signature(self) -> Signature:
        """Of the pictures' network."""
        return self.pictures.signature

    @property
    def vit(self) -> Any:
        """Raises SaccadeError, as `EngineNetwork.vit`."""
        return self.pictures.vit

    def tokenize(self, texts: Sequence[str]) -> WordBatch:
        """As `Matcher.tokenize`."""
        axes = self.texts.signature.axes
        return tokenize(texts, axes["words"].high, axes["bytes"].high).to(self.bias.device)

    def encode_pictures(self, pixels: Float[Tensor, "b c y x"]) -> PictureFeatures:
        """As `Matcher.encode_pictures`."""
        found = self.pictures(pixels)
        return PictureFeatures(found["tokens"], found["vector"])

    def encode_texts(self, words: WordBatch) -> TextFeatures:
        """As `Matcher.encode_texts`."""
        found = self.texts(words.ids, words.byte_mask, words.index, words.word_mask)
        return TextFeatures(found["text_tokens"], words.word_mask, found["text_vector"])


@dataclass
class ExportedMatchTask(ExportedTask, MatchTask):
    """Texts are ranked for pictures, and pictures for texts, as by `MatchTask`."""

    model: ExportedMatcher  # type: ignore[assignment]

    graph: ClassVar[type[ExportGraph]] = PictureEncoderGraph
    parts: ClassVar[Mapping[str, type[ExportGraph]]] = MappingProxyType({"texts": TextEncoderGraph, "head": HeadGraph})

    @classmethod
    def assemble(cls, networks: Mapping[str, EngineNetwork], card: Mapping[str, Any], fingerprint: str) -> nn.Module:
        try:
            return ExportedMatcher(networks, float(card["log_scale"]), float(card["bias"]), fingerprint)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError("the exported matcher lacks its log_scale and bias: export it again") from error

    def _match(
        self, pictures: PictureFeatures, texts: TextFeatures, i: Int[Tensor, "n"], j: Int[Tensor, "n"]
    ) -> Float[Tensor, "n"]:
        return self.model.head(pictures.tokens[i], texts.tokens[j], texts.mask[j])["logit"]
