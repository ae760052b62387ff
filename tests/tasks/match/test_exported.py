"""An exported matcher ranks texts and finds pictures as the matcher does, on every engine that is installed."""

from pathlib import Path

import pytest
import torch

from saccade.data.images import read_image
from saccade.errors import CheckpointError, SaccadeError
from saccade.tasks import load
from saccade.tasks.exported import compare_outputs, export, part_file
from saccade.tasks.match.exported import ExportedMatchTask
from saccade.tasks.match.index import default_index_file, fingerprint
from saccade.tasks.match.index_updater import IndexUpdater
from saccade.tasks.match.search import search
from saccade.tasks.match.task import MatchTask
from saccade.tasks.public_loading import load_match_task

from .. import tiny
from . import matchers

pytestmark = pytest.mark.usefixtures("unchecked")
TEXTS = ["red", "a blue ring, left of a very large red star", "초록색 삼각형", "a green one"]


@pytest.fixture(scope="module")
def exported() -> dict[str, tuple[MatchTask, Path]]:
    return {}


@pytest.fixture(params=[("onnx", ".onnx", "onnxruntime"), ("openvino", ".xml", "openvino")], ids=["onnx", "openvino"])
def pair(request, tmp_path_factory, exported):
    """A matcher, its file, and the same from the file; each is exported once."""
    name, suffix, package = request.param
    pytest.importorskip("onnxscript")
    pytest.importorskip(package)
    if name not in exported:
        task, file = matchers.task(), tmp_path_factory.mktemp(name) / f"words{suffix}"
        files = [each for each in export(task, file, name).files if each.suffix == suffix]
        assert files == [file, part_file(file, "texts"), part_file(file, "head")]
        exported[name] = task, file
    task, file = exported[name]
    return task, file, load(file)


def test_ranked_as_by_pytorch(pair):
    task, _, found = pair
    pictures = [read_image(tiny.picture(colour, seed=i)) for i, colour in enumerate([*tiny.COLOURS] * 2)]
    for texts in (TEXTS[:1], TEXTS, TEXTS[2:]):
        for right, answer in zip(task.predict_all(pictures, texts, 4), found.predict_all(pictures, texts), strict=True):
            assert answer.texts == right.texts
            assert answer.scores == pytest.approx(right.scores, abs=1e-5)
            assert answer.similarities == pytest.approx(right.similarities, abs=1e-5)
    assert found.parameters == task.parameters > 0


def test_found_as_by_pytorch(pair, tmp_path):
    task, file, found = pair
    folder = tiny.folder(tmp_path / "pictures", each=3)
    files = sorted(folder.rglob("*.png"))
    hits = [
        search(each, IndexUpdater(each, tmp_path / f"{i}.safetensors", folder).run(files), folder, TEXTS[1], 5)
        for i, each in enumerate((task, load_match_task(file)))
    ]
    assert [hit.path for hit in hits[1]] == [hit.path for hit in hits[0]]
    assert [hit.score for hit in hits[1]] == pytest.approx([hit.score for hit in hits[0]], abs=1e-5)
    assert fingerprint(found) == fingerprint(task) != fingerprint(matchers.task(seed=1))
    assert default_index_file(str(file), folder) != default_index_file("words", folder)


def test_any_number_of_texts_words_and_patches(pair):
    task, _, found = pair
    generator = torch.Generator().manual_seed(3)
    parts = {"texts": found.model.texts, "head": found.model.head}
    for part, network in parts.items():
        graph = ExportedMatchTask.parts[part](task).eval()
        cases = (
            [graph._words(*sizes, generator) for sizes in ((1, 1), (17, 5), (1, 64), (3, 2))]
            if part == "texts"
            else [graph._pairs(*sizes, generator) for sizes in ((1, 2, 1), (17, 16, 5), (1, 35, 64), (2, 7, 3))]
        )
        assert max(compare_outputs(graph, network, cases).values()) < 1e-4


def test_sizes_that_are_refused(pair):
    _, _, found = pair
    with pytest.raises(SaccadeError, match="pairs 1 to 4096, patches 2 to 65536"):
        found.model.head(torch.zeros(1, 1, 20), torch.zeros(1, 3, 12), torch.ones(1, 3, dtype=torch.bool))
    with pytest.raises(SaccadeError, match="inference engine"):
        _ = found.vit


def test_files_of_two_exports_are_refused(pair, tmp_path):
    _, file, _ = pair
    for each in file.parent.iterdir():
        (tmp_path / each.name).write_bytes(each.read_bytes())
    copy = tmp_path / file.name
    texts = part_file(copy, "texts")
    for suffix in {file.suffix, ".bin"}:
        if (source := part_file(file, "head").with_suffix(suffix)).is_file():
            texts.with_suffix(suffix).write_bytes(source.read_bytes())
    with pytest.raises(CheckpointError, match=f"{texts.name} is not of the export"):
        load(copy)
    texts.unlink()
    with pytest.raises(CheckpointError, match=f"{texts.name} is missing"):
        load(copy)


def test_another_exported_model_matches_no_texts(tmp_path):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    export(tiny.task(depth=1), tmp_path / "tiny.onnx", "onnx")
    with pytest.raises(CheckpointError, match="does not match texts with pictures"):
        load_match_task(tmp_path / "tiny.onnx")
