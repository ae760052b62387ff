"""How a segmenter is trained: what the loop is given, and that it learns."""

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data.images import Picture
from saccade.data.scenes import Scenes
from saccade.data.scenes.scenes import SceneSegments
from saccade.data.segments import IGNORE_INDEX
from saccade.device import init_device
from saccade.errors import DataError, SaccadeError
from saccade.models import PRESETS
from saccade.tasks import SegmentRecipe, SegmentTask, SegmentTraining, load
from saccade.train import TrainConfig, train
from saccade.train.forward import ForwardBackwardPass

from .. import finder


@pytest.fixture(autouse=True)
def _toy(monkeypatch):
    monkeypatch.setitem(PRESETS, "toy", finder.TOY)


class Halves:
    """Pictures of 47 x 31 pixels whose colour says the class; a corner of each is of no class."""

    def __init__(self, n: int = 16, classes: tuple[str, ...] = ("dark", "light"), on_error: str = "skip"):
        self.title, self.classes, self.on_error = "halves", list(classes), on_error
        self.skipped: dict[str, str] = {}
        self.notes: list[str] = []
        self.names = [f"{i}.png" for i in range(n)]

    def __len__(self) -> int:
        return len(self.names)

    def mask(self, index: int) -> torch.Tensor:
        mask = torch.zeros(31, 47, dtype=torch.uint8)
        mask[:, 5 + 2 * index :] = 1
        mask[:3, :4] = IGNORE_INDEX
        return mask

    def picture(self, index: int) -> Picture:
        grey = np.where(self.mask(index).numpy() == 1, 200, 40).astype(np.uint8)
        return Picture(Image.fromarray(np.stack([grey] * 3, axis=-1)), self.names[index])


def recipe(**changes) -> SegmentRecipe:
    return SegmentRecipe(
        **{"model": "toy", "size": 40, "crop": None, "decoder_depth": 1, "pixel_channels": 8, **changes}
    )


def scenes(n: int = 16, size: int = 40, **changes) -> SegmentTraining:
    drawn = (SceneSegments(Scenes(n, size, seed=seed)) for seed in (1, 0))
    return SegmentTraining(*drawn, recipe(size=size, **changes))


def test_batches_follow_from_the_generator():
    task = scenes()
    a, b = (task.batch(torch.arange(3), torch.Generator().manual_seed(5), 0.0) for _ in range(2))
    assert a.pictures.shape == (3, 3, 40, 40)
    assert a.masks.shape == (3, 40, 40)
    assert torch.equal(a.pictures, b.pictures)
    assert torch.equal(a.masks, b.masks)
    assert a.pictures.mean().abs() < 1  # normalised
    assert 1 < len(a.masks.unique()) <= 11


def test_pictures_grow_in_whole_patches():
    task = scenes(size=88, progressive_resize=True)
    sides = [task.batch(torch.arange(1), torch.Generator(), at).pictures.shape[-1] for at in (0.0, 0.6, 0.8)]
    assert sides == [40, 64, 88]  # of 44, 66 and 88 pixels what patches of 8 cover


def test_a_window_of_larger_pictures_of_their_middle_proportion():
    task = SegmentTraining(Halves(), Halves(), recipe(size=94, crop=32))
    assert task.preprocess.shortest == 62  # 94 x 62, as 47 x 31 are
    assert task.preprocess.size == (32, 32)
    batch = task.batch(torch.arange(8), torch.Generator().manual_seed(0), 0.0)
    assert batch.pictures.shape == (8, 3, 32, 32)
    light = batch.pictures[:, 0] > 0.2
    sure = batch.masks != IGNORE_INDEX
    agree = (light == (batch.masks == 1))[sure].float().mean()
    assert agree > 0.9  # the rest is blurred by the zoom


