"""A classifier predicts the same however it is asked, is saved whole, and says what is wrong with a damaged folder."""

import json
import shutil
import threading

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from saccade.data import ImageFolder, read_image
from saccade.device import init_device
from saccade.errors import CheckpointError, DataError, SaccadeError
from saccade.tasks import ClassifyTask

from .. import tiny


@pytest.fixture(scope="module")
def task():
    return tiny.task()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return tiny.folder(tmp_path_factory.mktemp("set"))


@pytest.fixture
def saved(task, tmp_path):
    task.save(tmp_path / "tiny", scores={"top1": 0.5})
    return tmp_path / "tiny"


def test_every_kind_of_source_is_the_same_picture(task, tmp_path):
    image = tiny.picture("red")
    path = tmp_path / "red.png"
    image.save(path)
    array = np.asarray(image)
    with path.open("rb") as file:
        sources = [
            path, str(path), path.read_bytes(), image, array, torch.from_numpy(array.copy()).permute(2, 0, 1), file,
            read_image(path),
        ]  # fmt: skip
        results = [task.predict(source) for source in sources]
    assert {result.labels for result in results} == {results[0].labels}
    assert {result.probabilities for result in results} == {results[0].probabilities}
    assert results[0].name == str(path)


def test_probabilities_are_sorted_and_sum_to_1(task):
    predicted = task.predict(tiny.picture("green"))
    assert sorted(predicted.labels) == sorted(tiny.COLOURS)
    assert list(predicted.probabilities) == sorted(predicted.probabilities, reverse=True)
    assert sum(predicted.probabilities) == pytest.approx(1, abs=1e-6)
    assert predicted.label == predicted.labels[0]
    with torch.no_grad():
        plain = task.model(task.preprocess(tiny.picture("green"))[None])[0].softmax(-1)
    for label, share in zip(predicted.labels, predicted.probabilities, strict=True):
        assert share == pytest.approx(plain[task.labels.index(label)].item(), abs=1e-6)


@pytest.mark.parametrize("top", [1, 2, 3, 50])
def test_top(task, top):
    predicted = task.predict(tiny.picture("green"), top=top)
    assert len(predicted.labels) == len(predicted.probabilities) == min(top, 3)


def test_a_result_prints_and_goes_to_json(task):
    predicted = task.predict(tiny.picture("green"), top=1)
    assert str(predicted).startswith("picture: ")
    assert str(predicted).endswith("%")
    assert json.loads(json.dumps(predicted.to_dict())) == {
        "name": "picture",
        "labels": list(predicted.labels),
        "probabilities": list(predicted.probabilities),
        "notes": [],
        "margin": pytest.approx(predicted.confidence.margin, abs=1e-6),
        "unsure": False,
        "out_of_distribution": None,
        "out_of_distribution_score": None,
        "out_of_distribution_threshold": None,
    }


def test_many_pictures_come_in_order_and_as_one_by_one(task):
    images = [tiny.picture(c, seed=i, size=(16 + i, 30 - i)) for i in range(5) for c in tiny.COLOURS]
    alone = [task.predict(image) for image in images]
    for batch in (1, 4, 5, 15, 100):
        many = list(task.predict_all(images, top=5, batch=batch))
        assert [m.labels for m in many] == [a.labels for a in alone]
        for m, a in zip(many, alone, strict=True):
            assert m.probabilities == pytest.approx(a.probabilities, abs=1e-5)


def test_predicting_is_lazy_and_nothing_is_nothing(task):
    assert list(task.predict_all([])) == []
    taken = []

    def endless():
        while True:
            taken.append(0)
            yield tiny.picture("red")

    results = task.predict_all(endless(), batch=2)
    next(results)
    assert len(taken) == 2


def test_a_picture_that_cannot_be_read_is_named(task, tmp_path):
    (tmp_path / "x.jpg").write_text("not a picture")
    with pytest.raises(DataError, match=r"x\.jpg"):
        task.predict(tmp_path / "x.jpg")
    with pytest.raises(DataError, match="nowhere"):
        task.predict("nowhere.png")
    for source in (None, 3, [1, 2]):
        with pytest.raises(DataError):
            task.predict(source)


def test_a_model_of_nonsense_is_refused(task):
    broken = tiny.task()
    torch.nn.init.constant_(broken.model.head.weight, torch.inf)
    with pytest.raises(SaccadeError, match="not a number"):
        broken.predict(tiny.picture("red"))


