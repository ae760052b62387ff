"""The sheet of the pictures with the worst borders."""

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data.segments import IGNORE_INDEX
from saccade.errors import DataError
from saccade.tasks.segment.mistakes import (
    CORRECT,
    FALSE,
    MISSED,
    WorstBoundaries,
    _shrunk,
    boundary_errors,
    draw_worst_boundaries,
    worst_region,
)
from saccade.tasks.segment.scores import SegmentScores

CLASSES = ["background", "cat"]


def square(shift=0, size=(60, 80)):
    """A square of 20 pixels, so many pixels to the right."""
    mask = torch.zeros(size, dtype=torch.uint8)
    mask[20:40, 30 + shift : 50 + shift] = 1
    return mask


def worst_of(shifts, **more):
    worst = WorstBoundaries(CLASSES, **more)
    for i, shift in enumerate(shifts):
        worst.add(i, square(shift), square())
    return worst


def plain(i, size=(80, 60)):
    return Image.new("RGB", size, (40 + i, 90, 60))


def count(picture, colour):
    return int((np.abs(np.asarray(picture).astype(int) - colour).max(axis=2) < 8).sum())


def test_the_few_worst_are_kept_and_scored_as_one_picture():
    worst = worst_of([0, 9, 4, 0, 15, 4, 1], most=3)  # at equal scores the first stays
    assert worst.seen == 7
    assert [one.index for one in worst.worst] == [4, 1, 2]
    for one, shift in zip(worst.worst, (15, 9, 4), strict=True):
        alone = SegmentScores(CLASSES)
        alone.add(square(shift), square())
        scores_alone = alone.result()
        assert one.score == pytest.approx(scores_alone["boundary_F@2"])
        assert one.per_class == {name: values["boundary_F@2"] for name, values in scores_alone["per_class"].items()}
        assert (one.predicted == square(shift).numpy()).all()


def test_the_distance_counts():
    near, far = (worst_of([3], distance=d).worst[0].score for d in (1, 3))
    assert near < far == 1
    with pytest.raises(DataError, match=r"distance of 4 pixels; expected one of \[1, 2, 3\]"):
        WorstBoundaries(CLASSES, distance=4)


def test_masks_may_be_used_again_and_pictures_without_borders_are_passed_over():
    worst = WorstBoundaries(CLASSES)
    prediction, truth = square(5), square()
    worst.add(0, prediction, truth)
    prediction.fill_(0)
    truth.fill_(0)
    worst.add(1, prediction, truth)
    assert [one.index for one in worst.worst] == [0]
    assert worst.worst[0].truth.any()
    assert worst.worst[0].predicted.any()


def test_kinds_of_border_worked_by_hand():
    """A border 3 pixels to the right: within 3 right, within 2 missed and not there."""
    truth, prediction = np.zeros((2, 3, 12), np.uint8)
    truth[:, 4:], prediction[:, 7:] = 1, 1
    for distance, row in ((2, [0, 0, 0, 2, 2, 0, 3, 3, 0, 0, 0, 0]), (3, [0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0])):
        assert boundary_errors(prediction, truth, distance).tolist() == [row] * 3


def test_the_worst_place_is_a_piece_of_the_picture():
    kinds = np.zeros((300, 500), np.uint8)
    kinds[:150] = 1  # right
    kinds[200:204, 410:417], kinds[5, 5] = 3, 2
    left, top, right, bottom = worst_region(kinds)
    assert (right - left, bottom - top) == (112, 67)
    assert left <= 410 <= 417 <= right <= 500
    assert top <= 200 <= 204 <= bottom <= 300
    assert worst_region(np.zeros((3, 2), np.uint8)) == (0, 0, 2, 3)
    assert worst_region(np.zeros((1, 900), np.uint8)) == (0, 0, 112, 1)