def test_half_size_shows_as_much_of_a_picture_as_the_whole():
    task = SegmentTraining(
        Halves(), Halves(), recipe(size=80, crop=64, progressive_resize=True, zoom=(1.0, 1.0), hflip=False)
    )
    small, large = (
        task.batch(torch.arange(8), torch.Generator().manual_seed(0), at).masks.ne(IGNORE_INDEX).float().mean().item()
        for at in (0.0, 0.9)
    )
    assert small == pytest.approx(large, abs=0.1)


def test_the_input_covers_the_whole_picture():
    task = SegmentTraining(Halves(), Halves(), recipe(size=47))
    assert task.preprocess.size == (32, 48)  # 31 x 47 in patches of 8, rounded up
    assert task.preprocess.shortest == 31


def test_it_learns_and_the_saved_model_predicts_the_same(tmp_path):
    task = SegmentTraining(Halves(), Halves(), recipe(size=47, colour=0.0, zoom=(1.0, 1.0)))
    config = TrainConfig(epochs=12, batch=8, precision="fp32", compile="no", device="cpu")
    scores = train(task, config, tmp_path / "run")
    assert scores["mIoU"] > 0.9
    kept = load(tmp_path / "run")
    assert isinstance(kept, SegmentTask)
    assert kept.labels == ["dark", "light"]
    assert kept.card["data"] == "halves"
    place = init_device("cpu", "fp32")
    assert task.evaluate(kept.model, place)["mIoU"] == pytest.approx(scores["mIoU"])
    for i, predicted, truth in kept.val(Halves(2), place):
        known = truth != IGNORE_INDEX
        assert predicted.shape == (31, 47)
        assert (predicted == truth)[known].float().mean() > 0.9, i


def test_several_parts_of_a_batch_count_alike():
    """So that one process with all parts and several with one each compute the same."""
    task, place = scenes(), torch.device("cpu")
    parts = [task.batch(torch.arange(n), torch.Generator().manual_seed(n), 0.0) for n in (1, 3, 2)]
    each = [task.loss(task.model, [part], place).item() for part in parts]
    assert task.loss(task.model, parts, place).item() == pytest.approx(sum(each) / 3, rel=1e-5)


def test_a_step_in_parts_has_the_gradient_of_the_whole(monkeypatch):
    """Parts are equal, of whole batches, and hold no more pixels than they may."""
    task, cpu = scenes(), torch.device("cpu")
    batches = [task.batch(torch.arange(3) + k, torch.Generator().manual_seed(k), 0.0) for k in range(6)]
    assert task.parts(batches, cpu) == [batches]
    monkeypatch.setattr("saccade.tasks.training.PART_PIXELS", 2 * 3 * 40 * 40)
    assert [len(part) for part in task.parts(batches, cpu)] == [2, 2, 2]
    assert [len(part) for part in task.parts(batches[:5], cpu)] == [1] * 5
    assert task.parts(batches, torch.device("meta")) == [batches]
    found = []
    for pixels in (1, 2 * 3 * 40 * 40, 2**19):
        monkeypatch.setattr("saccade.tasks.training.PART_PIXELS", pixels)
        task.model.zero_grad()
        device, config = init_device("cpu", "fp32"), TrainConfig(compile="no")
        loss = ForwardBackwardPass(task, task.model, config, device, 1, lambda *notes: None)(batches, 0)
        found.append((loss, *(p.grad for p in task.model.parameters() if p.grad is not None)))
    assert len(found[0]) > 10
    torch.testing.assert_close(found[0], found[2], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found[1], found[2], rtol=1e-4, atol=1e-6)


def test_scenes_are_seen_whole_and_never_smaller_than_they_can_be():
    task = SegmentTraining(SceneSegments(Scenes(8, 48)), SceneSegments(Scenes(2, 48)), recipe(size=48, crop=24))
    assert task.preprocess.size == (48, 48)
    with pytest.raises(SaccadeError, match="48 pixels with --progressive-resize begins with scenes of fewer than 32"):
        scenes(size=48, progressive_resize=True)


