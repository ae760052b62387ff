"""Public matchers as tasks."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.checkpoints.matchers import PublicMatcher
from saccade.data import Picture
from saccade.data.images import Source, read_image
from saccade.errors import DataError, printable
from saccade.models.matcher import unit_vectors
from saccade.ops.image_text_matching import cosines
from saccade.tasks.base import PublicTask
from saccade.tasks.match.result import Ranking

TEXTS = 64  # encoded at once


class Vectors(NamedTuple):
    """Pictures or texts. vector: of length 1."""

    vector: Float[Tensor, "b e"]


class PublicMatchTask(PublicTask):
    """A matcher of transformers: the methods of `MatchTask`, but for `match`: it has no head that decides on pairs."""

    kind = "match"

    def __init__(self, matcher: PublicMatcher):
        super().__init__(matcher)
        self.matcher, self.preprocess = matcher, matcher.preprocess

    @property
    def independent_scores(self) -> bool:
        """Whether the score of a text is a probability of its own (SigLIP), and not a share among texts (CLIP)."""
        return getattr(self.model, "logit_bias", None) is not None

    @torch.no_grad()
    def encode_pictures(self, pictures: Sequence[Picture]) -> Vectors:
        """A vector of each picture."""
        pixels = torch.stack([self.preprocess(picture.image) for picture in pictures])
        return Vectors(unit_vectors(self.matcher.embed_images(pixels.to(self._device))))

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """A vector of each text. Raises DataError for a text without words or with too many."""
        if not texts:
            raise DataError("no texts were given; one or more were expected")
        ids = [self.matcher.read(text).ids for text in texts]
        places: dict[int, list[int]] = {}
        for i, each in enumerate(ids):
            places.setdefault(each.shape[1], []).append(i)  # texts of one length need no padding
        vectors: list[Any] = [None] * len(texts)
        for same in places.values():
            for some in (same[at : at + TEXTS] for at in range(0, len(same), TEXTS)):
                found = self.matcher.embed_texts(torch.cat([ids[i] for i in some]).to(self._device))
                for i, vector in zip(some, found, strict=True):
                    vectors[i] = vector
        return Vectors(unit_vectors(torch.stack(vectors)))

    @torch.no_grad()
    def similarity(self, pictures: Vectors, texts: Vectors) -> Float[Tensor, "p t"]:
        """Logits of every picture with every text: the cosine times the model's scale, plus its bias if it has one."""
        model: Any = self.model
        logits = model.logit_scale.exp() * cosines(pictures.vector, texts.vector)
        return logits + model.logit_bias if self.independent_scores else logits

    def predict(self, source: Source, texts: Sequence[str]) -> Ranking:
        """The texts, best first, for one picture. Scores are the sigmoid of the logits where the model is trained with
        it (SigLIP); else their softmax over the texts, so that they sum to 1. Similarities are cosines, -1 to 1.

        Raises DataError for a picture that cannot be read, for texts as `encode_texts` does, and for two
        that the tokenizer of a model with softmax scores does not distinguish.
        """
        return next(self.predict_all([source], texts))

    def predict_all(self, sources: Iterable[Source], texts: Sequence[str], batch: int = 16) -> Iterator[Ranking]:
        """`predict` for many pictures, in batches, in order."""
        self.check_duplicate_texts(texts)
        encoded = self.encode_texts(texts)
        pictures = map(read_image, sources)
        while some := list(islice(pictures, batch)):
            yield from self.rank(some, self.encode_pictures(some), texts, encoded)

    @torch.no_grad()
    def rank(
        self, pictures: Sequence[Picture], features: Vectors, texts: Sequence[str], encoded: Vectors
    ) -> Iterator[Ranking]:
        """`predict` for pictures and texts that are encoded."""
        logits = self.similarity(features, encoded)
        similarities = cosines(features.vector, encoded.vector)
        scores = logits.sigmoid() if self.independent_scores else logits.softmax(dim=1)
        for picture, row, score, cosine in zip(pictures, logits, scores, similarities, strict=True):
            yield Ranking.ordered(picture, texts, row, score, cosine)

    def check_duplicate_texts(self, texts: Sequence[str]) -> None:
        """Raises DataError for two texts that are one to a model whose scores are shares: it would get half twice."""
        seen: dict[tuple[int, ...], str] = {}
        for text in () if self.independent_scores else texts:
            tokens = tuple(self.matcher.read(text).ids[0].tolist())
            if tokens in seen:
                both = f'"{printable(seen[tokens][:40])}" and "{printable(text[:40])}"'
                raise DataError(f"{both} are one text to {self.name}, which would share its score: leave one out")
            seen[tokens] = text

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device
