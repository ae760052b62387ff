"""Batches of a detector: targets, spoilt copies, and several batches as one."""

import pytest
import torch
from PIL import Image

from saccade.data.objects import ObjectAnnotations
from saccade.data.scenes import Scenes
from saccade.ops.boxes import cxcywh_to_xyxy
from saccade.tasks.detect.batches import Batch, SceneObjectSource, collate, make_denoising_queries, make_targets


def objects(n: int, size: tuple[int, int] = (30, 40), relations: list[list[int]] | None = None) -> ObjectAnnotations:
    boxes = torch.tensor([[2.0 * i, 3.0, 2.0 * i + 10, 18.0] for i in range(n)]).view(-1, 4)
    table = None if relations is None else torch.tensor(relations, dtype=torch.long).view(-1, 3)
    return ObjectAnnotations(boxes, torch.arange(n), size, relations=table)


def test_targets_are_shares_of_the_picture():
    targets = make_targets([objects(3), objects(0), objects(1)], relations=0)
    assert targets.labels.tolist() == [[0, 1, 2], [-1, -1, -1], [0, -1, -1]]
    assert cxcywh_to_xyxy(targets.boxes)[0, 1].tolist() == pytest.approx([2 / 40, 3 / 30, 12 / 40, 18 / 30])
    assert targets.relations is None
    assert make_targets([objects(0)], 0).labels.tolist() == [[-1]]


def test_relations_keep_their_objects_with_a_crowd():
    one = objects(3, relations=[[0, 1, 2], [2, 0, 1]])
    related = make_targets([one], relations=2).relations
    assert related is not None
    assert related.nonzero().tolist() == [[0, 0, 2, 1], [0, 2, 1, 0]]
    crowd = ObjectAnnotations(
        one.boxes, one.labels, one.size, torch.tensor([False, True, False]), relations=one.relations
    )
    targets = make_targets([crowd], relations=2)
    assert targets.labels.tolist() == [[0, 2]]
    assert targets.relations is not None
    assert targets.relations.nonzero().tolist() == [[0, 0, 1, 1]]  # object 2 is now the second; the crowd's is gone


def test_denoising_queries_form_complete_groups_near_their_objects():
    targets = make_targets([objects(3), objects(0), objects(5)], relations=0)
    noised, pairs = make_denoising_queries(targets, 8, 9, torch.Generator().manual_seed(0))
    assert noised is not None
    assert pairs is not None
    assert noised.group.tolist() == [[0, 0, 0, 1, 1, 1, -1, -1], [-1] * 8, [0] * 5 + [-1] * 3]
    assert pairs.picture.tolist() == [0] * 6 + [2] * 5
    assert pairs.object.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 4]
    true, moved = targets.boxes[pairs.picture, pairs.object], noised.boxes[pairs.picture, pairs.query]
    assert ((moved - true).abs() <= 0.4 * true[:, 2:].repeat(1, 2) + 1e-6).all()
    assert (moved - true).abs().max() > 0
    assert make_denoising_queries(targets, 0, 9, torch.Generator()) == (None, None)


def test_of_more_objects_than_denoising_queries_a_random_part_is_noised():
    targets = make_targets([objects(11), objects(2)], relations=0)
    chosen = set()
    for seed in range(9):
        noised, pairs = make_denoising_queries(targets, 7, 12, torch.Generator().manual_seed(seed))
        assert noised is not None
        assert pairs is not None
        first = pairs.object[pairs.picture == 0].tolist()
        assert len(set(first)) == 7
        assert noised.group.tolist() == [[0] * 7, [0, 0, 1, 1, 2, 2, -1]]
        assert pairs.object[pairs.picture == 1].tolist() == [0, 1] * 3
        true, moved = targets.boxes[0, first], noised.boxes[0]
        assert ((moved - true).abs() <= 0.4 * true[:, 2:].repeat(1, 2) + 1e-6).all()
        chosen |= set(first)
    assert chosen == set(range(11))


def test_spoilt_objects_follow_from_the_generator_alone():
    targets = make_targets([objects(3)], relations=0)
    first, second = (make_denoising_queries(targets, 6, 9, torch.Generator().manual_seed(7))[0] for _ in range(2))
    assert first is not None
    assert second is not None
    assert torch.equal(first.boxes, second.boxes)
    assert torch.equal(first.labels, second.labels)


def test_joined_batches_are_one_with_the_fullest_pictures_room():
    parts = []
    for counts in ((1, 2), (4, 0)):
        targets = make_targets([objects(c, relations=[]) for c in counts], relations=2)
        noised, pairs = make_denoising_queries(targets, 5, 9, torch.Generator().manual_seed(1))
        parts.append(Batch(torch.zeros(2, 3, 8, 8), targets, noised, pairs))
    batch = collate(parts, torch.device("cpu"))
    assert batch.pictures.shape == (4, 3, 8, 8)
    assert batch.targets.labels.shape == (4, 4)
    assert batch.targets.relations is not None
    assert batch.targets.relations.shape == (4, 4, 4, 2)
    assert batch.denoising_match is not None
    assert batch.denoising is not None
    assert sorted(set(batch.denoising_match.picture.tolist())) == [0, 1, 2]
    labels = batch.targets.labels[batch.denoising_match.picture, batch.denoising_match.object]
    assert (labels >= 0).all()


def test_scenes_are_drawn_anew_and_the_same_for_the_same_numbers():
    source = SceneObjectSource(Scenes(100, (48, 64), seed=3))
    first, second, other = (
        source.samples(torch.arange(3), (48, 64), torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    )
    assert first[0].shape == (3, 3, 48, 64)
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[0], other[0])
    assert first[0].min() >= 0
    assert first[0].max() <= 1


def test_sprites_are_trained_on(tmp_path):
    Image.new("RGBA", (20, 20), (200, 30, 30, 255)).save(tmp_path / "brick.png")
    world = Scenes(4, 40, seed=1, sprites=tmp_path)
    _, objects = SceneObjectSource(world).samples(torch.arange(24), (40, 40), torch.Generator().manual_seed(0))
    brick = world.classes.index("brick")
    assert any((o.labels == brick).any() for o in objects)
