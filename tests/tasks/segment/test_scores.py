"""Scores of segmentations: worked by hand, against torchmetrics, and over several pictures and processes."""

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix, MulticlassF1Score
from torchmetrics.segmentation import DiceScore, MeanIoU

from saccade.data.segments import IGNORE_INDEX
from saccade.errors import DataError
from saccade.tasks.segment.scores import SegmentScores

CLASSES = ["road", "sky", "tree", "사람", "car"]


def mask(*rows):
    return torch.tensor(rows, dtype=torch.uint8)


def score(predicted, truth, classes=("a", "b")):
    scores = SegmentScores(classes)
    scores.add(predicted, truth)
    return scores.result()


def some(count, size=(13, 17), classes=5, ignored=0.15):
    """Pairs of blocks of random classes, half of the pixels predicted correctly."""
    for _ in range(count):
        truth = torch.randint(0, classes, size, dtype=torch.uint8)
        predicted = torch.where(torch.rand(size) < 0.5, truth, torch.randint(0, classes, size, dtype=torch.uint8))
        truth[torch.rand(size) < ignored] = IGNORE_INDEX
        yield predicted, truth


def test_regions_worked_by_hand():
    truth = mask([0, 0, 0, 1], [0, 0, 1, IGNORE_INDEX])
    predicted = mask([0, 0, 1, 1], [0, 1, 1, 0])
    scored = score(predicted, truth)  # a: 3 right of 5 true and 3 predicted; b: 2 of 2 and 4
    assert (
        scored["per_class"]["a"] | {"IoU": 3 / 5, "Dice": 6 / 8, "accuracy": 3 / 5, "pixels": 5}
        == scored["per_class"]["a"]
    )
    assert (
        scored["per_class"]["b"] | {"IoU": 2 / 4, "Dice": 4 / 6, "accuracy": 1, "pixels": 2} == scored["per_class"]["b"]
    )
    assert scored["mIoU"] == pytest.approx((3 / 5 + 1 / 2) / 2)
    assert scored["Dice"] == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert scored["mean_accuracy"] == pytest.approx(0.8)
    assert scored["pixel_accuracy"] == pytest.approx(5 / 7)


@pytest.mark.parametrize(
    ("shift", "right"), [(0, (1, 1, 1)), (1, (1, 1, 1)), (2, (0, 1, 1)), (3, (0, 0, 1)), (4, (0,) * 3)]
)
def test_boundary_f_of_a_shifted_border(shift, right):
    """A straight border predicted `shift` pixels off: all its pixels are near, or none is."""
    truth, predicted = torch.zeros(2, 7, 19, dtype=torch.uint8)
    truth[:, 9:], predicted[:, 9 + shift :] = 1, 1
    scored = score(predicted, truth)
    assert tuple(scored[f"boundary_F@{d}"] for d in (1, 2, 3)) == right


def test_boundary_f_worked_by_hand():
    """A border of five pixels, of which the prediction has three, and three of its own three pixels off."""
    truth, predicted = torch.zeros(2, 5, 20, dtype=torch.uint8)
    truth[:, 10:], predicted[:3, 10:], predicted[3:, 14:] = 1, 1, 1
    scored = score(predicted, truth)["per_class"]["b"]
    # predicted: rows 0 to 2 at x = 10; of rows 2 and 3 also the step between them; rows 3 and 4 at x = 14
    said_border = {(0, 10), (1, 10), (2, 10), (2, 11), (2, 12), (2, 13), (3, 14), (4, 14)}
    near = {1: 4, 2: 5, 3: 6}  # at x = 10, and 11, 12 and 13
    recalled = {1: 4, 2: 5, 3: 5}  # 3, 10 is one from 2, 10; 4, 10 is two
    for d in (1, 2, 3):
        precision, recall = near[d] / len(said_border), recalled[d] / 5
        assert scored[f"boundary_F@{d}"] == pytest.approx(2 * precision * recall / (precision + recall))


def test_boundary_iou_worked_by_hand():
    """A square of 6 x 6 in the middle, predicted as 6 x 5: rings of 20 and 18 pixels at a distance of 1."""
    truth, predicted = torch.zeros(2, 12, 12, dtype=torch.uint8)
    truth[3:9, 3:9], predicted[3:9, 3:8] = 1, 1
    scored = score(predicted, truth)["per_class"]["b"]
    both = 6 + 2 * 4  # the left side, and four more of the upper and the lower
    assert scored["boundary_IoU@1"] == pytest.approx(both / (20 + 18 - both))
    assert scored["boundary_IoU@3"] == pytest.approx(30 / 36)  # the whole of both


