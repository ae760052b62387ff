"""The detector: shapes, what may see what, and what a box's bias does."""

import pytest
import torch

from saccade.layers import BoxBias
from saccade.models import preset
from saccade.models.detector import DenoisingQueries, Detector, DetectorConfig, refine_boxes, sinusoidal_embedding
from saccade.models.masks import MaskHead
from saccade.models.relations import pair_geometry
from saccade.ops.instances import box_offsets, mask_logits

CLASSES, QUERIES, RELATIONS = 5, 7, 3


def tiny(**changes) -> Detector:
    torch.manual_seed(0)
    vit = preset("tiny", depth=2, patch=4, window=8, grid=(3, 5))
    model = Detector(DetectorConfig(vit=vit, classes=CLASSES, queries=QUERIES, depth=2, relations=RELATIONS, **changes))
    for p in model.parameters():  # heads that say something
        if not p.any():
            torch.nn.init.normal_(p, std=0.1)
    return model.eval()


def some_noise(b: int, slots: int) -> DenoisingQueries:
    boxes = torch.rand(b, slots, 4) * 0.3 + 0.3
    return DenoisingQueries(boxes, torch.randint(0, CLASSES, (b, slots)), torch.arange(slots).expand(b, -1) // 2)


def test_every_block_says_classes_and_boxes_for_every_query():
    found = tiny()(torch.randn(2, 3, 13, 23))
    assert [tuple(x.shape) for x in found.logits] == [(2, QUERIES, CLASSES)] * 2
    assert [tuple(x.shape) for x in found.boxes] == [(2, QUERIES, 4)] * 2
    assert found.relations is not None
    assert found.relations.shape == (2, QUERIES, QUERIES, RELATIONS)
    assert found.proposals.boxes.shape == (2, 3 * 5, 4)
    assert torch.allclose(found.proposals.centres[7], torch.tensor([2.5 / 5, 1.5 / 3]))
    assert all(((x > 0) & (x < 1)).all() for x in found.boxes)


def test_a_picture_of_fewer_patches_than_queries_has_a_query_a_patch():
    assert tiny()(torch.randn(1, 3, 8, 8)).boxes[-1].shape == (1, 4, 4)


def test_known_objects_do_not_leak_to_those_who_are_to_find_them():
    model, picture = tiny(), torch.randn(2, 3, 13, 23)
    alone, beside = model(picture), model(picture, some_noise(2, 4))
    for a, b in zip(alone.boxes, beside.boxes, strict=True):
        assert b.shape[1] == 4 + QUERIES
        assert torch.allclose(a, b[:, 4:], atol=1e-6)
    assert alone.relations is not None
    assert torch.allclose(alone.relations, beside.relations, atol=1e-5)


def test_a_group_of_noised_objects_sees_no_other():
    model, picture = tiny(), torch.randn(1, 3, 13, 23)
    noised = some_noise(1, 4)  # groups 0 0 1 1
    changed = noised._replace(boxes=noised.boxes.clone())
    changed.boxes[0, 3] = torch.tensor([0.9, 0.1, 0.1, 0.1])
    a, b = model(picture, noised).boxes[-1], model(picture, changed).boxes[-1]
    assert torch.allclose(a[:, :2], b[:, :2], atol=1e-6)
    assert not torch.allclose(a[:, 2], b[:, 2], atol=1e-6)


def test_the_bias_of_a_box_is_a_function_of_row_plus_one_of_column():
    bias = BoxBias(heads=3, hidden=11)(torch.rand(2, 5, 4), (3, 7))
    assert bias.shape == (2, 3, 5, 21)
    table = bias.view(2, 3, 5, 3, 7)
    apart = table[..., :1, :1] - table[..., :1, :] - table[..., :, :1] + table
    assert torch.allclose(apart, torch.zeros_like(apart), atol=1e-5)


def test_the_bias_moves_with_the_box():
    bias, grid = BoxBias(heads=2), (10, 10)
    box = torch.tensor([[[0.35, 0.45, 0.2, 0.3]]])
    here, there = bias(box, grid), bias(box + torch.tensor([0.2, 0.1, 0, 0]), grid)
    here, there = here.view(2, 10, 10), there.view(2, 10, 10)
    assert torch.allclose(here[:, :9, :8], there[:, 1:, 2:], atol=1e-5)


def test_a_shift_of_nothing_leaves_a_box_and_any_shift_keeps_it_in_the_picture():
    boxes = torch.rand(3, 4) * 0.9 + 0.05
    assert torch.allclose(refine_boxes(boxes, torch.zeros(3, 4)), boxes, atol=1e-6)
    far = refine_boxes(boxes, torch.randn(3, 4) * 30)
    assert ((far >= 0) & (far <= 1)).all()


def test_waves_tell_boxes_apart_by_less_than_a_pixel_of_a_thousand():
    boxes = torch.tensor([[[0.5, 0.5, 0.25, 0.25], [0.5005, 0.5, 0.25, 0.25]]])
    a, b = sinusoidal_embedding(boxes, 8)[0]
    assert (a - b).abs().max() > 0.1


def test_pair_geometry_of_a_box_right_of_another():
    boxes = torch.tensor([[[0.2, 0.5, 0.2, 0.2], [0.7, 0.5, 0.2, 0.4]]])
    first_to_second = pair_geometry(boxes)[0, 0, 1]
    assert first_to_second[:2].tolist() == pytest.approx([0.5, 0.0])
    assert first_to_second[2].item() == pytest.approx(0.3)  # between its right and the other's left edge
    assert first_to_second[8] == 0
    assert pair_geometry(boxes)[0, 0, 0, 8] == pytest.approx(1.0)


def test_gradients_reach_every_weight():
    model = tiny().train()
    found = model(torch.randn(2, 3, 13, 23), some_noise(2, 4))
    assert found.relations is not None
    parts = [*found.logits, *found.boxes, found.relations, *found.proposals[:3]]
    sum(part.square().sum() for part in parts).backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def test_a_detector_of_boxes_is_the_same_as_before_masks():
    """Masks come after all other weights: the same seed gives the same boxes with and without them, bit for bit."""
    picture, models = torch.randn(2, 3, 12, 20), []
    for channels in (0, 8):
        torch.manual_seed(7)
        vit = preset("tiny", depth=2, patch=4, window=8, grid=(3, 5))
        models.append(
            Detector(DetectorConfig(vit=vit, classes=3, queries=5, relations=2, mask_channels=channels)).eval()
        )
    bare, outlined = models
    assert {n for n in outlined.state_dict() if n not in bare.state_dict()} == {
        n for n in outlined.state_dict() if n.startswith("mask_head.")
    }
    assert all(torch.equal(value, outlined.state_dict()[name]) for name, value in bare.state_dict().items())
    assert bare(picture).masks is None
    for a, b in zip(bare(picture).boxes, outlined(picture).boxes, strict=True):
        assert torch.equal(a, b)


def test_masks_have_a_query_each_and_features_of_every_pixel():
    model = tiny(mask_channels=8)
    masks = model(torch.randn(2, 3, 13, 23), some_noise(2, 4)).masks  # 12 x 20 pixels in whole patches
    assert masks is not None
    assert masks.queries.shape == (2, 4 + QUERIES, 3 * 8 + 6)
    assert masks.pixels.shape == (2, 8, 12, 20)


def test_a_new_mask_is_the_ellipse_in_its_box():
    torch.manual_seed(0)
    head = MaskHead(width=24, patch=4, channels=8, image_channels=3)
    masks = head(torch.randn(1, 2, 24) * 0, torch.randn(1, 3, 5, 24), torch.randn(1, 3, 12, 20))
    boxes = torch.tensor([[6.0, 6.0, 8.0, 10.0], [14.0, 5.0, 6.0, 6.0]])
    y, x = torch.meshgrid(torch.arange(12) + 0.5, torch.arange(20) + 0.5, indexing="ij")
    offsets = box_offsets(torch.stack([x, y], -1).flatten(0, 1).expand(2, -1, 2), boxes)
    logits = mask_logits(masks.queries[0], masks.pixels[0].flatten(1).T.expand(2, -1, -1) * 0, offsets)
    assert torch.equal(logits > 0, offsets.square().sum(dim=-1) < 1)