def test_classes_of_other_names_are_not_taken_over():
    first = SegmentTraining(Halves(), Halves(), recipe())
    for classes, kept in ((("dark", "light"), True), (("sea", "fire"), False), (("light", "dark"), False)):
        start = first.trained(first.model, "first")
        task = SegmentTraining(Halves(classes=classes), Halves(classes=classes), recipe(), 1, start)
        assert torch.equal(task.model.class_tokens, first.model.class_tokens) == kept
        assert torch.equal(task.model.pixel_head.query.weight, first.model.pixel_head.query.weight)


def test_pictures_that_cannot_be_read_are_known_before_training():
    class Broken(Halves):
        def picture(self, index):
            if index == 1:
                raise DataError("1.png is damaged")
            return super().picture(index)

    task = SegmentTraining(Halves(), Broken(4), recipe())
    assert task.about["validation pictures"] == 3
    assert task.val.skipped == {"1.png": "1.png is damaged"}
    with pytest.raises(DataError, match="damaged"):
        SegmentTraining(Halves(), Broken(4, on_error="fail"), recipe())


def test_nothing_to_learn_from_and_nothing_to_choose_by():
    class Void(Halves):
        def mask(self, index):
            return super().mask(index).fill_(IGNORE_INDEX)

    class Gone(Halves):
        def mask(self, index):
            raise DataError("its mask is gone")

    with pytest.raises(DataError, match="every pixel of halves is ignored"):
        SegmentTraining(Void(), Halves(), recipe())
    with pytest.raises(DataError, match="the validation set could be read: its mask is gone"):
        SegmentTraining(Halves(), Gone(), recipe())


def test_damaged_weights_are_noticed():
    task = scenes()
    torch.nn.init.constant_(task.model.class_tokens, float("nan"))
    with pytest.raises(SaccadeError, match="not a number"):
        task.trained(task.model, "x").predict(Halves().picture(0).image)


def test_data_of_other_classes_is_not_scored():
    task = scenes()
    kept = task.trained(task.model, "shapes")
    with pytest.raises(DataError, match="the classes of halves are not those of the model shapes"):
        list(kept.val(Halves(), init_device("cpu", "fp32")))


def test_the_start_gives_its_encoder(tmp_path):
    first = scenes()
    first.save(first.model, tmp_path / "run" / "model", {})
    second = scenes(n=9)
    third = SegmentTraining(
        SceneSegments(Scenes(9, 40, seed=1)), SceneSegments(Scenes(4, 40, seed=0)), recipe(), 1, load(tmp_path / "run")
    )
    assert torch.equal(third.model.vit.embed.project.weight, first.model.vit.embed.project.weight)
    assert third.preprocess.mean == first.preprocess.mean
    assert len({first.identity, second.identity, third.identity}) == 3


def test_pictures_of_rare_classes_are_drawn_more_often():
    data = Halves()
    data.mask = lambda i: torch.full((31, 47), int(i == 3), dtype=torch.uint8)
    training = SegmentTraining(data, data, recipe(balance=True, hflip=False))
    assert training.source.classes_per_picture() == [[int(i == 3)] for i in range(16)]
    assert training._weights[3] == pytest.approx(0.5)
    with pytest.raises(SaccadeError, match="--balance: scenes"):
        scenes(balance=True)


def test_sets_of_other_classes_are_refused():
    with pytest.raises(DataError, match="the classes of halves are not those of halves"):
        SegmentTraining(Halves(), Halves(classes=("a", "b")), recipe())


def test_masks_that_are_ignored_everywhere_have_no_scores():
    data = Halves()
    nothing = Halves(4)
    nothing.mask = lambda i: torch.full((31, 47), IGNORE_INDEX, dtype=torch.uint8)
    task = SegmentTraining(data, nothing, recipe())
    scores = task.evaluate(task.model.eval(), init_device("cpu", "fp32"))
    assert scores["mIoU"] is scores["pixel_accuracy"] is scores["boundary_F@1"] is None
