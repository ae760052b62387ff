"""Looking at a picture: prediction, heat map and grid are those of the model, the page those of the look."""

import json

import pytest
import torch
from PIL import Image

from saccade.data import Picture
from saccade.data.preprocess import Preprocess
from saccade.errors import SaccadeError
from saccade.lens import watch
from saccade.models import Classifier, ViT
from saccade.studio.look import look
from saccade.studio.sample import sample_picture
from saccade.studio.views import LookOptions
from saccade.tasks import ClassifyTask, Task

from ..tasks import tiny


def red(size=(23, 19)):
    return Picture(tiny.picture("red", size=size), "red.png", ("a note",))


def plain_rollout(task, inputs, start):
    """Abnar & Zuidema 2020 with whole maps: mean of heads, half residual, rows scaled to sum to 1."""
    with torch.no_grad(), watch(task.model.eval()) as trace:
        task.model(inputs)
    row = start.clone()
    for call in reversed(list(trace)):
        a = call.weights()[0].mean(0)
        a = (a + torch.eye(len(a))) / 2
        row = row @ (a / a.sum(-1, keepdim=True))
    return row


@pytest.mark.parametrize("registers", [0, 2])
def test_the_heat_is_the_rollout_of_the_class_token(registers):
    task = tiny.task(registers=registers)
    found = look(task, red())
    prefix = 1 + registers
    start = torch.zeros(prefix + 16)
    start[0] = 1
    expected = plain_rollout(task, task.preprocess(red().image)[None], start)
    assert found.grid == (4, 4)
    torch.testing.assert_close(found.heat, expected[prefix:].view(4, 4))
    assert found.heat.sum().item() == pytest.approx(1 - expected[:prefix].sum().item(), abs=1e-5)
    assert len(found.trace) == 2


def test_the_heat_of_a_pooled_model_is_the_mean_of_its_patches():
    torch.manual_seed(0)
    config = tiny.config().model_copy(update={"pool": "mean"})
    task = ClassifyTask(Classifier(config), Preprocess((16, 16), "crop"), "pooled", labels=list(tiny.COLOURS))
    start = torch.cat([torch.zeros(1), torch.full((16,), 1 / 16)])
    expected = plain_rollout(task, task.preprocess(red().image)[None], start)
    torch.testing.assert_close(look(task, red()).heat, expected[1:].view(4, 4))


def test_it_predicts_what_predict_does():
    task = tiny.task()
    found, said = look(task, red()), task.predict(red())
    assert found.prediction is not None
    assert found.prediction.labels == said.labels
    assert found.prediction.probabilities == pytest.approx(said.probabilities, abs=1e-6)
    assert found.prediction.name == "red.png"
    assert len(look(task, red(), LookOptions(top=2)).prediction.labels) == 2
    assert found.notes == ["a note"]


def test_without_a_head_it_says_so():
    task = Task(ViT(tiny.config().vit), Preprocess((16, 16)), "bare", ["a note of the model"])
    found = look(task, red())
    assert found.prediction is None
    assert found.notes[:2] == ["a note", "a note of the model"]
    assert "no classification head" in found.notes[2]
    assert found.to_dict()["prediction"] is None


@pytest.mark.parametrize(
    ("size", "grid", "noted"), [(4, 1, False), (16, 4, False), (17, 4, True), (39, 9, True), (40, 10, False)]
)
def test_sizes(size, grid, noted):
    found = look(tiny.task(), red((61, 47)), LookOptions(size=size))
    assert found.grid == (grid, grid)
    assert (
        any(f"size {size} is not a multiple" in note and f"{grid * 4} is used" in note for note in found.notes) == noted
    )


@pytest.mark.parametrize("size", [0, 3, -4])
def test_less_than_a_patch(size):
    with pytest.raises(SaccadeError, match=r"less than one patch of 4"):
        look(tiny.task(), red(), LookOptions(size=size))