def test_predicting_leaves_no_gradient_and_does_not_train(task):
    task.model.train()
    task.predict(tiny.picture("red"))
    assert not task.model.training
    assert all(p.grad is None for p in task.model.parameters())


def test_save_and_open_predict_the_same(task, saved):
    other = ClassifyTask.open(saved)
    assert other.predict(tiny.picture("blue")) == task.predict(tiny.picture("blue"))
    assert (other.name, other.labels, other.preprocess) == ("tiny", task.labels, task.preprocess)
    assert other.card == {"scores": {"top1": 0.5}}
    assert not other.model.training
    assert ClassifyTask.open(saved, name="mine").name == "mine"
    assert {p.name for p in saved.iterdir()} == {"config.json", "model.safetensors"}


def test_names_of_any_script_survive(tmp_path):
    labels = ("고양이", "chien à poil", "=1+1", '"<b>"')
    tiny.task(labels).save(tmp_path)
    assert tuple(ClassifyTask.open(tmp_path).labels) == labels


def test_half_precision_files_open_in_fp32(task, saved):
    tiny.without_digests(saved)
    weights = {k: v.half() for k, v in load_file(saved / "model.safetensors").items()}
    save_file(weights, saved / "model.safetensors")
    other = ClassifyTask.open(saved)
    assert {p.dtype for p in other.model.parameters()} == {torch.float32}
    predicted, before = other.predict(tiny.picture("blue")), task.predict(tiny.picture("blue"))
    assert predicted.probabilities == pytest.approx(before.probabilities, abs=0.02)


def refused(folder, *predicted):
    with pytest.raises(CheckpointError) as error:
        ClassifyTask.open(folder)
    message = str(error.value)
    assert "\n" not in message
    assert str(folder) in message
    for part in predicted:
        assert part in message, message
    assert len(message) < 700


