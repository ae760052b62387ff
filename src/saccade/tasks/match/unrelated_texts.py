"""What the scores of texts for a picture are worth: those of unrelated texts beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from saccade.data import Picture
from saccade.tasks.match.public import PublicMatchTask
from saccade.tasks.match.result import Ranking
from saccade.tasks.match.task import MatchTask

# Short descriptions of subjects that have little in common.
UNRELATED = (
    "a tax form", "a plate of noodles", "an empty parking lot at night", "a page of sheet music",
    "two camels in a desert", "a dental X-ray", "a city map",
)  # fmt: skip


@dataclass(frozen=True)
class UnrelatedTextComparison:
    """Texts ranked for a picture, beside unrelated texts.

    unrelated: text -> its similarity if `shared`, else its score. shared: whether the scores of the texts are shares
    that sum to 1, so that they say nothing of one text alone.
    """

    ranking: Ranking
    unrelated: dict[str, float]
    shared: bool

    @property
    def sentence(self) -> str:
        """What a score means, in one line."""
        low, high = min(self.unrelated.values()), max(self.unrelated.values())
        example = next(iter(self.unrelated))
        what = (
            "the share of each among these texts; they sum to 100%"
            if self.shared
            else "the probability that the text describes the picture, each on its own"
        )
        values = f"similarities of {low:.3f} to {high:.3f}" if self.shared else f"scores of {low:.1%} to {high:.1%}"
        others = f"{len(self.unrelated)} unrelated texts ({example!r}, ...) have {values} with this picture"
        return f"score: {what}. similarity: cosine. {others}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        rows = zip(self.ranking.texts, self.ranking.scores, self.ranking.similarities, strict=True)
        return {
            "shared": self.shared,
            "texts": [
                {"text": text, "score": round(score, 6), "similarity": round(similarity, 6)}
                for text, score, similarity in rows
            ],
            "unrelated": [
                {"text": text, "similarity" if self.shared else "score": round(value, 6)}
                for text, value in self.unrelated.items()
            ],
        }


def compare_with_unrelated(
    task: MatchTask | PublicMatchTask, picture: Picture, features: Any, texts: Sequence[str]
) -> UnrelatedTextComparison:
    """Rank texts for a picture, and score `UNRELATED` ones. features: of the picture, by `task.encode_pictures`.

    Raises DataError for texts as `predict` does."""
    model: Any = task
    shared = isinstance(task, PublicMatchTask) and not task.independent_scores
    if shared:
        model.check_duplicate_texts(texts)
    unrelated = [text for text in UNRELATED if text not in texts]
    ranking, other = (
        next(model.rank([picture], features, some, model.encode_texts(some))) for some in (texts, unrelated)
    )
    return UnrelatedTextComparison(
        ranking, dict(zip(other.texts, other.similarities if shared else other.scores, strict=True)), shared
    )
