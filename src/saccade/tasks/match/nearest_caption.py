"""A baseline of matching without a model: pictures that look alike have captions with words in common."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from saccade.data import Picture
from saccade.data.cache import read_or_skip
from saccade.data.captions import CaptionSet
from saccade.data.preprocess import Preprocess
from saccade.ops.words import split_words

SIDE = 16  # pixels of the pictures that are compared
SHARPNESS = 20.0  # of the weights of the known captions, by the cosine of the pictures

_preprocess = Preprocess((SIDE, SIDE), "letterbox")


class NearestCaptionBaseline:
    """Scores of texts for pictures from pictures whose captions are known.

    A text scores as much as it resembles the captions of the known pictures, weighted by the softmax of
    `SHARPNESS` times the cosine between the picture and them, so that the nearest ones decide. Pictures are compared by
    their pixels at 16 x 16, minus their mean; texts by the cosine of their words, weighted by their inverse document
    frequency in the known captions.

    known: unreadable pictures are left out, or raise, as its `on_error` says.
    """

    def __init__(self, known: CaptionSet):
        read = [(i, read_or_skip(known, i, known.picture)) for i in range(len(known))]
        found = [(picture, text) for i, picture in read if picture is not None for text in known.captions(i)]
        self._pictures = _pixels([picture for picture, _ in found])
        documents = [_words(text) for _, text in found]
        frequency = Counter(word for words in documents for word in set(words))
        self._weights = {word: float(np.log(1 + len(found) / count)) for word, count in frequency.items()}
        self._place = {word: i for i, word in enumerate(self._weights)}
        self._texts = self._vectors(documents)

    def scores(self, pictures: Sequence[Picture], texts: Sequence[str]) -> Float[Tensor, "p t"]:
        """Of every text for every picture, 0 to 1."""
        near = (SHARPNESS * _pixels(pictures) @ self._pictures.T).softmax(dim=1)
        return near @ (self._texts @ self._vectors([_words(text) for text in texts]).T)

    def _vectors(self, documents: Sequence[Sequence[str]]) -> Float[Tensor, "n w"]:
        vectors = torch.zeros(len(documents), len(self._place))
        for row, words in zip(vectors, documents, strict=True):
            for word in words:
                if word in self._place:
                    row[self._place[word]] += self._weights[word]
        return F.normalize(vectors, dim=1)


def _pixels(pictures: Sequence[Picture]) -> Float[Tensor, "n p"]:
    """Vectors of length 1."""
    values = np.stack([np.asarray(_preprocess.resize_and_crop(each.image), dtype=np.float32) for each in pictures])
    flat = torch.from_numpy(values).flatten(1)
    return F.normalize(flat - flat.mean(dim=1, keepdim=True), dim=1)


def _words(text: str) -> list[str]:
    return [word.text for word in split_words(text.lower())]
