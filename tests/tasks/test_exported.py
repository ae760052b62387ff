"""Exported models answer as PyTorch does: every task, batch and size, on every engine that is installed."""

import json
from pathlib import Path

import pytest
import torch

from saccade.data.images import read_image
from saccade.data.preprocess import Preprocess
from saccade.engines.capture import capture
from saccade.errors import CheckpointError, SaccadeError
from saccade.models.detector import Detector, DetectorConfig
from saccade.models.segmenter import Segmenter, SegmenterConfig
from saccade.tasks import ClassifyTask, load
from saccade.tasks.classify.ood import OODDetector, feature_count
from saccade.tasks.detect.task import DetectTask
from saccade.tasks.exported import ExportedTask, compare_outputs, export, exported_class
from saccade.tasks.segment.task import SegmentTask

from . import tiny

pytestmark = pytest.mark.usefixtures("unchecked")
ENGINES = [("onnx", ".onnx", "onnxruntime"), ("openvino", ".xml", "openvino")]


def classifier() -> ClassifyTask:
    task = tiny.task(depth=1)
    width = feature_count(task.vit)
    whitening = torch.randn(width, width).tril() / 4
    task.ood = OODDetector(torch.randn(width), whitening, 1.25, 0.3, (16, 16))
    return task


def detector() -> DetectTask:
    vit = tiny.config(depth=1).vit
    model = Detector(DetectorConfig(vit=vit, classes=3, queries=5, depth=1, relations=2, mask_channels=8)).eval()
    torch.nn.init.normal_(model.heads[0].classify.weight)
    labels = list(tiny.COLOURS)
    return DetectTask(model, Preprocess((16, 16), "letterbox"), "tiny", labels=labels, relations=["on", "under"])


def segmenter() -> SegmentTask:
    vit = tiny.config(depth=1).vit
    model = Segmenter(SegmenterConfig(vit=vit, classes=3, depth=1, pixel_channels=8)).eval()
    for head in (model.patch_head, model.pixel_head):  # so that the classes depend on the picture
        torch.nn.init.normal_(head.query.weight)
        torch.nn.init.zeros_(head.bias.weight)
        torch.nn.init.zeros_(head.bias.bias)
    return SegmentTask(model, Preprocess((16, 16), "crop", 17), "tiny", labels=list(tiny.COLOURS))


TASKS = {"classify": classifier, "detect": detector, "segment": segmenter}


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> dict[tuple[str, str], tuple[object, ExportedTask]]:
    return {}


@pytest.fixture(params=ENGINES, ids=[name for name, *_ in ENGINES])
def pair(request, tmp_path_factory, exported, kind) -> tuple[object, ExportedTask]:
    """A task, and the same from its file; each is exported once."""
    name, suffix, package = request.param
    pytest.importorskip("onnxscript")
    pytest.importorskip(package)
    if (kind, name) not in exported:
        torch.manual_seed(7)
        task, file = TASKS[kind](), tmp_path_factory.mktemp(name) / f"{kind}{suffix}"
        export(task, file, name)
        exported[kind, name] = task, load(file)
    return exported[kind, name]


@pytest.mark.parametrize("kind", TASKS)
def test_every_batch_and_size(pair):
    task, found = pair
    graph = type(found).graph(task).eval()
    shapes = [(1, 3, 16, 16), (2, 3, 4, 8), (17, 3, 20, 12)]
    differences = compare_outputs(graph, found.model, [(torch.randn(shape),) for shape in shapes])
    assert set(differences) == set(graph.outputs)
    assert max(differences.values()) < 1e-4


@pytest.mark.parametrize("kind", TASKS)
def test_another_size_is_refused(pair):
    _, found = pair
    for shape in [(1, 3, 18, 16), (1, 1, 16, 16), (0, 3, 16, 16), (3, 16, 16), (1, 3, 16, 1028), (1, 3, 4, 4)]:
        with pytest.raises(SaccadeError, match="height 4 to 1024 in steps of 4"):
            found.model(torch.zeros(shape))
    with pytest.raises(SaccadeError, match="inference engine"):
        _ = found.vit


@pytest.mark.parametrize("kind", TASKS)
def test_what_is_not_a_number_stays_so_and_leaves_other_pictures_alone(pair):
    task, found = pair
    pictures = torch.randn(2, 3, 16, 16)
    pictures[1, 0, 5, 3] = torch.nan
    logits = found.model(pictures)["logits"]
    assert logits[1].isnan().all()
    right = type(found).graph(task).eval()(pictures[:1])[0]
    torch.testing.assert_close(logits[:1], right, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["classify"])
