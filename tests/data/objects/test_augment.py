"""Augmentation for detection: boxes, masks and relations stay on their objects."""

import pytest
import torch

from saccade.data.objects import ObjectAnnotations
from saccade.data.objects.augment import ObjectAugment
from saccade.data.objects.transforms import apply_placement, mirror, select, transpose, vflip
from saccade.data.preprocess import Placement
from saccade.errors import DataError

NAMES = ["left of", "above", "inside", "right of", "holds"]
STILL = {"hflip": False, "color_jitter": 0.0, "scale": (1.0, 1.0)}


def scene(seed: int, rows: int = 61, columns: int = 83, masks: bool = True) -> tuple[torch.Tensor, ObjectAnnotations]:
    """Five rectangles that do not overlap, a bright colour each, on black; label i has the colour i."""
    g = torch.Generator().manual_seed(seed)
    picture = torch.zeros(3, rows, columns, dtype=torch.uint8)
    boxes, drawn = [], torch.zeros(5, rows, columns, dtype=torch.bool)
    for i in range(5):
        left, width = 16 * i + int(torch.randint(0, 4, (), generator=g)), int(torch.randint(6, 12, (), generator=g))
        top, height = int(torch.randint(0, rows - 30, (), generator=g)), int(torch.randint(7, 29, (), generator=g))
        drawn[i, top : top + height, left : left + width] = True
        picture[:, drawn[i]] = COLOURS[i][:, None]
        boxes.append([left, top, left + width, top + height])
    x = (torch.tensor(boxes)[:, [0]] + torch.tensor(boxes)[:, [2]])[:, 0]
    y = (torch.tensor(boxes)[:, [1]] + torch.tensor(boxes)[:, [3]])[:, 0]
    relations = [[a, 0, b] for a in range(5) for b in range(5) if x[a] < x[b]]
    relations += [[a, 1, b] for a in range(5) for b in range(5) if y[a] < y[b]]
    relations += [[0, 2, 4], [4, 3, 0], [1, 4, 2]]
    objects = ObjectAnnotations(
        torch.tensor(boxes, dtype=torch.float32),
        torch.arange(5),
        (rows, columns),
        crowd=torch.arange(5) == 3,
        masks=drawn if masks else None,
        relations=torch.tensor(relations),
    )
    return picture, objects


COLOURS = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]], dtype=torch.uint8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def where(picture: torch.Tensor, label: int) -> torch.Tensor:
    """The pixels that are mostly of the label's colour."""
    near = (picture - COLOURS[label].view(3, 1, 1) / 255).abs().amax(0)
    return near < 0.4


def around(pixels: torch.Tensor) -> torch.Tensor:
    """The box around what is true."""
    rows, columns = pixels.any(1).nonzero().flatten(), pixels.any(0).nonzero().flatten()
    return torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("size", [(61, 83), (97, 53), (101, 101)])
def test_boxes_and_masks_stay_on_their_pixels(masks: bool, size: tuple[int, int]):
    scenes = [scene(seed, masks=masks) for seed in range(11)]
    augment = ObjectAugment(
        size, (0.5, 2.0), 0.2, vflip=True, rot90=size[0] == size[1], color_jitter=0.0, relations=NAMES
    )
    pictures, objects = torch.stack([p for p, _ in scenes]), [o for _, o in scenes]
    checked = 0
    for seed in range(5):
        x, moved = augment(pictures, objects, seeded(seed))
        assert (x.shape, x.dtype) == ((11, 3, *size), torch.float32)
        for picture, each in zip(x, moved, strict=True):
            assert each.size == size
            assert (each.masks is not None) == masks
            assert (each.crowd == (each.labels == 3)).all()
            for i, label in enumerate(each.labels.tolist()):
                seen = where(picture, label)
                if min((each.boxes[i, 2:] - each.boxes[i, :2]).tolist()) < 4:
                    continue  # blurred beyond its colour
                assert (each.boxes[i] - around(seen)).abs().max() <= 1.2
                if masks:
                    assert (each.boxes[i] - around(each.masks[i])).abs().max() <= 0.51
                    assert (seen & ~each.masks[i]).sum() == 0
                checked += 1
    assert checked > 100


