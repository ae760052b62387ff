"""`ObjectAnnotations` refuses relations that cannot be."""

import pytest
import torch

from saccade.data.objects import ObjectAnnotations
from saccade.errors import DataError


def related(*relations: tuple[int, int, int]) -> ObjectAnnotations:
    boxes = torch.tensor([[0.0, 0.0, 3.0, 4.0], [1.0, 1.0, 5.0, 6.0]])
    return ObjectAnnotations(boxes, torch.tensor([0, 1]), (7, 9), relations=torch.tensor(relations).view(-1, 3))


@pytest.mark.parametrize(
    ("relation", "message"),
    [
        ((-1, 0, 0), "a relation names object -1; there are 2, counted from 0"),
        ((0, 0, -1), "a relation names object -1; there are 2, counted from 0"),
        ((2, 0, 1), "a relation names object 2; there are 2, counted from 0"),
        ((0, 0, 7), "a relation names object 7; there are 2, counted from 0"),
        ((0, -2, 1), "a relation is of the kind -2; kinds are counted from 0"),
    ],
)
def test_invalid_relations_are_refused(relation, message):
    with pytest.raises(DataError, match=message):
        related((1, 0, 0), relation)


def test_relations_that_can_be():
    assert len(related((1, 0, 0), (0, 5, 1)).relations) == 2
