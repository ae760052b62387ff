"""What a matcher minimizes."""

from jaxtyping import Float, Int
from torch import Tensor

from saccade.models.matcher import Match
from saccade.ops.image_text_matching import match_loss, ranking_loss, sigmoid_loss

HEAD, RANKING = 2.5, 10.0  # weights of the head's two losses beside that of the towers


def matching_loss(
    similarity: Float[Tensor, "b p"], match: Match, labels: Int[Tensor, "b p"], chosen: Int[Tensor, "b k"]
) -> Float[Tensor, ""]:
    """The sigmoid loss of the towers over all pairs, divided by the texts of a picture, plus the cross-entropy of the
    head over the chosen pairs, weighted by `HEAD`, and its ranking loss over the chosen texts of each picture, weighted
    by `RANKING`: without it relations, by which a caption and its false twin alone differ, are not learned."""
    texts = labels.shape[1] / len(labels)
    known = labels.gather(1, chosen)
    head = HEAD * match_loss(match.logits, known.flatten())
    ranking = RANKING * ranking_loss(match.logits.view(chosen.shape), known)
    return sigmoid_loss(similarity, labels) / texts + head + ranking