def test_no_other_place_is_worse():
    """Against all that are looked at, one by one."""
    for seed in range(9):
        random = np.random.default_rng(seed)
        kinds = random.choice(4, (43, 61), p=(0.8, 0.1, 0.05, 0.05)).astype(np.uint8)
        left, top, right, bottom = worst_region(kinds)
        high, wide = bottom - top, right - left
        assert (high, wide) == (17, 24)
        places = [(y, x) for y in [*range(0, 43 - 17, 3), 43 - 17] for x in [*range(0, 61 - 24, 3), 61 - 24]]
        assert (top, left) in places
        counts = [(kinds[y : y + high, x : x + wide] > 1).sum() for y, x in places]
        assert (kinds[top:bottom, left:right] > 1).sum() == max(counts)


@pytest.mark.parametrize("size", [(31, 17), (224, 100), (700, 640)])
def test_no_mistake_is_lost_when_a_picture_is_made_smaller(size):
    kinds = np.zeros((640, 700), np.uint8)
    kinds[77, 301], kinds[600, 7] = 2, 3
    small = _shrunk(kinds, size)
    assert small.shape == size[::-1]
    assert sorted(small[small > 0].tolist()) == [2, 3]
    y, x = np.argwhere(small == 2)[0]
    assert abs((y + 0.5) / size[1] - 77.5 / 640) <= 1 / size[1]
    assert abs((x + 0.5) / size[0] - 301.5 / 700) <= 1 / size[0]


def test_a_sheet_asks_for_the_pictures_it_shows_and_draws_all_kinds():
    asked = []

    def picture(i):
        asked.append(i)
        return plain(i)

    sheet = draw_worst_boundaries(worst_of([0, 9, 4, 15], most=2), picture)
    assert asked == [3, 1]
    for colour in (MISSED, FALSE, CORRECT):
        assert count(sheet, colour) > 300
    perfect = draw_worst_boundaries(worst_of([0]), plain)
    assert max(count(perfect, colour) for colour in (MISSED, FALSE)) < 200  # in the heading
    assert sheet.height > draw_worst_boundaries(worst_of([9], most=2), plain).height


def test_names_and_colours():
    worst = worst_of([9])
    given = [
        draw_worst_boundaries(worst, plain, names, colours)
        for names, colours in ((None, None), (["a/" * 90 + "고양이\n.png"], None), (None, [(1, 200, 1), (9, 9, 200)]))
    ]
    assert len({sheet.tobytes() for sheet in given}) == 3
    assert len({sheet.size for sheet in given}) == 1
    with pytest.raises(DataError, match="1 colours for 2 classes"):
        draw_worst_boundaries(worst, plain, colours=[(1, 2, 3)])


@pytest.mark.parametrize("size", [(1, 2), (2, 1), (3, 250), (250, 3), (300, 400)])
def test_sheets_of_odd_sizes_and_many_classes(size):
    worst = WorstBoundaries([f"{'적혈구' * 20} {i}" for i in range(255)])
    prediction, truth = torch.randint(0, 255, (2, *size), dtype=torch.uint8)
    truth[0, 0] = IGNORE_INDEX if size[0] > 2 else 7
    worst.add(0, prediction, truth)
    assert draw_worst_boundaries(worst, lambda i: plain(i, size[::-1])).width > 1000


def test_a_sheet_of_nothing():
    for worst in (WorstBoundaries(CLASSES), worst_of([])):
        draw_worst_boundaries(worst, lambda i: pytest.fail("no picture is needed"))


def test_pictures_and_masks_that_do_not_belong_together():
    with pytest.raises(DataError, match="picture 0 has 8 x 6 pixels, and its mask 80 x 60; expected the same size"):
        draw_worst_boundaries(worst_of([9]), lambda i: plain(i, (8, 6)))
    with pytest.raises(DataError, match=r"cat.png: the prediction has 80 x 60 pixels, the truth 60 x 60"):
        WorstBoundaries(CLASSES).add(0, square(), square(size=(60, 60)), "cat.png")
