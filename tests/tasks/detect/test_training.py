"""How a detector is trained: what the loop is given, and that it learns."""

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data import Arrays, open_objects
from saccade.data.objects import ObjectAnnotations
from saccade.data.scenes import Scenes
from saccade.device import init_device
from saccade.errors import DataError, SaccadeError
from saccade.models import PRESETS
from saccade.models.detector import Detector
from saccade.tasks import DetectRecipe, DetectTraining, load
from saccade.train import TrainConfig, train

from .. import finder, tiny
from .test_task import Odd


@pytest.fixture(autouse=True)
def _toy(monkeypatch):
    monkeypatch.setitem(PRESETS, "toy", finder.TOY)


def recipe(**changes) -> DetectRecipe:
    return DetectRecipe(
        **{"model": "toy", "size": 40, "queries": 12, "decoder_depth": 2, "denoising_queries": 8, **changes}
    )


def training(n: int = 16, size: int = 40, **changes) -> DetectTraining:
    return DetectTraining(Scenes(n, size, seed=1), Scenes(4, size, seed=0), recipe(**changes))


def test_batches_follow_from_the_generator():
    task = training()
    a, b = (task.batch(torch.arange(3), torch.Generator().manual_seed(5), 0.0) for _ in range(2))
    assert a.pictures.shape == (3, 3, 40, 40)
    assert torch.equal(a.pictures, b.pictures)
    assert torch.equal(a.targets.boxes, b.targets.boxes)
    assert a.pictures.mean().abs() < 1  # normalised


def test_pictures_grow_in_whole_patches():
    task = training(size=88, progressive_resize=True)
    sides = [task.batch(torch.arange(1), torch.Generator(), at).pictures.shape[-1] for at in (0.0, 0.6, 0.8)]
    assert sides == [40, 64, 88]  # of 44, 66 and 88 pixels what patches of 8 cover


def test_the_shorter_side_follows_from_the_pictures():
    wide = Scenes(9, (40, 80), seed=1)
    task = DetectTraining(Odd(finder.LABELS), Odd(finder.LABELS), recipe(size=80))
    assert task.size == (72, 80)  # 37 x 41 pixels, in whole patches of 8
    assert DetectTraining(wide, wide, recipe()).size == (40, 80)


def test_a_loss_is_one_number_with_a_slope_and_the_same_for_one_batch_or_its_halves():
    task = training()
    parts = [task.batch(torch.arange(2), torch.Generator().manual_seed(i), 0.0) for i in range(2)]
    device = torch.device("cpu")
    together = task.loss(task.model, parts, device)
    apart = [task.loss(task.model, [part], device) for part in parts]
    assert together.item() == pytest.approx(sum(a.item() for a in apart) / 2, rel=1e-4)
    together.backward()
    assert all(p.grad is not None for p in task.model.parameters())


def test_it_learns_a_few_scenes_by_heart(tmp_path, monkeypatch):
    """A loss that could not fall, or scores that could not rise, would show here."""
    task = training(n=240)
    same = task.source.samples(torch.arange(8), (40, 40), torch.Generator().manual_seed(0))
    monkeypatch.setattr(task.source, "samples", lambda i, *_: (same[0][i % 8], [same[1][int(j) % 8] for j in i]))
    pictures, task.val_objects = (same[0] * 255).round().byte(), same[1]
    task.val_pictures = Arrays(pictures, torch.arange(len(pictures)))
    config = TrainConfig(epochs=14, batch=8, device="cpu", precision="fp32", compile="no", ema=0.9)
    before = task.evaluate(task.model.eval(), init_device("cpu", "fp32"))
    scores = train(task, config, tmp_path / "run")
    assert before["mAP50"] < 0.1
    assert scores["mAP50"] > 0.3
    assert 0 <= scores["recall@20"] <= 1
    back = load(tmp_path / "run")
    assert back.card["scores"]["mAP"] == scores["mAP"]


def test_a_start_gives_its_encoder_or_all_that_fits():
    first = training()
    torch.nn.init.normal_(first.model.get_parameter("position_embedding.0.weight"))
    start = first.trained(first.model, "first")
    again = DetectTraining(Scenes(16, 40, seed=1), Scenes(4, 40), recipe(), seed=9, pretrained=start)
    assert isinstance(again.model, Detector)
    for name, value in again.model.state_dict().items():
        assert torch.equal(value, first.model.state_dict()[name]), name
    start.labels = [f"no {name}" for name in start.labels]
    renamed = DetectTraining(
        Scenes(16, 40, seed=1), Scenes(4, 40), recipe(), seed=9, pretrained=start
    ).model.state_dict()
    others = {name for name, value in renamed.items() if not torch.equal(value, first.model.state_dict()[name])}
    assert {"proposal_head.dense.weight", "heads.1.classify.weight", "label_embedding.weight"} <= others
    assert all(name.split(".")[-2] in ("dense", "query", "classify", "label_embedding") for name in others)
    encoder = tiny.task(patch=8, depth=2)
    other = DetectTraining(Scenes(16, 40, seed=1), Scenes(4, 40), recipe(), pretrained=encoder)
    assert torch.equal(other.model.get_parameter("vit.embed.project.weight"), encoder.vit.embed.project.weight)
    assert other.preprocess.mean == encoder.preprocess.mean


