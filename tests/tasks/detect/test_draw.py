"""Pictures of what a detector finds, of its scores and of its mistakes."""

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data.objects import ObjectAnnotations
from saccade.errors import DataError
from saccade.tasks.detect.draw import draw_detection_confusion, draw_detections, draw_pr_curves
from saccade.tasks.detect.matches import detection_confusion
from saccade.tasks.detect.mistakes import FOUND, TRUTH, draw_mistakes, worst_mistakes
from saccade.tasks.detect.result import Detections
from saccade.tasks.detect.scores import pr_curves
from saccade.tasks.drawing import PALETTE, Overlay, contrasting_ink, enlarged, font, truncate_text


def found(*rows, relations=None, scores=None):
    """rows: (left, top, right, bottom, score, label)."""
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    links = None if relations is None else torch.tensor(relations).reshape(-1, 3).long()
    sure = None if scores is None else torch.tensor(scores)
    return Detections(table[:, :4], table[:, 4], table[:, 5].long(), links, sure)


def true(*rows, size=(480, 640)):
    """rows: (left, top, right, bottom, label)."""
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
    return ObjectAnnotations(table[:, :4], table[:, 4].long(), size)


def plain(width=640, height=480, colour=(120, 130, 140)):
    return Image.new("RGB", (width, height), colour)


def pixels(picture):
    return np.asarray(picture).astype(int)


TWO = found((100, 100, 300, 300, 0.9, 0), (350, 200, 550, 420, 0.6, 1), relations=[(0, 0, 1)], scores=[0.8])
CLASSES = ["cat", "dog"]


def test_box_outlines_are_drawn_at_the_box():
    drawn = pixels(draw_detections(plain(), TWO, CLASSES))
    for y, x in [(200, 100), (200, 300), (300, 200)]:  # left, right and lower edge of the first
        assert np.abs(drawn[y - 1 : y + 1, x - 1 : x + 1] - PALETTE[0]).max() < 40
    assert (drawn[200, 200] == (120, 130, 140)).all()


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (32, 48), (640, 480), (2500, 1200)])
def test_small_pictures_are_drawn_larger_and_large_ones_as_they_are(size):
    width, height = size
    predicted = found((0, 0, width, height, 0.9, 0))
    drawn = draw_detections(plain(*size), predicted, CLASSES)
    assert drawn.width * height == drawn.height * width
    assert max(drawn.size) >= min(480, 640)
    if width >= 640:
        assert drawn.size == size


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_pictures_of_other_modes(mode):
    assert draw_detections(plain().convert(mode), TWO, CLASSES).mode == "RGB"


def test_nothing_found_leaves_the_picture():
    assert (pixels(draw_detections(plain(), found(), CLASSES)) == pixels(plain())).all()
    assert (pixels(draw_detections(plain(), TWO, CLASSES, threshold=0.95)) == pixels(plain())).all()


def test_only_objects_that_are_sure_enough_are_drawn():
    drawn = pixels(draw_detections(plain(), TWO, CLASSES, threshold=0.7))
    assert (drawn[:, 320:] == (120, 130, 140)).all()
    assert (drawn[:, :310] != (120, 130, 140)).any()


def test_the_picture_given_stays_as_it_is():
    given = plain()
    draw_detections(given, TWO, CLASSES, ["left of"])
    assert (pixels(given) == pixels(plain())).all()


def test_relations_are_drawn_between_the_two_objects():
    without, with_them = (pixels(draw_detections(plain(), TWO, CLASSES, names)) for names in (None, ["left of"]))
    changed = (without != with_them).any(axis=2)
    rows, columns = changed.nonzero()
    assert changed.sum() > 500
    assert 190 < columns.min() < 205  # from the centre of the first, at (200, 200),
    assert 430 < columns.max() < 460  # to that of the second, at (450, 310)
    assert 150 < rows.min() < 215
    assert 290 < rows.max() < 325
    other = pixels(draw_detections(plain(), TWO, CLASSES, ["above"]))
    assert (other != with_them).any()


@pytest.mark.parametrize("change", [{"threshold": 0.7}, {"arrows": 0}])
def test_relations_of_hidden_objects_or_beyond_the_first_few_are_not_drawn(change):
    drawn = [draw_detections(plain(), TWO, CLASSES, names, **change) for names in (None, ["left of"])]
    assert (pixels(drawn[0]) == pixels(drawn[1])).all()


def test_there_and_back_are_two_arrows_and_odd_relations_do_not_fail():
    both = found(*[(100, 100, 300, 300, 0.9, 0)] * 2, relations=[(0, 0, 1), (1, 0, 0), (0, 0, 0), (0, 1, 1)])
    assert draw_detections(plain(), both, CLASSES, ["left of", "같은 색"]).size == (640, 480)


def test_labels_do_not_cover_each_other_where_there_is_room():
    overlay = Overlay(plain())
    places = [(100, 100, "lb"), (100, 100, "lt"), (100, 200, "lt")]
    for _ in range(3):
        overlay.label("a name 90", places, PALETTE[0], 15)
    tags = overlay._taken
    for i, a in enumerate(tags):
        for b in tags[:i]:
            assert a[3] <= b[1] + 1e-6 or b[3] <= a[1] + 1e-6


@pytest.mark.parametrize("place", [(0, 0, "lb"), (640, 480, "lt"), (-50, 500, "mm"), (640, 0, "rb")])
def test_labels_are_inside_the_picture(place):
    overlay = Overlay(plain())
    overlay.label("a name 90", [place], PALETTE[0], 15)
    left, top, right, bottom = overlay._taken[0]
    assert left >= 0
    assert top >= 0
    assert right <= 640 + 1e-6
    assert bottom <= 480 + 1e-6