@pytest.mark.parametrize("size", [1028, 100_000, 10**20])
def test_more_patches_than_fit_the_memory(size):
    with pytest.raises(SaccadeError, match=r"maximum of 65536: use a smaller"):
        look(tiny.task(), red(), LookOptions(size=size))


def test_more_pixels_keep_the_detail_a_model_was_trained_with():
    task = tiny.task()
    task.preprocess = Preprocess((16, 16), "crop", detail=8)
    found = look(task, red((64, 64)), LookOptions(size=32))
    with torch.no_grad():
        expected = task.model(Preprocess((32, 32), "crop", detail=8)(red((64, 64)).image)[None])[0].softmax(-1)
    assert found.prediction.probabilities[0] == pytest.approx(expected.max().item(), abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (300, 2), (5, 1200), (2000, 1500)])
@pytest.mark.parametrize("resize", ["crop", "stretch"])
def test_pictures_of_any_shape(shape, resize):
    task = tiny.task()
    task.preprocess = Preprocess((16, 20), resize)
    found = look(task, Picture(Image.new("RGB", shape, "teal")))
    assert found.grid == (4, 5)
    assert max(found.picture.size) <= 1400
    assert found.picture.width / found.picture.height == pytest.approx(20 / 16, rel=0.1)
    assert torch.isfinite(found.heat).all()


def test_the_picture_shown_is_what_the_grid_covers():
    """A white frame that a centre crop cuts away must not be on the page, nor what lies beyond the last patch."""
    picture = Image.new("RGB", (600, 300), "white")
    picture.paste(Image.new("RGB", (300, 300), "navy"), (150, 0))
    task = tiny.task()
    task.preprocess = Preprocess((18, 18), "crop")  # 4 patches of 4, and 2 pixels of 18 unseen
    shown = look(task, Picture(picture)).picture
    assert shown.width == shown.height == round(16 * 300 / 18)
    assert shown.getcolors() == [(shown.width**2, (0, 0, 128))]


def test_json():
    found = look(tiny.task(), red())
    said = json.loads(json.dumps(found.to_dict()))
    assert said["model"] == "tiny"
    assert said["grid"] == [4, 4]
    torch.testing.assert_close(torch.tensor(said["heat"]), found.heat, atol=1e-6, rtol=0)


def test_the_page(tmp_path):
    report = look(tiny.task(("</script><b>", "고양이", "c")), red()).page(tmp_path / "page.html")
    page = report.path.read_text(encoding="utf-8")
    assert report.bytes == report.path.stat().st_size
    assert report.layers == report.layers_kept == 2
    assert "</script><b>" not in page
    for part in ("고양이", "16 x 16 pixels", "4 x 4 pixels"):
        assert part in page


def test_a_model_whose_attention_cannot_be_seen():
    class Blind(ViT):
        def forward(self, picture):
            return torch.zeros(1, 17, 16)

    with pytest.raises(SaccadeError, match="empty"):
        look(Task(Blind(tiny.config().vit), Preprocess((16, 16))), red())


@pytest.mark.parametrize("head", [True, False])
def test_a_model_of_nonsense_is_refused(head):
    task = tiny.task()
    with torch.no_grad():
        task.vit.blocks[0].mlp.up.weight.fill_(torch.nan)
    if not head:
        task = Task(task.vit, task.preprocess)
    with pytest.raises(SaccadeError, match="not a number"):
        look(task, red())


def test_the_model_is_left_as_it_was():
    task = tiny.task()
    before = {k: v.clone() for k, v in task.model.state_dict().items()}
    first, second = look(task, red()), look(task, red())
    assert torch.equal(first.heat, second.heat)
    assert all(torch.equal(before[k], v) for k, v in task.model.state_dict().items())
    assert not any(module._forward_hooks for module in task.model.modules())


def test_our_own_picture_is_the_same_every_time():
    one, two = sample_picture(), sample_picture()
    assert one.size == (480, 480)
    assert one.mode == "RGB"
    assert one.tobytes() == two.tobytes()
    assert len(one.getcolors(1 << 20)) > 1000
