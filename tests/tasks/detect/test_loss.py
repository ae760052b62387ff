"""The detector's loss: matches against all permutations, classes against a sum written out, and what it rewards."""

import math
from itertools import permutations

import pytest
import torch

from saccade.models.detector import DenoisingQueries, DetectorOutput, Proposals
from saccade.ops.boxes import cxcywh_to_xyxy, giou, iou
from saccade.tasks.detect.loss import Assignment, Targets, detection_loss, hungarian_match

CLASSES = 3


def some_targets(*counts: int, seed: int = 0) -> Targets:
    generator = torch.Generator().manual_seed(seed)
    most = max(1, *counts)
    boxes = torch.rand(len(counts), most, 4, generator=generator) * 0.3 + 0.3
    labels = torch.randint(0, CLASSES, (len(counts), most), generator=generator)
    for i, count in enumerate(counts):
        labels[i, count:] = -1
    return Targets(boxes, labels)


def proposals(b: int) -> Proposals:
    y, x = torch.meshgrid((torch.arange(4) + 0.5) / 4, (torch.arange(5) + 0.5) / 5, indexing="ij")
    centres = torch.stack([x, y], dim=-1).flatten(0, 1)
    logits = torch.full((b, 20, CLASSES), -3.0)
    return Proposals(logits, logits.clone(), torch.rand(b, 20, 4) * 0.2 + 0.4, centres)


def cost(logits: torch.Tensor, box: torch.Tensor, label: int, true: torch.Tensor) -> float:
    p = logits.sigmoid()[label].item()
    unsure = 0.25 * (1 - p) ** 2 * -math.log(p) - 0.75 * p**2 * -math.log(1 - p)
    return 2 * unsure + 5 * (box - true).abs().sum().item() - 2 * giou(cxcywh_to_xyxy(box), cxcywh_to_xyxy(true)).item()


def test_matches_are_the_cheapest_of_all_permutations():
    targets = some_targets(3, 0, 2)
    torch.manual_seed(1)
    logits, boxes = torch.randn(3, 5, CLASSES), torch.rand(3, 5, 4) * 0.4 + 0.3
    found = hungarian_match(logits, boxes, targets)
    for picture, count in enumerate((3, 0, 2)):

        def total(queries, i=picture):
            rows = enumerate(queries)
            return sum(cost(logits[i, q], boxes[i, q], int(targets.labels[i, o]), targets.boxes[i, o]) for o, q in rows)

        best = min(permutations(range(5), count), key=total)
        mine = found.picture == picture
        assert dict(zip(found.object[mine].tolist(), found.query[mine].tolist(), strict=True)) == dict(enumerate(best))


def test_a_perfect_answer_costs_almost_nothing():
    targets = some_targets(3)
    logits = torch.full((1, 5, CLASSES), -20.0)
    boxes = torch.rand(1, 5, 4) * 0.1 + 0.05
    for i in range(3):
        logits[0, i + 1, targets.labels[0, i]] = 20.0
        boxes[0, i + 1] = targets.boxes[0, i]
    parts = detection_loss(DetectorOutput([logits], [boxes], proposals(1), None), targets, None, None, normalizer=3)
    assert parts["decoder"].item() == pytest.approx(0, abs=1e-4)
    worse = detection_loss(
        DetectorOutput([logits], [boxes + 0.02], proposals(1), None), targets, None, None, normalizer=3
    )
    assert worse["decoder"].item() > 0.1


def test_an_empty_picture_only_asks_for_silence():
    targets = some_targets(0)
    quiet, loud = torch.full((1, 5, CLASSES), -20.0), torch.full((1, 5, CLASSES), 5.0)
    boxes = torch.rand(1, 5, 4)
    predicted = [
        detection_loss(DetectorOutput([x], [boxes], proposals(1), None), targets, None, None, normalizer=1)[
            "decoder"
        ].item()
        for x in (quiet, loud)
    ]
    assert predicted[0] == pytest.approx(0, abs=1e-6)
    assert predicted[1] > 10


