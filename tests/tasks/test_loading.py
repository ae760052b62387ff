"""One way to a model, whatever it is called."""

import json

import pytest
import torch

import saccade
from saccade.errors import CheckpointError
from saccade.models import Classifier, ViT
from saccade.tasks import ClassifyTask, Task, bundled, bundled_models, load

from . import tiny

PICTURE = tiny.picture("red")


@pytest.fixture
def model(tmp_path):
    tiny.task().save(tmp_path / "run" / "model")
    return tmp_path / "run" / "model"


def test_the_embedded_models():
    if not bundled():
        pytest.skip("no model is bundled in this copy of the library")
    for name in bundled():
        assert load(name).name == name
    task = saccade.load()
    assert isinstance(task, ClassifyTask)
    assert task.name == "tiny-imagenet"
    assert sum(task.predict(PICTURE, top=1000).probabilities) == pytest.approx(1, abs=1e-5)
    assert 0.4 < task.card["scores"]["top1"] <= 1


def test_a_bundled_model_goes_before_a_folder_of_its_name(tmp_path, monkeypatch):
    tiny.task(seed=1).save(tmp_path / "weights" / "small")
    tiny.task(seed=2).save(tmp_path / "here" / "small")
    monkeypatch.setattr(bundled_models, "files", lambda package: tmp_path)
    monkeypatch.chdir(tmp_path / "here")
    assert bundled() == ["small"]
    assert load("small").predict(PICTURE) == tiny.task(seed=1).predict(PICTURE)
    assert load("./small").predict(PICTURE) == tiny.task(seed=2).predict(PICTURE)
    with pytest.raises(CheckpointError, match=r"no model 'smal'.*bundled are small"):
        load("smal")


def test_a_models_folder_and_a_runs(model, monkeypatch):
    expected = tiny.task().predict(PICTURE)
    for spec in (model, str(model), model.parent, f"{model}/"):
        assert load(spec).predict(PICTURE) == expected
    assert load(model.parent).name == "run"
    monkeypatch.chdir(model.parent)
    assert load(".").predict(PICTURE) == expected
    assert load(".").name == "run"


def test_an_unknown_name_lists_what_there_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError) as error:
        load("nothing")
    for part in ("nothing", *(bundled() or ["none"]), "hf:", "timm:"):
        assert part in str(error.value)


@pytest.mark.parametrize("spec", ["", "no/such/folder", "no/such.safetensors", "weights.pt"])
def test_nothing_there(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError) as error:
        load(spec)
    assert "\n" not in str(error.value)


def test_a_pickle_is_refused(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"\x80\x04.")
    with pytest.raises(CheckpointError, match="pickle"):
        load(tmp_path / "model.pt")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(CheckpointError, match="pickle"):
        load(tmp_path / "folder")


def test_a_run_that_has_not_been_validated_yet_says_so(tmp_path):
    (tmp_path / "run" / "state").mkdir(parents=True)
    (tmp_path / "run" / ".lock").touch()
    (tmp_path / "run" / "config.json").write_text(json.dumps({"epochs": 3}))
    with pytest.raises(CheckpointError, match=r"no weights .* a training run has none before its first validation"):
        load(tmp_path / "run")


@pytest.fixture
def transformers_vit(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=1, intermediate_size=24, image_size=16, patch_size=4,
        num_labels=3, id2label={0: "blue", 1: "green", 2: "red"},
    )  # fmt: skip
    model = transformers.ViTForImageClassification(config).eval()
    model.save_pretrained(tmp_path / "hf")
    return tmp_path / "hf", model


def test_somebody_elses_folder(transformers_vit):
    folder, model = transformers_vit
    task = load(folder)
    assert isinstance(task, ClassifyTask)
    assert task.labels == ["blue", "green", "red"]
    predicted = task.predict(PICTURE)
    with torch.no_grad():
        expected = model(task.preprocess(PICTURE)[None]).logits[0].softmax(-1)
    for label, share in zip(predicted.labels, predicted.probabilities, strict=True):
        assert share == pytest.approx(expected[task.labels.index(label)].item(), abs=1e-5)


def test_somebody_elses_file_without_names(transformers_vit, tmp_path):
    (tmp_path / "alone").mkdir()
    file = (transformers_vit[0] / "model.safetensors").rename(tmp_path / "alone" / "vit.safetensors")
    task = load(file)
    assert isinstance(task, ClassifyTask)
    assert task.labels == ["class 0", "class 1", "class 2"]
    assert any("numbered" in note for note in task.notes)


def test_a_model_without_a_head_can_be_looked_into_only(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=28, patch_size=14
    )
    transformers.Dinov2Model(config).save_pretrained(tmp_path)
    task = load(tmp_path)
    assert type(task) is Task
    assert isinstance(task.model, ViT)
    assert (task.target, task.prefix) == (0, ["cls"])
    assert task.parameters == sum(p.numel() for p in task.model.parameters())


def test_which_token_speaks():
    assert tiny.task().target == 0
    assert tiny.task(registers=2).prefix == ["cls", "register 1", "register 2"]
    without = tiny.config().model_copy(update={"pool": "mean"})
    assert Task(Classifier(without), tiny.task().preprocess).target == "mean"


def test_the_embedded_detector_finds_what_is_in_scenes_it_has_not_seen():
    from saccade.data.scenes import Scenes
    from saccade.device import init_device
    from saccade.tasks.detect.scores import detection_scores, relation_scores

    task, scenes = saccade.load("scenes"), Scenes(16, 128, seed=77)
    found, truth = task.val(scenes, init_device("cpu", "fp32"))
    assert detection_scores(found, truth, task.labels)["mAP50"] > 0.9
    assert relation_scores(found, truth, task.relations)["recall@20"] > 0.85


def test_the_embedded_segmenter_knows_the_pixels_of_scenes_it_has_not_seen():
    from saccade.data.scenes import Scenes
    from saccade.data.scenes.scenes import SceneSegments
    from saccade.device import init_device
    from saccade.tasks.segment.scores import SegmentScores

    task, scenes = saccade.load("shapes"), SceneSegments(Scenes(16, 128, seed=77))
    scores = SegmentScores(task.labels)
    for i, predicted, truth in task.val(scenes, init_device("cpu", "fp32")):
        scores.add(predicted, truth, scenes.names[i])
    assert scores.result()["mIoU"] > 0.9
    assert scores.result()["boundary_F@1"] > 0.92
