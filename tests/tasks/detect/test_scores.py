"""Average precision against hand-computed cases and a slow reference; recall of relations."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saccade.data.objects import ObjectAnnotations
from saccade.errors import DataError
from saccade.tasks.detect.result import Detections
from saccade.tasks.detect.scores import detection_scores, pr_curves, relation_scores


def found(*rows, relations=None, scores=None):
    """rows: (left, top, right, bottom, score, label)."""
    table = torch.tensor(rows, dtype=torch.float64).reshape(-1, 6)
    links = None if relations is None else torch.tensor(relations).reshape(-1, 3).long()
    sure = None if scores is None else torch.tensor(scores)
    return Detections(table[:, :4].float(), table[:, 4].float(), table[:, 5].long(), links, sure)


def true(*rows, size=(400, 500), crowd=None, relations=None):
    """rows: (left, top, right, bottom, label)."""
    table = torch.tensor(rows, dtype=torch.float64).reshape(-1, 5)
    crowded = None if crowd is None else torch.tensor(crowd)
    links = None if relations is None else torch.tensor(relations).reshape(-1, 3).long()
    return ObjectAnnotations(table[:, :4].float(), table[:, 4].long(), size, crowded, None, links)


def test_perfect_detections_score_one_in_every_size():
    objects = true((0, 0, 20, 20, 0), (30, 30, 90, 90, 1), (100, 100, 300, 300, 0))
    perfect = Detections(objects.boxes, torch.tensor([0.9, 0.3, 0.6]), objects.labels)
    scores = detection_scores([perfect], [objects], ["a", "b"])
    assert {name: scores[name] for name in ("mAP", "mAP50", "mAP75", "mAP_s", "mAP_m", "mAP_l")} == {
        "mAP": 1.0, "mAP50": 1.0, "mAP75": 1.0, "mAP_s": 1.0, "mAP_m": 1.0, "mAP_l": 1.0
    }  # fmt: skip
    assert scores["per_class"] == {
        "a": {"mAP": 1.0, "mAP50": 1.0, "objects": 2},
        "b": {"mAP": 1.0, "mAP50": 1.0, "objects": 1},
    }


def test_the_first_object_of_all_counts_too():
    """An evaluator takes an annotation with the id 0 for one that was not found."""
    objects = true((0, 0, 10, 10, 0))
    assert detection_scores([found((0, 0, 10, 10, 0.9, 0))], [objects], ["a"])["mAP"] == 1.0


def test_a_ghost_before_two_hits():
    """Ghost, hit, hit of two objects: precision 1/2 then 2/3, which interpolates to 2/3 at all 101 recalls."""
    objects = true((0, 0, 100, 100, 0), (200, 200, 300, 300, 0))
    predicted = found((300, 0, 400, 100, 0.9, 0), (0, 0, 100, 100, 0.8, 0), (200, 200, 300, 300, 0.7, 0))
    scores = detection_scores([predicted], [objects], ["a"])
    assert scores["mAP"] == pytest.approx(2 / 3, abs=1e-12)


def test_half_found():
    """One of two: precision 1 up to a recall of 1/2, that is at 51 of 101 places."""
    objects = true((0, 0, 100, 100, 0), (200, 200, 300, 300, 0))
    scores = detection_scores([found((0, 0, 100, 100, 0.8, 0))], [objects], ["a"])
    assert scores["mAP50"] == pytest.approx(51 / 101, abs=1e-12)


def test_a_box_of_iou_six_tenths():
    """100 x 60 within 100 x 100: right at .50, .55 and .60 of ten thresholds."""
    scores = detection_scores([found((0, 0, 100, 60, 1, 0))], [true((0, 0, 100, 100, 0))], ["a"])
    assert (scores["mAP50"], scores["mAP75"]) == (1.0, 0.0)
    assert scores["mAP"] == pytest.approx(0.3, abs=1e-12)


def test_a_second_box_on_the_same_object_is_a_ghost():
    objects = true((0, 0, 100, 100, 0), (200, 0, 300, 100, 0))
    predicted = found((0, 0, 100, 100, 0.9, 0), (1, 0, 100, 100, 0.8, 0), (200, 0, 300, 100, 0.7, 0))
    ap = detection_scores([predicted], [objects], ["a"])["mAP50"]
    assert ap == pytest.approx((51 + 50 * 2 / 3) / 101, abs=1e-12)


def test_sizes_are_of_the_picture_and_absent_ones_are_none():
    scores = detection_scores([found((0, 0, 31, 31, 1, 0))], [true((0, 0, 31, 31, 0))], ["a"])
    assert (scores["mAP_s"], scores["mAP_m"], scores["mAP_l"]) == (1.0, None, None)


@pytest.mark.parametrize("pictures", [0, 1, 3])
def test_nothing_found_is_zero(pictures):
    truth = [true((0, 0, 50, 50, 0))] + [true() for _ in range(pictures)]
    scores = detection_scores([found() for _ in truth], truth, ["a", "b"])
    assert (scores["mAP"], scores["mAP50"], scores["mAP_m"]) == (0.0, 0.0, 0.0)
    assert scores["per_class"]["b"] == {"mAP": None, "mAP50": None, "objects": 0}


@pytest.mark.parametrize("predicted", [found(), found((0, 0, 10, 10, 0.5, 0))])
@pytest.mark.parametrize("pictures", [0, 1])
def test_nothing_to_find_is_none(predicted, pictures):
    scores = detection_scores([predicted] * pictures, [true()] * pictures, ["a"])
    assert [scores[name] for name in ("mAP", "mAP50", "mAP75", "mAP_s")] == [None] * 4
    assert pr_curves([predicted] * pictures, [true()] * pictures, ["a"]) == {"a": None}


def test_ghosts_in_empty_pictures_cost():
    pictures = [true((0, 0, 50, 50, 0)), true()]
    hit, ghost = found((0, 0, 50, 50, 0.5, 0)), found((0, 0, 50, 50, 0.9, 0))
    assert detection_scores([hit, found()], pictures, ["a"])["mAP"] == 1.0
    assert detection_scores([hit, ghost], pictures, ["a"])["mAP"] == pytest.approx(0.5, abs=1e-12)


def test_crowds_are_neither_right_nor_wrong():
    truth = true((0, 0, 50, 50, 0), (100, 100, 300, 300, 0), crowd=[False, True])
    hit, in_crowd, ghost = (0, 0, 50, 50, 0.5, 0), (120, 120, 160, 160, 0.9, 0), (400, 300, 450, 350, 0.9, 0)
    assert detection_scores([found(hit)], [truth], ["a"])["mAP"] == 1.0
    assert detection_scores([found(in_crowd, hit)], [truth], ["a"])["mAP"] == 1.0
    assert detection_scores([found(ghost, hit)], [truth], ["a"])["mAP"] == pytest.approx(0.5, abs=1e-12)
    only = true((100, 100, 300, 300, 0), crowd=[True])
    assert detection_scores([found(in_crowd)], [only], ["a"])["mAP"] is None


def test_only_a_hundred_of_a_class_count():
    ghosts = [(300, 300, 310, 310, 0.9 - i / 1000, 0) for i in range(100)]
    truth = [true((0, 0, 50, 50, 0))]
    assert detection_scores([found(*ghosts[:99], (0, 0, 50, 50, 0.1, 0))], truth, ["a"])["mAP"] > 0
    assert detection_scores([found(*ghosts, (0, 0, 50, 50, 0.1, 0))], truth, ["a"])["mAP"] == 0


def test_an_inverted_or_empty_box_matches_nothing():
    predicted = found((50, 50, 0, 0, 0.9, 0), (0, 0, 0, 50, 0.8, 0), (0, 0, 50, 50, 0.7, 0))
    assert detection_scores([predicted], [true((0, 0, 50, 50, 0))], ["a"])["mAP"] == pytest.approx(1 / 3, abs=1e-12)


def test_it_prints_nothing_and_leaves_its_arguments(capsys, caplog):
    predicted, truth = [found((0, 0, 40, 60, 0.5, 0))], [true((0, 0, 50, 50, 0))]
    before = predicted[0].boxes.clone(), truth[0].boxes.clone()
    with caplog.at_level("WARNING"):
        detection_scores(predicted, truth, ["a"])
    assert capsys.readouterr() == ("", "")
    assert not caplog.records
    assert torch.equal(predicted[0].boxes, before[0])
    assert torch.equal(truth[0].boxes, before[1])


# ------------------------------------------------------------------------------------- a slow reference


def _iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def slow_ap(pictures, label, threshold):
    """Average precision of one class by the definition; None without objects. pictures: (found, truth) rows."""
    marks, objects = [], 0
    for predicted, truth in pictures:
        of_class = [t for t in truth if t[4] == label]
        objects += len(of_class)
        taken = set()
        for box in sorted((d for d in predicted if d[5] == label), key=lambda d: -d[4])[:100]:
            fits = [(_iou(box, t), j) for j, t in enumerate(of_class) if j not in taken]
            best = max(fits, default=(0.0, -1))
            if best[0] >= threshold:
                taken.add(best[1])
            marks.append((box[4], best[0] >= threshold))
    if not objects:
        return None
    hits, points = 0, []
    for n, (_, right) in enumerate(sorted(marks, key=lambda mark: -mark[0]), start=1):
        hits += right
        points.append((hits / objects, hits / n))
    total = 0.0
    for least in np.linspace(0, 1, 101):  # COCO compares with these numbers, without a tolerance for rounding
        total += max((p for recall, p in points if recall >= least), default=0.0)
    return total / 101


def some_pictures(seed, count=6, classes=3):
    rng = np.random.default_rng(seed)
    pictures = []
    for _ in range(count):
        truth, predicted = [], []
        for _ in range(rng.integers(0, 7)):
            left, top = rng.uniform(0, 300, 2)
            width, height = rng.uniform(10, 150, 2)
            truth.append((left, top, left + width, top + height, int(rng.integers(classes))))
        for *box, label in truth:
            for _ in range(rng.integers(0, 3)):
                moved = np.sort((np.array(box) + rng.normal(0, 12, 4)).reshape(2, 2), axis=0).reshape(-1)
                other = int(rng.integers(classes)) if rng.uniform() < 0.2 else label
                predicted.append((*moved, float(rng.uniform()), other))
        for _ in range(rng.integers(0, 4)):
            left, top = rng.uniform(0, 300, 2)
            predicted.append((left, top, left + 40, top + 60, float(rng.uniform()), int(rng.integers(classes))))
        pictures.append((predicted, truth))
    # as the tensors will hold them
    single = lambda rows, n: [(*np.float32(row[:n]).astype(float), row[n]) if n < len(row) else row for row in rows]  # noqa: E731
    return [(single(predicted, 5), single(truth, 4)) for predicted, truth in pictures]


@given(st.integers(0, 10**6))
def test_as_a_slow_reference(seed):
    classes = ["a", "b", "c"]
    pictures = some_pictures(seed)
    scores = detection_scores(
        [found(*predicted) for predicted, _ in pictures],
        [true(*truth, size=(900, 900)) for _, truth in pictures],
        classes,
    )
    slow = [[slow_ap(pictures, c, t / 100) for t in range(50, 100, 5)] for c in range(3)]
    for name, row in zip(classes, slow, strict=True):
        ours = scores["per_class"][name]
        if row[0] is None:
            assert ours["mAP"] is None
            continue
        assert ours["mAP50"] == pytest.approx(row[0], abs=1e-9)
        assert ours["mAP"] == pytest.approx(sum(row) / 10, abs=1e-9)
    there = [row for row in slow if row[0] is not None]
    if there:
        assert scores["mAP"] == pytest.approx(np.mean(there), abs=1e-9)
        assert scores["mAP75"] == pytest.approx(np.mean([row[5] for row in there]), abs=1e-9)


def test_curves_are_those_the_ap_is_the_mean_of():
    objects = true((0, 0, 100, 100, 0), (200, 200, 300, 300, 0))
    predicted = found((0, 0, 100, 100, 0.8, 0), (300, 0, 400, 100, 0.7, 0), (200, 200, 300, 300, 0.6, 0))
    curve = pr_curves([predicted], [objects], ["a"])["a"]
    assert curve.ap == detection_scores([predicted], [objects], ["a"])["mAP50"]
    assert curve.precision[50] == 1.0
    assert curve.precision[51] == pytest.approx(2 / 3)
    assert (curve.scores[50], curve.scores[51]) == (pytest.approx(0.8), pytest.approx(0.6))
    assert curve.recall[100] == 1.0
    assert pr_curves([found((0, 0, 100, 60, 1, 0))], [true((0, 0, 100, 100, 0))], ["a"], iou=0.7)["a"].ap == 0


# --------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("predicted", "truth", "message"),
    [
        ([found()], [], "detections of 1 pictures and the objects of 0"),
        ([found((0, 0, 9, 9, 0.5, 2))], [true()], "a found object has class 2; there are 2"),
        ([found((0, 0, 9, 9, 0.5, -1))], [true()], "a found object has class -1; there are 2"),
        ([found()], [true((0, 0, 9, 9, 3))], "a true object has class 3; there are 2"),
        ([found((0, 0, math.nan, 9, 0.5, 1))], [true()], "picture 0: a found box or its score is not a finite number"),
        ([found((0, 0, 9, 9, math.inf, 1))], [true()], "not a finite number"),
        ([Detections(torch.zeros(2, 4), torch.zeros(1), torch.zeros(2).long())], [true()], "2 boxes, 1 scores and 2"),
    ],
)
@pytest.mark.parametrize("score", [detection_scores, pr_curves])
def test_incomparable_inputs_are_refused(predicted, truth, message, score):
    with pytest.raises(DataError, match=message):
        score(predicted, truth, ["a", "b"])


# -------------------------------------------------------------------------------------------- relations

NAMES = ["left of", "above"]
BOXES = [(0, 0, 50, 50), (100, 0, 150, 50), (100, 100, 150, 150)]


def scene(relations, labels=(0, 1, 2)):
    return true(*[(*box, label) for box, label in zip(BOXES, labels, strict=True)], relations=relations)


def answer(relations, scores=None, labels=(0, 1, 2), shift=0):
    rows = [(x + shift, y, z + shift, w, 0.9, label) for (x, y, z, w), label in zip(BOXES, labels, strict=True)]
    return found(*rows, relations=relations, scores=scores)


def test_perfect_relations():
    links = [(0, 0, 1), (0, 0, 2), (1, 1, 2)]
    scores = relation_scores([answer(links)], [scene(links)], NAMES)
    assert scores == {
        "recall@20": 1.0, "mean_recall@20": 1.0, "ceiling@20": 1.0,
        "recall@50": 1.0, "mean_recall@50": 1.0, "ceiling@50": 1.0,
        "per_relation": {
            "left of": {"relations": 2, "recall@20": 1.0, "recall@50": 1.0},
            "above": {"relations": 1, "recall@20": 1.0, "recall@50": 1.0},
        },
    }  # fmt: skip


def test_mean_recall_is_not_ruled_by_the_frequent():
    links = [(0, 0, 1), (0, 0, 2), (1, 1, 2)]
    scores = relation_scores([answer(links[:2])], [scene(links)], NAMES)
    assert scores["recall@20"] == pytest.approx(2 / 3)
    assert scores["mean_recall@20"] == pytest.approx(1 / 2)


def test_only_the_surest_count():
    links = [(0, 0, 1), (1, 1, 2)]
    predicted = [(2, 0, 0), (1, 1, 2), (0, 0, 1)]
    scores = relation_scores([answer(predicted, [0.1, 0.3, 0.2])], [scene(links)], NAMES, k=(1, 2))
    assert (scores["recall@1"], scores["recall@2"]) == (0.5, 1.0)
    assert (scores["ceiling@1"], scores["ceiling@2"]) == (0.5, 1.0)
    unsaid = relation_scores([answer(predicted)], [scene(links)], NAMES, k=(1, 2))
    assert (unsaid["recall@1"], unsaid["recall@2"]) == (0.0, 0.5)


@pytest.mark.parametrize(
    ("predicted", "right"),
    [
        (answer([(0, 0, 1)], shift=10), True),  # IoU 40 / 60
        (answer([(0, 0, 1)], shift=20), False),  # IoU 30 / 70
        (answer([(0, 0, 1)], labels=(1, 1, 2)), False),
        (answer([(1, 0, 0)]), False),
        (answer([(0, 1, 1)]), False),
        (answer(None), False),
        (found(), False),
    ],
)
def test_boxes_classes_direction_and_name_must_be_right(predicted, right):
    assert relation_scores([predicted], [scene([(0, 0, 1)])], NAMES)["recall@20"] == float(right)


def test_recall_is_averaged_over_pictures_that_have_relations():
    links = [(0, 0, 1), (1, 1, 2)]
    truth = [scene(links), scene([(0, 0, 1)]), scene(None), scene([])]
    predicted = [answer(links[:1]), answer(links[:1]), answer(links), answer(links)]
    scores = relation_scores(predicted, truth, NAMES)
    assert scores["recall@20"] == pytest.approx((1 / 2 + 1) / 2)
    assert scores["mean_recall@20"] == pytest.approx((1 + 0) / 2)


def test_no_relations_at_all():
    scores = relation_scores([answer(None)], [scene(None)], NAMES)
    assert scores["recall@20"] is scores["mean_recall@50"] is scores["ceiling@20"] is None
    assert relation_scores([], [], [])["recall@20"] is None


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        (answer([(0, 2, 1)]), "a relation names what is not there; there are 3 objects and 2 relations"),
        (answer([(0, 0, 3)]), "names what is not there"),
        (answer([(-1, 0, 1)]), "names what is not there"),
        (answer([(0, 0, 1)], [0.5, 0.4]), "expected 1 finite scores of relations"),
        (answer([(0, 0, 1)], [math.nan]), "expected 1 finite scores of relations"),
    ],
)
def test_invalid_relations_are_refused(predicted, message):
    with pytest.raises(DataError, match=message):
        relation_scores([predicted], [scene([(0, 0, 1)])], NAMES)


def stated_areas():
    """Pictures whose annotations state areas of half their boxes, some on the border between two sizes, and crowds."""
    rng = np.random.default_rng(11)
    predicted, truth, classes = [], [], ["a", "b"]
    for _ in range(9):
        n = int(rng.integers(1, 7))
        corners, sides = rng.integers(0, 250, (n, 2)), rng.integers(12, 200, (n, 2))
        sides[0] = (64, 32)  # half of it is 32², which is small and medium
        boxes = torch.from_numpy(np.concatenate([corners, corners + sides], axis=1)).float()
        labels, crowd = torch.from_numpy(rng.integers(0, 2, n)), torch.from_numpy(rng.uniform(size=n) < 0.15)
        areas = torch.from_numpy(sides.prod(axis=1) / 2).float()
        truth.append(ObjectAnnotations(boxes, labels, (450, 450), crowd, areas=areas))
        moved = boxes.double().numpy().repeat(2, axis=0) + rng.integers(-9, 10, (2 * n, 4))
        scores = torch.from_numpy(rng.permutation(2 * n) / 16 / n + rng.uniform()).float()
        predicted.append(Detections(torch.from_numpy(moved).float(), scores, labels.repeat_interleave(2)))
    return predicted, truth, classes


def test_sizes_by_the_stated_area_as_pycocotools_has_them():
    """pycocotools 2.0.11, COCOeval.stats[:6] on the same annotations."""
    scores = detection_scores(*stated_areas())
    names = ("mAP", "mAP50", "mAP75", "mAP_s", "mAP_m", "mAP_l")
    assert [scores[name] for name in names] == pytest.approx(
        [0.352685340231, 0.693490817246, 0.21767677912, 0.389108910891, 0.408664606158, 0.3875], abs=1e-9
    )
    predicted, truth, classes = stated_areas()
    by_box = detection_scores(predicted, [replace(o, areas=None) for o in truth], classes)
    assert by_box["mAP"] == scores["mAP"]
    assert by_box["mAP_m"] != pytest.approx(scores["mAP_m"], abs=0.01)