def test_relations_stay_true():
    scenes = [scene(seed) for seed in range(17)]
    pictures, objects = torch.stack([p for p, _ in scenes]), [o for _, o in scenes]
    augment = ObjectAugment((61, 83), (0.4, 3.0), 0.1, vflip=True, relations=NAMES)
    kinds, fewer = torch.zeros(5, dtype=torch.long), 0
    for seed in range(5):
        _, moved = augment(pictures, objects, seeded(seed))
        for each in moved:
            centres = (each.boxes[:, :2] + each.boxes[:, 2:]) / 2
            fewer += len(each) < 5
            for subject, relation, other in each.relations.tolist():
                kinds[relation] += 1
                (x, y), (other_x, other_y) = centres[subject].tolist(), centres[other].tolist()
                labels = each.labels[[subject, other]].tolist()
                assert {0: x < other_x, 1: y < other_y, 2: labels == [0, 4], 3: x > other_x, 4: labels == [1, 2]}[
                    relation
                ]
    assert (kinds > 10).all()
    assert fewer > 10


def test_without_zoom_all_relations_are_kept_and_each_move_undoes_itself():
    _, objects = scene(3)
    for move in (mirror, vflip):
        moved = move(objects, NAMES)
        assert len(moved.relations) == len(objects.relations)
        again = move(moved, NAMES)
        assert torch.equal(again.boxes, objects.boxes)
        assert torch.equal(again.masks, objects.masks)
        assert torch.equal(again.relations, objects.relations)
    turned = transpose(objects, NAMES)
    assert turned.size == (83, 61)
    assert set(turned.relations[:, 1].tolist()) == {2, 4}
    assert torch.equal(transpose(turned, NAMES).masks, objects.masks)


def test_one_seed_one_result_and_nothing_given_is_changed():
    picture, objects = scene(1)
    pictures, kept = picture[None].repeat(3, 1, 1, 1), picture.clone()
    augment = ObjectAugment((61, 83), relations=NAMES)
    state = torch.get_rng_state()
    first = augment(pictures, [objects] * 3, seeded(5))
    assert torch.equal(torch.get_rng_state(), state)
    again, other = augment(pictures, [objects] * 3, seeded(5)), augment(pictures, [objects] * 3, seeded(6))
    assert torch.equal(first[0], again[0])
    assert all(torch.equal(a.boxes, b.boxes) for a, b in zip(first[1], again[1], strict=True))
    assert not torch.equal(first[0], other[0])
    assert torch.equal(pictures[0], kept)
    assert torch.equal(objects.boxes, scene(1)[1].boxes)
    assert 0 <= first[0].min() < first[0].max() <= 1


def test_nothing_on_is_the_picture_itself():
    picture, objects = scene(2)
    x, (same,) = ObjectAugment((61, 83), **STILL)(picture[None], [objects], seeded())
    assert torch.equal(x[0], picture / 255)
    torch.testing.assert_close(same.boxes, objects.boxes)
    assert torch.equal(same.masks, objects.masks)


def test_zooming_out_uncovers_the_mean_colour():
    picture, objects = scene(2)
    pictures = torch.stack([picture, 255 - picture, picture])
    x, moved = ObjectAugment((61, 83), **STILL | {"scale": (0.5, 0.5)})(pictures, [objects] * 3, seeded())
    corner_colours = {tuple(round(float(v), 3) for v in each[:, y, z]) for each in x for y in (0, 60) for z in (0, 82)}
    mean = tuple(
        round(round(v * 255) / 255, 3) for v in (pictures[:, :, ::4, ::4].float().mean((0, 2, 3)) / 255).tolist()
    )
    assert mean in corner_colours
    assert all(len(each) == 5 for each in moved)
    areas = (moved[0].boxes[:, 2:] - moved[0].boxes[:, :2]).prod(1) / (
        objects.boxes[:, 2:] - objects.boxes[:, :2]
    ).prod(1)
    torch.testing.assert_close(areas, torch.full((5,), 30 / 61 * 42 / 83), atol=1e-4, rtol=1e-4)


def test_cropped_objects_keep_the_box_of_their_visible_part_or_are_removed():
    mask = torch.zeros(1, 20, 30, dtype=torch.bool)
    mask[0, 2:6, 4:20] = True  # wide above,
    mask[0, 6:12, 4:8] = True  # and narrow below: an L
    box = torch.tensor([[4.0, 2.0, 20.0, 12.0]])
    window = Placement(2.0, 2.0, 0.0, -12.0)  # rows 6 to 16 of columns 0 to 30, doubled
    cut = apply_placement(ObjectAnnotations(box, torch.tensor([0]), (20, 30)), window, (20, 60))
    assert cut.boxes.tolist() == [[8, 0, 40, 12]]
    cut = apply_placement(ObjectAnnotations(box, torch.tensor([0]), (20, 30), masks=mask), window, (20, 60))
    assert cut.boxes.tolist() == [[8, 0, 16, 12]]  # only the narrow part is there
    share = 24 / 88
    for least, left in ((share - 0.01, 1), (share + 0.01, 0)):
        assert (
            len(
                apply_placement(
                    ObjectAnnotations(box, torch.tensor([0]), (20, 30), masks=mask), window, (20, 60), least
                )
            )
            == left
        )
    gone = apply_placement(
        ObjectAnnotations(box, torch.tensor([0]), (20, 30), masks=mask), Placement(1.0, 1.0, -25.0, 0.0), (20, 5)
    )
    assert len(gone) == 0
    assert gone.masks.shape == (0, 20, 5)


