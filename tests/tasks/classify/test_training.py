"""How a classifier is trained: what the loop is given."""

import pytest
import torch
from pydantic import ValidationError

from saccade.data import Arrays, ImageFolder
from saccade.data.cache import Streamed
from saccade.device import Device, init_device
from saccade.errors import SaccadeError
from saccade.models import PRESETS, Classifier, ViT
from saccade.tasks import ClassifyRecipe, ClassifyTask, ClassifyTraining, Task
from saccade.tasks.classify.scores import classification_scores
from saccade.train import TrainConfig, train

from .. import tiny

SMALL = {"depth": 2, "patch": 4, "grid": (4, 4), "positions": ("rotary",)}


@pytest.fixture(autouse=True)
def _tiny_preset(monkeypatch):
    monkeypatch.setitem(PRESETS, "toy", {**SMALL, "block": {"width": 16, "heads": 2, "hidden": 24}})
    big = {**SMALL, "patch": 16, "block": {"width": 16, "heads": 2, "hidden": 24}}
    monkeypatch.setitem(PRESETS, "coarse", big)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    return ImageFolder(tiny.folder(root / "train", each=8)), ImageFolder(tiny.folder(root / "val", each=3, first=50))


def recipe(**changes):
    return ClassifyRecipe(**{"model": "toy", "size": 16, "grow": False, **changes})


def batch(training, indices, progress=0.0, seed=0):
    return training.batch(torch.tensor(indices), torch.Generator().manual_seed(seed), progress)


@pytest.mark.parametrize(
    ("progress", "size"), [(0, 32), (0.599, 32), (0.6, 43), (0.899, 43), (0.9, 64), (0.999, 64), (1, 64)]
)
def test_pictures_grow(progress, size):
    assert ClassifyRecipe().size_at(progress) == size
    assert ClassifyRecipe(grow=False).size_at(progress) == 64


def test_batches(sets):
    training = ClassifyTraining(*sets, recipe())
    assert len(training) == 24
    pictures, labels = batch(training, [0, 8, 16, 23])
    assert pictures.shape == (4, 3, 16, 16)
    assert pictures.dtype == torch.float32
    torch.testing.assert_close(labels.sum(1), torch.ones(4))
    again = batch(training, [0, 8, 16, 23])
    assert torch.equal(pictures, again[0])
    assert not torch.equal(pictures, batch(training, [0, 8, 16, 23], seed=1)[0])


def test_the_last_part_is_not_mixed(sets):
    training = ClassifyTraining(*sets, recipe(mix=1.0, smoothing=0.0, calm=0.25))
    seeds = range(8)
    assert any((batch(training, [0, 8, 16], 0.7, seed)[1].max(1).values < 0.999).any() for seed in seeds)
    for seed in seeds:
        labels = batch(training, [0, 8, 16], 0.75, seed)[1]
        assert torch.equal(labels, torch.eye(3))


def test_colours_are_those_of_the_training_pictures(sets):
    training = ClassifyTraining(*sets, recipe())
    pictures = training.data[torch.arange(24)][0].double() / 255
    for channel in range(3):
        assert training.preprocess.mean[channel] == pytest.approx(pictures[:, channel].mean().item(), abs=1e-3)
        assert training.preprocess.std[channel] == pytest.approx(pictures[:, channel].std().item(), abs=1e-3)


def test_the_same_seed_begins_with_the_same_weights(sets):
    one, same, other = (ClassifyTraining(*sets, recipe(), seed).model.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[k], same[k]) for k in one)
    assert any(not torch.equal(one[k], other[k]) for k in one)


def test_loss_is_the_cross_entropy_of_soft_labels(sets):
    training = ClassifyTraining(*sets, recipe())
    torch.nn.init.normal_(training.model.head.weight)
    parts = [batch(training, [0, 9], seed=1), batch(training, [17, 3], seed=2)]
    found = training.loss(training.model, parts, torch.device("cpu"))
    logits = torch.cat([training.model(x) for x, _ in parts])
    labels = torch.cat([y for _, y in parts])
    torch.testing.assert_close(found, -(labels * logits.log_softmax(-1)).sum(1).mean())