def test_a_region_that_fills_the_picture():
    """No border, so no boundary F; but boundary IoU has a contour at the picture's edge."""
    scored = score(*torch.zeros(2, 5, 7, dtype=torch.uint8), CLASSES)
    assert scored["boundary_F@1"] is None
    assert scored["boundary_IoU@1"] == 1
    assert scored["mIoU"] == scored["Dice"] == scored["pixel_accuracy"] == scored["mean_accuracy"] == 1
    assert scored["per_class"]["sky"] == dict.fromkeys(scored["per_class"]["sky"]) | {"pixels": 0}


def test_a_class_that_is_only_predicted_scores_0_and_an_absent_one_is_left_out():
    truth = mask([0, 0, 0, 1, 1, 1])
    scored = score(mask([0, 0, 2, 2, 1, 1]), truth, CLASSES)
    tree = scored["per_class"]["tree"]
    assert tree["pixels"] == 0
    assert all(value == 0 for value in tree.values())
    assert scored["mIoU"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert scored["mean_accuracy"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert scored["per_class"]["car"]["IoU"] is None


def test_nothing_scored():
    scored = SegmentScores(CLASSES).result()
    assert {value for name, value in scored.items() if name != "per_class"} == {None}
    assert score(*torch.full((2, 3, 5), IGNORE_INDEX, dtype=torch.uint8), CLASSES) == scored


def test_predictions_at_ignored_pixels_do_not_count():
    for predicted, truth in some(5):
        other = predicted.clone()
        other[truth == IGNORE_INDEX] = torch.randint(0, 256, (int((truth == IGNORE_INDEX).sum()),), dtype=torch.uint8)
        assert score(predicted, truth, CLASSES) == score(other, truth, CLASSES)


def test_perfect_predictions_score_1():
    for _, truth in some(3):
        scored = score(torch.where(truth == IGNORE_INDEX, 2, truth), truth, CLASSES)
        assert {value for name, value in scored.items() if name != "per_class"} == {1}


def test_classes_in_another_order_score_the_same():
    order = torch.randperm(5)
    for predicted, truth in some(2):
        moved = [
            torch.where(m == IGNORE_INDEX, m, order[m.clamp(max=4).long()].to(torch.uint8)) for m in (predicted, truth)
        ]
        names = [CLASSES[order.tolist().index(i)] for i in range(5)]
        one, other = score(predicted, truth, CLASSES), score(*moved, names)
        assert one.pop("per_class") == other.pop("per_class")
        assert one == pytest.approx(other)


@pytest.mark.filterwarnings("ignore")  # torchmetrics warns of its own options
def test_regions_as_torchmetrics_scores_them():
    """Its own figures, where definitions agree: sums over all pictures, classes averaged, one index ignored."""
    scores, n = SegmentScores([*CLASSES, "only predicted", "nowhere"]), 7
    pairs = list(some(6))
    pairs[0][0][:2] = 5
    matrix = MulticlassConfusionMatrix(n, ignore_index=IGNORE_INDEX)
    recall = MulticlassAccuracy(n, average="macro", ignore_index=IGNORE_INDEX)
    right = MulticlassAccuracy(n, average="micro", ignore_index=IGNORE_INDEX)
    f1 = MulticlassF1Score(n, average="none", ignore_index=IGNORE_INDEX)  # of pixels: Dice
    for predicted, truth in pairs:
        scores.add(predicted, truth)
        for metric in (matrix, recall, right, f1):
            metric.update(predicted.int(), truth.int())
    scored = scores.result()
    assert (scores.confusion == matrix.compute()).all()
    assert scored["mean_accuracy"] == pytest.approx(recall.compute().item(), abs=1e-6)
    assert scored["pixel_accuracy"] == pytest.approx(right.compute().item(), abs=1e-6)
    dice = [one["Dice"] for one in scored["per_class"].values()]
    assert dice[:-1] == pytest.approx(f1.compute().tolist()[:-1], abs=1e-6)
    assert dice[-2:] == [0, None]


def test_one_picture_as_torchmetrics_for_segmentation_scores_it():
    """Which knows no ignored pixels, and averages over pictures: so one picture without."""
    predicted, truth = next(some(1, ignored=0))
    scored = score(predicted, truth, CLASSES)
    given = predicted[None].long(), truth[None].long()
    dice = DiceScore(5, average="macro", input_format="index")(*given)
    assert scored["Dice"] == pytest.approx(dice.item(), abs=1e-6)
    assert scored["mIoU"] == pytest.approx(MeanIoU(5, input_format="index")(*given).item(), abs=1e-6)


def test_a_set_where_definitions_of_the_mean_differ():
    """Pictures of different content and size, a class that is only predicted and one that is nowhere. scikit-learn
    1.9.1 on all pixels together, over the four classes that occur: jaccard_score 0.42749 and f1_score 0.53633 (macro).
    Averaged over pictures it would be 0.35875, over true classes alone 0.56999, and with the absent class 0.34199."""
    random, scores = np.random.default_rng(5), SegmentScores(CLASSES)
    for height, width, shares in ((31, 47, (0.9, 0.1, 0)), (13, 17, (0.1, 0.2, 0.7)), (7, 5, (0, 1, 0))):
        truth = random.choice(3, (height, width), p=shares).astype(np.uint8)
        wrong = random.random((height, width)) < 0.3
        predicted = np.where(wrong, random.choice(4, (height, width)), truth).astype(np.uint8)
        truth[random.random((height, width)) < 0.1] = IGNORE_INDEX
        scores.add(torch.from_numpy(predicted), torch.from_numpy(truth))
    result = scores.result()
    assert result["mIoU"] == pytest.approx(0.4274904689155897, abs=1e-12)
    assert result["Dice"] == pytest.approx(0.5363345128538591, abs=1e-12)
    assert result["pixel_accuracy"] == pytest.approx(0.7779935275080906, abs=1e-12)
    assert [one["IoU"] for one in result["per_class"].values()][3:] == [0, None]


def test_pictures_are_summed_and_processes_added_up():
    pairs = [*some(2), *some(2, size=(5, 23))]
    whole, halves = SegmentScores(CLASSES), [SegmentScores(CLASSES), SegmentScores(CLASSES)]
    for i, pair in enumerate(pairs):
        whole.add(*pair)
        halves[i % 2].add(*pair)
    added = SegmentScores.from_sums(CLASSES, halves[0].sums + halves[1].sums)
    assert added.result() == whole.result()
    assert added.result() != halves[0].result()
    assert whole.sums.shape == SegmentScores(CLASSES).sums.shape  # whatever the number of pictures


def test_sums_given_out_are_copies():
    scores = SegmentScores(CLASSES)
    scores.sums.fill_(7)
    scores.confusion.fill_(7)
    assert not scores.sums.any()
    sums = torch.ones_like(scores.sums)
    other = SegmentScores.from_sums(CLASSES, sums)
    other.add(*next(some(1)))
    assert (sums == 1).all()


def test_the_most_classes_a_mask_can_hold():
    predicted = torch.arange(255, dtype=torch.uint8).reshape(15, 17)
    scored = score(predicted, predicted, [f"class {i}" for i in range(255)])
    assert scored["mIoU"] == scored["boundary_F@1"] == scored["boundary_IoU@1"] == 1


@pytest.mark.parametrize(
    ("predicted", "truth", "message"),
    [
        (mask([0, 1]), mask([0], [1]), r"^x: the prediction has 2 x 1 pixels, the truth 1 x 2; expected the same size"),
        (mask([0, 2]), mask([0, 1]), r"^x: a pixel of the prediction is of class 2; expected 0 to 1$"),
        (mask([0, IGNORE_INDEX]), mask([0, 1]), r"^x: a pixel of the prediction is of class 255"),
        (mask([0, 1]), mask([0, 7]), r"^x: a pixel of the truth is of class 7; expected 0 to 1, or 255 to ignore it"),
        (mask([0, 1]).long(), mask([0, 1]), r"^x: the prediction is \(1, 2\) torch.int64; expected a mask \(y x\)"),
        (mask([0, 1]), mask([0, 1])[None], r"^x: the truth is \(1, 1, 2\) torch.uint8"),
        (mask([]), mask([]), r"^x: the prediction is \(1, 0\)"),
    ],
)
def test_masks_that_cannot_be_scored(predicted, truth, message):
    scores = SegmentScores(["a", "b"])
    with pytest.raises(DataError, match=message):
        scores.add(predicted, truth, "x")
    assert not scores.sums.any()


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "0 classes"),
        ([str(i) for i in range(256)], "256 classes to score; between 1 and 255"),
        (["a", "b\n", "b\n"], r"two classes are named b\\n"),
    ],
)
def test_classes_that_cannot_be_scored(classes, message):
    with pytest.raises(DataError, match=message):
        SegmentScores(classes)


def test_sums_of_something_else():
    sums = SegmentScores(CLASSES).sums
    with pytest.raises(DataError, match=r"expected .* for 2 classes"):
        SegmentScores.from_sums(["a", "b"], sums)
    with pytest.raises(DataError, match=r"float64; expected .* torch.int64"):
        SegmentScores.from_sums(CLASSES, sums.double())