def test_a_classifier_gives_the_same_answers(pair):
    task, found = pair
    pictures = [read_image(tiny.picture(colour, seed=i)) for i, colour in enumerate([*tiny.COLOURS] * 2)]
    for right, answer in zip(task.predict_all(pictures, 3, 4), found.predict_all(pictures, 3, 4), strict=True):
        assert answer.labels == right.labels
        assert found.parameters == task.parameters > 0
        assert answer.probabilities == pytest.approx(right.probabilities, abs=1e-5)
        assert answer.confidence.ood_score == pytest.approx(right.confidence.ood_score, rel=1e-4)
        assert answer.confidence.margin_threshold == 0.3
        assert answer.confidence.out_of_distribution is right.confidence.out_of_distribution


@pytest.mark.parametrize("kind", ["detect"])
def test_a_detector_gives_the_same_answers(pair):
    task, found = pair
    assert found.masks
    right, answer = (each.predict(tiny.picture("red"), 0.0) for each in (task, found))
    assert len(right.labels) > 1
    assert answer.labels == right.labels
    assert answer.relations == right.relations
    torch.testing.assert_close(answer.found.boxes, right.found.boxes, rtol=1e-4, atol=1e-4)
    assert len(right.areas) == len(right.labels)
    assert answer.areas == right.areas


@pytest.mark.parametrize("kind", ["segment"])
def test_a_segmenter_gives_the_same_answers(pair):
    task, found = pair
    picture = tiny.picture("blue", size=(41, 23))  # several tiles
    right, answer = (each.predict(picture).mask for each in (task, found))
    assert len(right.unique()) > 1
    assert (answer == right).float().mean() > 0.999


def test_an_archive_of_torch_export_answers_alike_and_is_not_read(tmp_path):
    task, file = classifier(), tmp_path / "tiny.pt2"
    written = export(task, file, "torch")
    assert max(written.differences.values()) < 1e-5
    extra = {"saccade.json": ""}
    program = torch.export.load(file, extra_files=extra).module()  # our own file of a moment ago
    pictures = torch.randn(17, 3, 20, 12)
    torch.testing.assert_close(program(pictures)[0], task.model(pictures), rtol=1e-4, atol=1e-5)
    assert json.loads(extra["saccade.json"])["labels"] == task.labels
    with pytest.raises(CheckpointError, match="unpickles"):
        load(file)


@pytest.mark.parametrize("antialias", [True, False])
def test_learned_positions_are_those_of_each_size(tmp_path, antialias):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    task = tiny.task(depth=1, positions=("learned",), antialias=antialias)
    assert max(export(task, tmp_path / "tiny.onnx", "onnx").differences.values()) < 1e-5


def test_positions_with_an_offset_are_of_one_size(tmp_path):
    task = tiny.task(depth=1, positions=("learned",), offset=0.1)
    written = export(task, tmp_path / "tiny.pt2", "torch")
    assert [str(axis) for axis in [*written.signature.axes.values()][2:]] == ["height 16", "width 16"]
    assert written.shapes == [(1, 3, 16, 16), (3, 3, 16, 16)]
    assert max(written.differences.values()) < 1e-5


def test_what_is_not_exported(tmp_path, monkeypatch):
    task = classifier()
    with pytest.raises(SaccadeError, match=r"tiny.onnx ends in .onnx; a file of torch ends in .pt2"):
        export(task, tmp_path / "tiny.onnx", "torch")
    monkeypatch.setattr("saccade.tasks.exported.TOLERANCE", -1.0)
    with pytest.raises(SaccadeError, match="answers otherwise than PyTorch"):
        export(task, tmp_path / "tiny.pt2", "torch")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["classify", "segment"])
def test_no_graph_ranks(kind):
    """Engines decide ties and rank what is not a number otherwise than PyTorch: ranking stays outside of the graph, but
    for the places where a detector's queries start."""
    task = TASKS[kind]()
    graph = exported_class(kind).graph(task).eval()
    operators = {str(node.target) for node in capture(graph, graph.signature(), graph.example()).graph.nodes}
    assert any("linear" in each for each in operators)
    assert not any(word in each for each in operators for word in ("topk", "argmax", "argmin", "sort", "aten.max.dim"))


def test_another_file_is_refused(tmp_path: Path):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    (tmp_path / "broken.onnx").write_bytes(b"\x08no")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load(tmp_path / "broken.onnx")
    info = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3, 4, 4]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "other", info[:1], info[1:])
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 20)])
    (tmp_path / "other.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match="saccade export wrote"):
        load(tmp_path / "other.onnx")
