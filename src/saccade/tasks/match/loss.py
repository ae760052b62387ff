"""What a matcher minimizes."""

from jaxtyping import Float, Int
from torch import Tensor

from saccade.models.matcher import Match
from saccade.ops.matching import match_loss, sigmoid_loss

HEAD = 4.0  # weight of the head's loss, which is a mean over pairs, beside that of the towers, a sum over the texts


def matching_loss(
    similarity: Float[Tensor, "b p"], match: Match, labels: Int[Tensor, "b p"], chosen: Int[Tensor, "b k"]
) -> Float[Tensor, ""]:
    """The sigmoid loss of the towers over all pairs, divided by the texts of a picture, plus the cross-entropy of the
    head over the chosen pairs, weighted by `HEAD`."""
    texts = labels.shape[1] / len(labels)
    head = match_loss(match.logits, labels.gather(1, chosen).flatten())
    return sigmoid_loss(similarity, labels) / texts + HEAD * head