def test_relations_that_a_cut_contradicts_are_dropped():
    boxes = torch.tensor([[0.0, 0, 40, 10], [16, 0, 28, 10], [50, 0, 59, 10]])
    names = ["left of", "bigger than", "same colour"]
    relations = torch.tensor([[0, 0, 1], [0, 0, 2], [0, 1, 1], [0, 2, 1]])
    objects = ObjectAnnotations(boxes, torch.tensor([0, 1, 2]), (10, 60), relations=relations)
    whole = apply_placement(objects, Placement(1.0, 1.0, 0.0, 0.0), (10, 60), names=names)
    assert torch.equal(whole.relations, relations)
    # from column 24 on, 16 and 4 of the first two are left, with centres 32 and 26
    cut = apply_placement(objects, Placement(1.0, 1.0, -24.0, 0.0), (10, 36), names=names)
    assert cut.relations.tolist() == [[0, 0, 2], [0, 1, 1], [0, 2, 1]]
    # of two with 40 and 20 columns, 10 and 20 are left
    boxes = torch.tensor([[0.0, 0, 40, 10], [35, 0, 55, 10]])
    two = ObjectAnnotations(boxes, torch.tensor([0, 1]), (10, 60), relations=torch.tensor([[0, 1, 1], [0, 2, 1]]))
    assert apply_placement(two, Placement(1.0, 1.0, -30.0, 0.0), (10, 30), names=names).relations.tolist() == [
        [0, 2, 1]
    ]


def test_select_renumbers_relations():
    _, objects = scene(4)
    part = select(objects, torch.tensor([False, True, True, False, True]))
    assert part.labels.tolist() == [1, 2, 4]
    assert [0, 4, 1] in part.relations.tolist()  # "1 holds 2"
    assert all(2 not in row[1:2] for row in part.relations.tolist())  # "0 inside 4" went with 0


def test_pictures_without_objects():
    picture, _ = scene(0)
    empty = ObjectAnnotations(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), (61, 83))
    _, (moved,) = ObjectAugment((53, 59), vflip=True, relations=NAMES)(picture[None], [empty], seeded())
    assert (len(moved), moved.size) == (0, (53, 59))


def test_colour_jitter_is_saturation_brightness_contrast():
    grey = torch.full((2, 3, 5, 7), 100, dtype=torch.uint8)
    empty = ObjectAnnotations(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), (5, 7))
    x, _ = ObjectAugment((5, 7), **STILL | {"color_jitter": 0.5})(grey, [empty] * 2, seeded())
    assert x.std((1, 2, 3)).max() < 1e-6  # a flat grey picture stays one, lighter or darker
    assert (x - 100 / 255).abs().amax((1, 2, 3)).min() > 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": (0.0, 1.0)}, "scale"),
        ({"scale": (2.0, 1.0)}, "scale"),
        ({"color_jitter": -0.1}, "color_jitter"),
        ({"min_visible": 1.5}, "min_visible"),
        ({"rot90": True}, r"size=\(5, 7\); equal sides expected"),
    ],
)
def test_bad_options(options: dict, message: str):
    with pytest.raises(DataError, match=message):
        ObjectAugment((5, 7), **options)


def test_bad_batches():
    picture, objects = scene(0)
    with pytest.raises(DataError, match="float32 were given; uint8"):
        ObjectAugment((5, 7))(picture[None] / 255, [objects], seeded())
    with pytest.raises(DataError, match="1 pictures of 83 x 61 pixels came with objects for 2"):
        ObjectAugment((5, 7))(picture[None], [objects] * 2, seeded())
    with pytest.raises(DataError, match="came with objects of 61 x 83 pixels"):
        ObjectAugment((5, 7))(picture[None], [transpose(objects, NAMES)], seeded())