def test_evaluation_equals_val(sets, tmp_path):
    training = ClassifyTraining(*sets, recipe(detail=16))
    torch.nn.init.normal_(training.model.head.weight)
    model = training.model.eval()
    scores = training.evaluate(model, init_device("cpu", "fp32"))
    training.save(model, tmp_path / "run" / "model", scores)
    task = ClassifyTask.open(tmp_path / "run" / "model")
    predicted, truth, _ = task.val(sets[1], init_device("cpu", "fp32"))
    assert scores["top1"] == pytest.approx((predicted.argmax(1) == truth).float().mean().item())
    assert scores["loss"] == pytest.approx(torch.nn.functional.nll_loss(predicted.log(), truth).item(), abs=1e-2)
    assert task.card["scores"] == scores
    assert ClassifyRecipe.model_validate(task.card["recipe"]) == recipe(detail=16)


def test_evaluation_is_split_among_processes(sets, monkeypatch):
    training = ClassifyTraining(*sets, recipe())
    torch.nn.init.normal_(training.model.head.weight)
    training.val = Arrays(torch.randint(256, (520, 3, 18, 18), dtype=torch.uint8), torch.arange(520) % 3)
    alone = training.evaluate(training.model.eval(), init_device("cpu", "fp32"))
    parts: list[torch.Tensor] = []
    monkeypatch.setattr(Device, "sum_over_processes", lambda device, value: parts.append(value) or value)
    for rank in range(2):
        training.evaluate(training.model, Device(torch.device("cpu"), False, rank, 2))
    predicted, truth = parts[0] + parts[2], parts[1] + parts[3]
    assert (parts[0].any(dim=1) != parts[2].any(dim=1)).all()
    assert classification_scores(predicted, truth) == pytest.approx(alone, abs=1e-6)


def test_it_learns_colours(sets, tmp_path):
    config = TrainConfig(epochs=12, batch=8, precision="fp32", compile="no", device="cpu", ema=0.8)
    scores = train(ClassifyTraining(*sets, recipe()), config, tmp_path / "colours")
    assert scores["top1"] > 0.9
    task = ClassifyTask.open(tmp_path / "colours" / "model")
    assert task.predict(tiny.picture("green", seed=99)).label == "green"


def test_start_takes_over_the_encoder(sets):
    start = tiny.task(("x", "y"), seed=5, depth=3)
    training = ClassifyTraining(*sets, recipe(), pretrained=start)
    assert isinstance(training.model, Classifier)
    assert training.model.config.classes == 3
    taken, given = training.model.vit.state_dict(), start.vit.state_dict()
    assert taken.keys() == given.keys()
    assert all(torch.equal(taken[k], given[k]) for k in given)
    assert not training.model.head.weight.any()  # no class of the same name
    with torch.no_grad():
        training.model.vit.prefix_tokens.zero_()
    assert start.vit.prefix_tokens.any()  # a copy


def test_start_from_an_encoder_without_a_class_token(sets):
    patches_only = ViT(tiny.config().vit.model_copy(update={"cls": False}))
    training = ClassifyTraining(*sets, recipe(), pretrained=Task(patches_only, tiny.task().preprocess))
    assert training.model.config.pool == "mean"
    pictures, _ = batch(training, [0, 1])
    assert training.model(pictures).shape == (2, 3)


def test_start_with_drop_path_of_the_recipe(sets):
    training = ClassifyTraining(*sets, recipe(drop_path=0.5), pretrained=tiny.task())
    assert training.model.vit.blocks[-1].mlp_branch.drop_path == 0.5


def test_a_size_below_one_patch_is_refused(sets):
    with pytest.raises(SaccadeError, match=r"8 pixels.*patch of 16.*--size"):
        ClassifyTraining(*sets, recipe(model="coarse", size=8))
    with pytest.raises(SaccadeError, match=r"3 pixels.*patch of 4.*--size"):
        ClassifyTraining(*sets, recipe(size=3), pretrained=tiny.task())


def test_pictures_are_flipped_unless_that_is_off(sets):
    plain = {"crop": "none", "mixup_prob": 0.0}
    training = ClassifyTraining(*sets, recipe(hflip=False, cache_size=16, **plain))
    stored = training.preprocess.normalize(training.data[torch.arange(8)][0])
    torch.testing.assert_close(batch(training, list(range(8)))[0], stored)
    training = ClassifyTraining(*sets, recipe(cache_size=16, **plain))
    pictures = batch(training, list(range(8)))[0]
    turned = [bool((a == b.flip(-1)).all()) for a, b in zip(pictures, stored, strict=True)]
    assert 0 < sum(turned) < 8


