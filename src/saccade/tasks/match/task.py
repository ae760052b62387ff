"""A trained matcher: pictures and texts as vectors, and the decision on pairs of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel
from torch import Tensor, nn

from saccade.data import Picture
from saccade.data.images import Source, read_image
from saccade.models.matcher import Matcher, MatcherConfig, PictureFeatures, TextFeatures
from saccade.ops.image_text_matching import cosines
from saccade.tasks.match.result import Ranking
from saccade.tasks.match.scores import recalls, reranked
from saccade.tasks.saved import TrainedTask

RERANKED = 20  # candidates of the towers that the head decides
PAIRS = 512  # that the head decides at once


@dataclass
class MatchTask(TrainedTask):
    """A matcher; `save` and `MatchTask.open` for its folder. It has no classes: any texts are compared."""

    model: Matcher

    kind: ClassVar[str] = "match"
    network: ClassVar[type[nn.Module]] = Matcher
    network_config: ClassVar[type[BaseModel]] = MatcherConfig

    @property
    def target(self) -> Literal["mean"]:
        return "mean"  # the patches are what the words attend to

    @torch.no_grad()
    def encode_pictures(self, pictures: Sequence[Picture]) -> PictureFeatures:
        """Tokens and a vector of each picture."""
        pixels = torch.stack([self.preprocess(picture.image) for picture in pictures])
        return self.model.eval().encode_pictures(pixels.to(self.model.bias.device))

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Tokens and a vector of each text. Raises DataError for a text that is blank, too long, or holds control
        characters."""
        model = self.model.eval()
        return model.encode_texts(model.tokenize(texts))

    @torch.no_grad()
    def similarity(self, pictures: PictureFeatures, texts: TextFeatures) -> Float[Tensor, "p t"]:
        """Logits of every picture with every text, by the towers."""
        return self.model.similarity(pictures.vector, texts.vector)

    @torch.no_grad()
    def match(self, pictures: PictureFeatures, texts: TextFeatures, pairs: Int[Tensor, "n 2"]) -> Float[Tensor, "n"]:
        """Logits of pairs, by the head. pairs: the places of a picture and a text."""
        if not len(pairs):
            return pictures.vector.new_zeros(0)
        some = pairs.split(PAIRS)
        return torch.cat([self._match(pictures, texts, *each.unbind(dim=1)) for each in some])

    def _match(
        self, pictures: PictureFeatures, texts: TextFeatures, i: Int[Tensor, "n"], j: Int[Tensor, "n"]
    ) -> Float[Tensor, "n"]:
        return self.model.match(pictures.tokens[i], texts.tokens[j], texts.mask[j]).logits

    def rank_texts(self, pictures: PictureFeatures, texts: TextFeatures) -> Float[Tensor, "p t"]:
        """Scores by which texts are ranked for each picture: logits of the head for the texts that the towers place
        first, lower than those for all others."""
        return self._ranked(pictures, texts, dim=1)

    def rank_pictures(self, pictures: PictureFeatures, texts: TextFeatures) -> Float[Tensor, "p t"]:
        """Scores by which pictures are ranked for each text, as in `rank_texts`."""
        return self._ranked(pictures, texts, dim=0)

    def _ranked(self, pictures: PictureFeatures, texts: TextFeatures, dim: int) -> Float[Tensor, "p t"]:
        similarity = self.similarity(pictures, texts)
        first = similarity.topk(min(RERANKED, similarity.shape[dim]), dim=dim).indices
        pairs = torch.zeros_like(similarity, dtype=torch.bool).scatter_(dim, first, True).nonzero()
        decided = torch.full_like(similarity, torch.nan)
        decided[pairs[:, 0], pairs[:, 1]] = self.match(pictures, texts, pairs).to(decided)
        return reranked(similarity, decided)

    def predict(self, source: Source, texts: Sequence[str]) -> Ranking:
        """The texts, best first, for one picture: a path, bytes, Pillow image, array or tensor.

        Raises DataError for a picture that cannot be read, and for texts as `encode_texts` does.
        """
        return next(self.predict_all([source], texts))

    def predict_all(self, sources: Iterable[Source], texts: Sequence[str], batch: int = 16) -> Iterator[Ranking]:
        """`predict` for many pictures, in batches, in order."""
        encoded = self.encode_texts(texts)
        pictures = map(read_image, sources)
        while some := list(islice(pictures, batch)):
            yield from self.rank(some, self.encode_pictures(some), texts, encoded)

    @torch.no_grad()
    def rank(
        self, pictures: Sequence[Picture], features: PictureFeatures, texts: Sequence[str], encoded: TextFeatures
    ) -> Iterator[Ranking]:
        """`predict` for pictures and texts that are encoded."""
        logits, similarities = self.rank_texts(features, encoded), cosines(features.vector, encoded.vector)
        for picture, row, cosine in zip(pictures, logits, similarities, strict=True):
            yield Ranking.ordered(picture, texts, row, row.sigmoid(), cosine)


class CandidateRecalls(NamedTuple):
    """`recalls` of a set of candidates: of the towers re-ranked by the head, and of the towers alone."""

    head: dict[str, Bool[Tensor, "n"]]
    towers: dict[str, Bool[Tensor, "n"]]


@torch.no_grad()
def candidate_recalls(
    task: MatchTask, pixels: Float[Tensor, "n c y x"], texts: Sequence[str], matches: Bool[Tensor, "n n"]
) -> CandidateRecalls:
    """Rank candidates. pixels: normalized. matches: which texts (columns) are true of which pictures."""
    pictures, encoded = task.model.encode_pictures(pixels), task.encode_texts(texts)
    towers = task.similarity(pictures, encoded).float().cpu()
    by_texts, by_pictures = task.rank_texts(pictures, encoded), task.rank_pictures(pictures, encoded)
    head = recalls(by_texts.float().cpu(), by_pictures.float().cpu(), matches)
    return CandidateRecalls(head, recalls(towers, matches=matches))