def edit(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def test_a_missing_file_is_named(saved):
    (saved / "model.safetensors").unlink()
    refused(saved, "model.safetensors")
    (saved / "config.json").unlink()
    refused(saved, "config.json")
    shutil.rmtree(saved)
    refused(saved)


@pytest.mark.parametrize("kept", [0, 7, 8, 100, -1])
def test_truncated_weights(saved, kept):
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    refused(saved)


def test_wrong_shapes_are_named(saved):
    weights = load_file(saved / "model.safetensors")
    save_file({**weights, "head.weight": torch.zeros(3, 17)}, saved / "model.safetensors")
    refused(saved, "head.weight", "17")


def test_missing_and_unknown_weights_are_named(saved):
    weights = load_file(saved / "model.safetensors")
    weights["tail.weight"] = weights.pop("head.weight")
    save_file(weights, saved / "model.safetensors")
    refused(saved, "head.weight", "tail.weight")


@pytest.mark.parametrize("byte", [-1, -1000])
def test_a_changed_bit_of_the_weights_is_found(saved, byte):
    content = bytearray((saved / "model.safetensors").read_bytes())
    content[byte] ^= 1
    (saved / "model.safetensors").write_bytes(content)
    refused(saved, "model.safetensors is damaged")


def test_a_changed_letter_of_the_config_is_found(saved):
    text = (saved / "config.json").read_text()
    (saved / "config.json").write_text(text.replace('"green"', '"groen"'))
    refused(saved, "config.json", "changed after it was written", "sha256")
    tiny.without_digests(saved)
    assert ClassifyTask.open(saved).labels[1] == "groen"


def test_saving_replaces_the_model_and_keeps_other_files(task, saved):
    other = tiny.task(("x", "y", "z"))
    other.save(saved)
    (saved / "notes.txt").write_text("mine")
    task.save(saved)
    assert ClassifyTask.open(saved).labels == task.labels
    assert {p.name for p in saved.iterdir()} == {"config.json", "model.safetensors", "notes.txt"}
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_a_reader_never_sees_two_models_mixed(tmp_path):
    """Another thread replaces the model all the time."""
    models = [tiny.task(tuple(f"{i}{c}" for c in "abc"), seed=i) for i in range(2)]
    biases = []
    for i, model in enumerate(models):
        torch.nn.init.constant_(model.model.head.bias, i)
    models[0].save(tmp_path / "model")
    done = threading.Event()

    def write():
        while not done.is_set():
            for model in models:
                model.save(tmp_path / "model")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(30):
            found = ClassifyTask.open(tmp_path / "model")
            biases.append(found.model.head.bias[0].item())
            assert found.labels[0] == f"{int(biases[-1])}a"
    finally:
        done.set()
        writer.join()


@pytest.mark.parametrize(
    "junk", [b"", b"{", b"[]", b"7", b"null", b"\xff\xfe\x00", b"{}", b'{"model": 3}', b'{"model": {}}']
)
def test_junk_in_place_of_the_config(saved, junk):
    (saved / "config.json").write_bytes(junk)
    refused(saved)


@pytest.mark.parametrize(
    ("changes", "predicted"),
    [
        ({"labels": ["a", "b"]}, "2 labels"),
        ({"labels": ["a", "b", "c", "d"]}, "4 labels"),
        ({"labels": "abc"}, "labels"),
        ({"labels": None}, "labels"),
        ({"labels": [1, 2, 3]}, "labels"),
        ({"labels": ["a", "b", "a"]}, "different"),
        ({"labels": ["a", "b", ""]}, "printable"),
        ({"labels": ["a", "b", "c\n\x1b[31m"]}, "'c\\n\\x1b[31m'"),
        ({"preprocess": {"size": "big"}}, "size"),
        ({"preprocess": {"size": [16, 16], "interpolation": "magic"}}, "interpolation"),
        ({"preprocess": None}, ""),
        ({"card": [1]}, "card"),
        ({"model": {"vit": {}, "classes": 3}}, "vit"),
    ],
)
def test_a_config_that_does_not_fit_says_where(saved, changes, predicted):
    edit(saved, **changes)
    refused(saved, predicted)


def test_a_model_with_other_options_is_named(saved):
    model = json.loads((saved / "config.json").read_text())["model"]
    edit(saved, model={**model, "classes": 4}, labels=["a", "b", "c", "d"])
    refused(saved, "head.weight")
    edit(saved, model={**model, "colour": "red"})
    refused(saved, "colour")


def test_val_is_predict_one_by_one(task, pictures):
    data = ImageFolder(pictures)
    for batch in (5, 250):
        predicted, truth, _ = task.val(data, init_device("cpu", "fp32"), batch=batch)
        assert truth.tolist() == [0] * 4 + [1] * 4 + [2] * 4
        for row, name in zip(predicted, data.names, strict=True):
            alone = task.predict(pictures / name)
            assert row.sort(descending=True).values.tolist() == pytest.approx(alone.probabilities, abs=1e-5)
            assert task.labels[int(row.argmax())] == alone.label


def test_val_in_bf16_is_close(task, pictures):
    predicted = [task.val(ImageFolder(pictures), init_device("cpu", precision))[0] for precision in ("fp32", "bf16")]
    assert predicted[1].dtype == torch.float32
    assert not torch.equal(*predicted)
    torch.testing.assert_close(*predicted, atol=0.05, rtol=0)


def test_val_skips_and_counts_or_fails(task, tmp_path):
    tiny.folder(tmp_path / "set", each=3)
    (tmp_path / "set" / "green" / "1.png").write_bytes(b"junk")
    data = ImageFolder(tmp_path / "set", on_error="skip")
    predicted, truth, _ = task.val(data, init_device("cpu", "fp32"), batch=2)
    assert truth.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert len(predicted) == 8
    assert list(data.skipped) == ["green/1.png"]
    with pytest.raises(DataError, match=r"green/1\.png"):
        task.val(ImageFolder(tmp_path / "set", on_error="fail"), init_device("cpu", "fp32"))


def test_val_of_nothing_readable(task, tmp_path):
    for kind in tiny.COLOURS:
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "x.png").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"no picture .* could be read"):
        task.val(ImageFolder(tmp_path, on_error="skip"), init_device("cpu", "fp32"))


def test_other_classes_are_named(pictures):
    data = ImageFolder(pictures)
    with pytest.raises(DataError, match=r"lacks yellow.*adds red"):
        tiny.task(("blue", "green", "yellow")).val(data, init_device("cpu", "fp32"))
    many = [f"c{i:03}" for i in range(40)]
    with pytest.raises(DataError, match="lacks c039 and adds d"):
        tiny.task(tuple(many)).val(_Named([*many[:-1], "d"]), init_device("cpu", "fp32"))
    with pytest.raises(DataError, match="order"):
        tiny.task(("red", "green", "blue")).val(data, init_device("cpu", "fp32"))


class _Named:
    """A data set of which only the classes matter."""

    def __init__(self, classes):
        self.classes = classes
        self.title = "set"

    def __len__(self):
        return 0