def test_balanced_batches_hold_rare_classes_as_often(tmp_path):
    root = tiny.folder(tmp_path / "set", each=9, classes=("blue", "green"))
    tiny.folder(root, each=1, classes=("red",))
    data = ImageFolder(root)
    training = ClassifyTraining(data, data, recipe(balance=True, mixup_prob=0.0, smoothing=0.0))
    counts = sum(batch(training, list(range(19)), seed=seed)[1].sum(dim=0) for seed in range(20))
    assert (counts / counts.sum() - 1 / 3).abs().max() < 0.06
    streamed = ClassifyTraining(data, data, recipe(balance=True, cache=0))
    assert isinstance(streamed.data, Streamed)
    assert torch.equal(streamed._weights, training._weights)


def test_classes_that_are_mirror_images_are_noted(sets):
    training = ClassifyTraining(*sets, recipe())
    assert training.notes == []
    for data in sets:
        data.classes = ["left", "right", "up"]
    try:
        assert "left and right seem to be mirror images: --no-hflip" in ClassifyTraining(*sets, recipe()).notes[0]
        assert ClassifyTraining(*sets, recipe(hflip=False)).notes == []
    finally:
        for data in sets:
            data.classes = ["blue", "green", "red"]


def test_a_frozen_encoder_stays_as_it_was(sets, tmp_path):
    start = tiny.task(seed=5)
    training = ClassifyTraining(*sets, recipe(freeze_encoder=True), pretrained=start)
    config = TrainConfig(epochs=2, batch=8, precision="fp32", compile="no", device="cpu")
    train(training, config, tmp_path / "run")
    model = ClassifyTask.open(tmp_path / "run" / "model").model
    assert all(torch.equal(a, b) for a, b in zip(model.vit.parameters(), start.vit.parameters(), strict=True))
    assert not torch.equal(model.head.weight, start.model.head.weight)
    with pytest.raises(SaccadeError, match="--freeze-encoder"):
        ClassifyTraining(*sets, recipe(freeze_encoder=True))


def test_growing_pictures_never_fall_below_one_patch(sets):
    training = ClassifyTraining(*sets, recipe(model="coarse", size=24, progressive_resize=True))
    for progress in (0.0, 0.7, 0.95):
        pictures, _ = batch(training, [0, 1], progress)
        assert pictures.shape[-1] >= 16
        assert training.model(pictures).shape == (2, 3)


def test_an_unknown_preset_is_named(sets):
    with pytest.raises(SaccadeError, match=r"no preset is called 'huge'.*small"):
        ClassifyTraining(*sets, recipe(model="huge"))


@pytest.mark.parametrize(
    ("field", "value"), [("size", 0), ("mix", 1.5), ("smoothing", 1.0), ("crop", "none at all"), ("colour", "red")]
)
def test_recipes_that_make_no_sense(field, value):
    with pytest.raises(ValidationError, match=field):
        ClassifyRecipe(**{field: value})


def test_a_run_ends_with_calibration(tmp_path):
    root = tmp_path / "sets"
    sets = ImageFolder(tiny.folder(root / "train", each=11)), ImageFolder(tiny.folder(root / "val", each=7, first=50))
    config = TrainConfig(epochs=1, batch=16, device="cpu", precision="fp32", workers=0, save_every=1)
    scores = train(ClassifyTraining(*sets, recipe()), config, tmp_path / "run")
    task = ClassifyTask.open(tmp_path / "run" / "model")
    assert task.card["scores"] == scores
    unlike = task.val(sets[1], init_device("cpu", "fp32")).ood_scores
    assert (unlike <= task.ood.threshold).float().mean().item() == pytest.approx(0.95, abs=0.05)
    before = (tmp_path / "run" / "model" / "config.json").stat().st_mtime_ns
    train(ClassifyTraining(*sets, recipe()), config, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "model" / "config.json").stat().st_mtime_ns == before  # it was calibrated already


def test_a_run_with_few_validation_pictures_says_that_it_has_no_score(sets, tmp_path, capfd):
    config = TrainConfig(epochs=1, batch=16, device="cpu", precision="fp32", workers=0)
    train(ClassifyTraining(*sets, recipe()), config, tmp_path / "run")
    said = " ".join(capfd.readouterr())
    assert "no out-of-distribution score: there are 9 held-out pictures, and at least 20 are needed" in said
    assert ClassifyTask.open(tmp_path / "run" / "model").ood is None


def test_a_worker_gets_no_sets(sets):
    training = ClassifyTraining(*sets, recipe())
    assert training.sampler().sets is None
    assert training.sets == sets