def test_more_queries_than_the_evaluator_counts_with_relations():
    task = training(queries=120, size=96)
    with torch.no_grad():
        scores = task.evaluate(task.model.eval(), init_device("cpu", "fp32"))
    assert 0 <= scores["recall@50"] <= 1


def test_without_denoising_every_weight_that_is_trained_has_a_gradient():
    """Processes wait for the gradients of all of them."""
    task = training(denoising_queries=0)
    batch = task.batch(torch.arange(2), torch.Generator().manual_seed(0), 0.0)
    assert batch.denoising is None
    task.loss(task.model, [batch], torch.device("cpu")).backward()
    assert [n for n, p in task.model.named_parameters() if p.requires_grad and p.grad is None] == []


def test_answers_that_are_no_numbers_stop_the_run_in_words():
    task = training()
    torch.nn.init.constant_(task.model.get_parameter("proposal_head.refine.last.bias"), torch.nan)
    batch = task.batch(torch.arange(2), torch.Generator().manual_seed(0), 0.0)
    with pytest.raises(SaccadeError, match="lower --lr"):
        task.loss(task.model, [batch], torch.device("cpu"))


def odd(**changes) -> DetectTraining:
    data = Odd(finder.LABELS)
    return DetectTraining(data, data, recipe(zoom=(1, 1), color_jitter=0, **changes))


def test_pictures_are_flipped_unless_that_is_off():
    plain, flipped = odd(hflip=False), odd()
    seeds = [torch.Generator().manual_seed(i) for i in range(6)]
    first = [plain.batch(torch.arange(1), seed, 0.0) for seed in seeds]
    assert all(torch.equal(each.pictures, first[0].pictures) for each in first)
    other = [flipped.batch(torch.arange(1), seed, 0.0).pictures for seed in seeds]
    assert any(torch.equal(each, first[0].pictures) for each in other)
    assert any(torch.equal(each, first[0].pictures.flip(-1)) for each in other)


def test_pictures_of_rare_classes_are_drawn_more_often():
    task = odd(balance=True)
    shown = task.source.classes_per_picture()
    rarest = min(set().union(*map(set, shown)), key=lambda label: sum(label in each for each in shown))
    weights = task._weights
    most = int(weights.argmax())
    assert rarest in shown[most]
    drawn = task._drawn(torch.arange(500) % 5, torch.Generator().manual_seed(0))
    assert (drawn == most).double().mean().item() == pytest.approx(float(weights[most]), abs=0.07)
    with pytest.raises(SaccadeError, match="--balance: scenes"):
        training(balance=True)


def test_untrainable_data_is_refused():
    with pytest.raises(DataError, match="the same"):
        DetectTraining(Scenes(16, 40), Odd(finder.LABELS), recipe())
    with pytest.raises(SaccadeError, match="fewer than 32"):
        training(size=48, progressive_resize=True)
    with pytest.raises(SaccadeError, match="less than one patch"):
        DetectTraining(Odd(finder.LABELS), Odd(finder.LABELS), recipe(size=7))


def test_a_validation_set_without_objects_has_no_scores():
    task = odd()
    task.val_objects = [ObjectAnnotations(o.boxes[:0], o.labels[:0], o.size) for o in task.val_objects]
    scores = task.evaluate(task.model.eval(), init_device("cpu", "fp32"))
    assert {scores[name] for name in ("mAP", "mAP50", "mAP75", "F1", "threshold")} == {None}


def test_the_threshold_of_the_best_f1_is_kept_with_the_model(tmp_path):
    task = odd()
    task.save(task.model, tmp_path / "run" / "model", {"mAP": 0.5, "F1": 0.6, "threshold": 0.37})
    assert load(tmp_path / "run").threshold == 0.37
    task.save(task.model, tmp_path / "run" / "model", {"mAP": None, "F1": None, "threshold": None})
    assert load(tmp_path / "run").threshold == 0.5


def test_pictures_that_are_not_held_train_alike(tmp_path):
    """With no memory for them, they are decoded for every batch."""
    for i in range(5):
        pixels = np.random.default_rng(i).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
        (tmp_path / f"{i}.txt").write_text("0 0.5 0.5 0.5 0.25\n")
    (tmp_path / "classes.txt").write_text("block\n")
    sets = [open_objects(tmp_path) for _ in range(2)]
    held, decoded = (DetectTraining(*sets, recipe(cache=cache)) for cache in ("1GB", 0))
    assert isinstance(held.source.pictures, Arrays)
    assert not isinstance(decoded.source.pictures, Arrays)
    a, b = (each.batch(torch.arange(4), torch.Generator().manual_seed(3), 0.0) for each in (held, decoded))
    assert torch.equal(a.pictures, b.pictures)
    assert torch.equal(a.targets.boxes, b.targets.boxes)
    assert torch.equal(held.val_pictures[[1, 3]][0], decoded.val_pictures[[1, 3]][0])