def test_tokens_answer_for_the_smallest_object_that_holds_their_centre():
    large, small = torch.tensor([0.5, 0.5, 0.9, 0.9]), torch.tensor([0.3, 0.375, 0.2, 0.25])
    targets = Targets(torch.stack([large, small])[None], torch.tensor([[0, 2]]))
    p = proposals(1)
    inside = (p.centres[:, None] - torch.tensor([0.3, 0.375])).abs().squeeze(1)
    held = ((inside <= torch.tensor([0.1, 0.125])).all(dim=1)).nonzero().flatten().tolist()
    assert len(held) == 1
    good = p._replace(dense=p.dense.clone(), boxes=large.expand(1, 20, 4).clone())
    good.boxes[0, held[0]] = small
    good.dense[0, :, 0] = 20.0
    good.dense[0, held[0]] = torch.tensor([-20.0, -20.0, 20.0])
    found = DetectorOutput([torch.full((1, 5, CLASSES), -20.0)], [torch.rand(1, 5, 4)], good, None)
    loss = detection_loss(found, targets, None, None, normalizer=2)["dense"].item()
    assert loss == pytest.approx(0, abs=1e-3)
    wrong = good._replace(boxes=large.expand(1, 20, 4))
    assert detection_loss(found._replace(proposals=wrong), targets, None, None, normalizer=2)["dense"].item() > 0.5


def test_classes_aim_at_the_overlap():
    """The varifocal loss, written out for one query and one object."""
    targets = Targets(torch.tensor([[[0.5, 0.5, 0.4, 0.4]]]), torch.tensor([[1]]))
    box = torch.tensor([[[0.55, 0.5, 0.4, 0.4]]])
    logits = torch.tensor([[[0.3, -0.2, 0.9]]])
    q = iou(cxcywh_to_xyxy(box), cxcywh_to_xyxy(targets.boxes)).item()
    p = logits.sigmoid()[0, 0].tolist()
    positive = -q * (q * math.log(p[1]) + (1 - q) * math.log(1 - p[1]))
    negative = sum(-0.75 * x**2 * math.log(1 - x) for x in (p[0], p[2]))
    edges = 5 * 0.05 + 2 * (1 - giou(cxcywh_to_xyxy(box), cxcywh_to_xyxy(targets.boxes)).item())
    parts = detection_loss(DetectorOutput([logits], [box], proposals(1), None), targets, None, None, normalizer=1)
    assert parts["decoder"].item() == pytest.approx(positive + negative + edges, rel=1e-5)


def test_noised_objects_are_scored_apart_and_their_copies_count_once():
    targets = some_targets(2)
    boxes = torch.cat([targets.boxes, targets.boxes, torch.rand(1, 3, 4)], dim=1) + 0.01
    logits = torch.zeros(1, 7, CLASSES)
    twice = DenoisingQueries(boxes[:, :4], torch.zeros(1, 4, dtype=torch.long), torch.tensor([[0, 0, 1, 1]]))
    once = DenoisingQueries(boxes[:, :2], torch.zeros(1, 2, dtype=torch.long), torch.tensor([[0, 0]]))
    four = Assignment(torch.zeros(4, dtype=torch.long), torch.arange(4), torch.tensor([0, 1, 0, 1]))
    two = Assignment(four.picture[:2], four.query[:2], four.object[:2])
    a = detection_loss(DetectorOutput([logits], [boxes], proposals(1), None), targets, twice, four, normalizer=2)
    b = detection_loss(
        DetectorOutput([logits[:, 2:]], [boxes[:, 2:]], proposals(1), None), targets, once, two, normalizer=2
    )
    assert a["denoising"].item() == pytest.approx(b["denoising"].item(), rel=1e-5)
    assert a["decoder"].item() == pytest.approx(b["decoder"].item(), rel=1e-5)


def test_relations_are_asked_of_matched_pairs_only():
    related = torch.zeros(1, 2, 2, 2, dtype=torch.bool)
    related[0, 0, 1, 1] = True
    targets = some_targets(2)._replace(relations=related)
    boxes = torch.cat([torch.rand(1, 3, 4) * 0.05, targets.boxes], dim=1)
    logits = torch.full((1, 5, CLASSES), -5.0)
    predicted = torch.full((1, 5, 5, 2), -20.0)
    predicted[0, 3, 4, 1] = 20.0  # queries 3 and 4 have the objects
    predicted[0, 0, 1, 0] = 20.0  # nobody asks
    found = DetectorOutput([logits], [boxes], proposals(1), predicted)
    assert detection_loss(found, targets, None, None, normalizer=2)["relations"].item() == pytest.approx(0, abs=1e-6)
    predicted[0, 4, 3, 1] = 3.0
    assert detection_loss(found, targets, None, None, normalizer=2)["relations"].item() == pytest.approx(
        3.05 / 2, abs=0.01
    )