def test_letters_on_every_colour_can_be_read():
    """A contrast of at least 3 (WCAG 2.2, 1.4.11) between a tag and what is written on it."""

    def luminance(colour):
        linear = [(v / 255 / 12.92) if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for colour in PALETTE:
        light, dark = sorted((luminance(colour), luminance(contrasting_ink(colour))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3


def test_enlarging_keeps_pixels_square():
    small, times = enlarged(Image.fromarray(np.arange(12, dtype=np.uint8).reshape(2, 2, 3)))
    assert times == 320
    assert (pixels(small)[:320, :320] == (0, 1, 2)).all()


def test_names_are_cut_and_on_one_line():
    assert truncate_text("a\nb  c") == "a b c"
    assert truncate_text("x" * 40) == "x" * 17 + "…"


def test_korean_letters_differ_where_the_system_has_them():
    letters = font(20, "고양이")
    if not hasattr(letters, "getname") or "CJK" not in str(letters.getname()):
        pytest.skip("no Korean letters on this system")
    masks = [bytes(letters.getmask(letter)) for letter in "고양이"]
    assert len(set(masks)) == 3


def test_curves():
    objects = [true((0, 0, 100, 100, 0), (200, 200, 300, 300, 0))]
    half, full = found((0, 0, 100, 100, 0.8, 0)), found((0, 0, 100, 100, 0.8, 0), (200, 200, 300, 300, 0.7, 0))
    drawn = [draw_pr_curves(pr_curves([predicted], objects, CLASSES)) for predicted in (half, full)]
    assert (pixels(drawn[0]) != pixels(drawn[1])).any()
    draw_pr_curves({})
    draw_pr_curves({"a": None})
    draw_pr_curves({f"class {i}": curve for i in range(80) for curve in pr_curves([half], objects, ["a"]).values()})


def test_confusion_has_a_row_and_a_column_for_nothing():
    predicted, objects = [found((0, 0, 100, 100, 0.8, 0))], [true((0, 0, 100, 100, 0), (200, 200, 300, 300, 1))]
    matrix = detection_confusion(predicted, objects, CLASSES)
    drawn = pixels(draw_detection_confusion(matrix, CLASSES))
    ghost = matrix.clone()
    ghost[2, 1] = 5  # five ghosts of one object's class: more than 100 %
    other = pixels(draw_detection_confusion(ghost, CLASSES))
    rows, columns = (drawn != other).any(axis=2).nonzero()
    assert len(rows)
    assert rows.max() - rows.min() < 56
    assert columns.max() - columns.min() < 56


MISTAKEN = found(
    (20, 20, 120, 120, 0.9, 1),  # classification
    (200, 20, 300, 75, 0.8, 0),  # IoU .55: right, but loose
    (500, 400, 560, 460, 0.7, 0),  # background
    (400, 20, 480, 100, 0.95, 0),  # right
    (402, 20, 482, 100, 0.6, 0),  # double
    (20, 250, 120, 280, 0.65, 0),  # IoU .3
)
TRUE = true((20, 20, 120, 120, 0), (200, 20, 300, 120, 0), (400, 20, 480, 100, 0), (20, 250, 120, 350, 0),
            (300, 300, 330, 330, 1), (300, 200, 400, 250, 1))  # fmt: skip


def test_mistakes_come_by_kind_and_the_worst_first():
    mistakes = worst_mistakes([found(), MISTAKEN], [true(), TRUE], CLASSES)
    listed = {kind: [(m.picture, m.match.found, m.match.truth) for m in some] for kind, some in mistakes.items()}
    assert listed == {
        "missed": [(1, None, 5), (1, None, 4)],
        "background": [(1, 2, None)],
        "classification": [(1, 0, 0)],
        "localization": [(1, 5, 3), (1, 1, 1)],
        "duplicate": [(1, 4, 2)],
    }


def test_a_sheet_asks_for_the_pictures_it_shows_and_draws_both_boxes():
    asked = []

    def picture(i):
        asked.append(i)
        return plain()

    sheet = draw_mistakes(picture, [found(), MISTAKEN], [true(), TRUE], CLASSES, each=1)
    assert asked == [1] * 5
    drawn = pixels(sheet).reshape(-1, 3)
    for colour in (TRUTH, FOUND):
        assert (np.abs(drawn - colour).max(axis=1) < 8).sum() > 200
    assert draw_mistakes(picture, [MISTAKEN], [TRUE], CLASSES, each=2).width > sheet.width


def test_the_sheet_of_a_perfect_detector():
    perfect = Detections(TRUE.boxes, torch.ones(6), TRUE.labels)
    assert all(not some for some in worst_mistakes([perfect], [TRUE], CLASSES).values())
    draw_mistakes(lambda i: pytest.fail("no picture is needed"), [perfect], [TRUE], CLASSES)


def test_the_sheet_of_tiny_pictures_and_long_names():
    predicted, objects = found((0, 0, 3, 1, 0.9, 1)), true((0, 0, 3, 2, 0), size=(2, 3))
    draw_mistakes(lambda i: plain(3, 2), [predicted], [objects], ["적혈구" * 20, "x" * 90], names=["a/" * 80])


def test_mistakes_of_lists_that_do_not_belong_together():
    with pytest.raises(DataError, match="detections of 1 pictures"):
        draw_mistakes(lambda i: plain(), [MISTAKEN], [], CLASSES)
