"""A run on disk: whole or not there, and clear about damage."""

import hashlib
import json
import shutil

import pytest
import torch

from saccade.data.output import WriteError
from saccade.errors import CheckpointError
from saccade.train import state as state_module
from saccade.train import train
from saccade.train.optim import moving_average, optimizers
from saccade.train.state import copy_state, load_state, remove_partial_files, write_state

from .points import Net, Points, quick
from .test_loop import assert_same, lines, weights

FILES = ["weights.safetensors", "average.safetensors", "optimizer-0.safetensors", "optimizer-1.safetensors"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two epochs, with the states after both."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(Points(), quick(epochs=2), folder)
    return folder


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def parts(seed=0):
    torch.manual_seed(seed)
    model = Net()
    return {"weights": model, "average": moving_average(model, 0.9)}, optimizers(model, quick())


def a_step(modules, found):
    modules["weights"](torch.randn(5, 7)).pow(2).sum().backward()
    for optimizer in found:
        optimizer.step()
    modules["average"].update_parameters(modules["weights"])


def test_round_trip(tmp_path):
    modules, found = parts()
    a_step(modules, found)
    write_state(tmp_path, copy_state(7, modules, found, {"kept": {"top1": 0.5}}))
    others, fresh = parts(seed=1)
    state, notes = load_state(tmp_path, others, fresh)
    assert notes == []
    assert (state["step"], state["kept"]) == (7, {"top1": 0.5})
    for name in modules:
        assert_same(modules[name].state_dict(), others[name].state_dict())
    for before, after in zip(found, fresh, strict=True):
        a, b = before.state_dict(), after.state_dict()
        assert json.dumps(a["param_groups"]) == json.dumps(b["param_groups"])
        assert a["state"].keys() == b["state"].keys()
        for index in a["state"]:
            assert_same(a["state"][index], b["state"][index])


def test_two_are_kept_and_those_of_repeated_updates_are_not(tmp_path):
    modules, found = parts()
    (tmp_path / "step-000000200").mkdir()
    (tmp_path / "step-000000005 (copy)").mkdir()
    for step in (5, 10, 100):
        write_state(tmp_path, copy_state(step, modules, found, {}))
    kept = ["step-000000005 (copy)", "step-000000010", "step-000000100"]
    assert sorted(p.name for p in tmp_path.iterdir()) == kept


def test_leftovers_are_swept(tmp_path):
    state = tmp_path / "state"
    modules, found = parts()
    write_state(state, copy_state(5, modules, found, {}))
    left = "0123456789abcdef"
    for place in (state / "partial-3", state / f".step-000000010-{left}", tmp_path / f".model-{left}"):
        place.mkdir()
        (place / "weights.safetensors").write_bytes(b"cut")
    for name in ("config.json", "log.jsonl"):
        (tmp_path / f".{name}-{left}").write_bytes(b"cut")
    (tmp_path / ".git-mine").mkdir()
    remove_partial_files(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".git-mine", "state"]
    assert [p.name for p in state.iterdir()] == ["step-000000005"]


def test_only_safetensors_and_json(finished):
    files = [p for p in (finished / "state").rglob("*") if p.is_file()]
    assert files
    assert {p.suffix for p in files} == {".safetensors", ".json"}


def test_nothing_there(tmp_path):
    assert load_state(tmp_path / "none", *parts()) is None


def test_killed_while_saving_goes_on_from_the_one_before(run, finished):
    newest = run / "state" / "step-000000016"
    newest.rename(run / "state" / "partial-16")  # as if killed before it was whole
    (run / "state" / "partial-16" / "state.json").unlink()
    train(Points(), quick(epochs=2), run, resume=True)
    assert_same(weights(run), weights(finished))
    assert not list((run / "state").glob("partial-*"))
    assert [e["step"] for e in lines(run) if "epoch" in e] == [8, 16]


def test_a_step_without_its_last_file_is_not_complete(run, finished):
    (run / "state" / "step-000000016" / "state.json").unlink()
    train(Points(), quick(epochs=2), run, resume=True)
    assert_same(weights(run), weights(finished))


def damage(path, how):
    whole = path.read_bytes()
    flipped = bytes([*whole[:-3], whole[-3] ^ 1, *whole[-2:]])
    if how == "missing":
        path.unlink()
    else:
        others = {"empty": b"", "junk": b"\xff" * 64, "nested": b"[" * 100_000}
        path.write_bytes({"cut": whole[: len(whole) // 2], "a bit": flipped, **others}[how])


@pytest.mark.parametrize("file", [*FILES, "state.json", "sha256.json"])
@pytest.mark.parametrize("how", ["cut", "empty", "missing", "junk", "nested", "a bit"])
def test_a_damaged_newest_state_is_left_out_and_named(run, finished, capsys, file, how):
    damage(run / "state" / "step-000000016" / file, how)
    train(Points(), quick(epochs=2), run, resume=True)
    warnings = [line for line in (out for text in capsys.readouterr() for out in text.splitlines()) if "note:" in line]
    assert len(warnings) == 1
    assert "step-000000016 is damaged" in warnings[0]
    assert "left out" in warnings[0]
    assert_same(weights(run), weights(finished))
    assert [e["step"] for e in lines(run) if "epoch" in e] == [8, 16]
    assert load_state(run / "state", *parts())[1] == []  # and what is there now is sound


@pytest.mark.parametrize("file", [*FILES, "state.json", "sha256.json"])
def test_where_all_states_are_damaged_the_newest_is_named(run, file):
    for step in ("step-000000008", "step-000000016"):
        damage(run / "state" / step / file, "cut")
    with pytest.raises(CheckpointError, match=r"step-000000016 is damaged.*no other state is sound") as error:
        train(Points(), quick(epochs=2), run, resume=True)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "junk",
    ["", "{", "[]", "7", "null", '{"step": 16}', '{"step": 16, "optimizers": [], "kept": {}}',
     '{"step": 16, "optimizers": 5, "kept": {}}', '{"step": "x", "optimizers": [{}, {}]}', "\udcff"],
)  # fmt: skip
def test_a_state_json_that_is_none_is_named(run, junk):
    folder = run / "state" / "step-000000016"
    (folder / "state.json").write_bytes(junk.encode("utf-8", "surrogateescape"))
    sums = json.loads((folder / "sha256.json").read_text())
    sums["state.json"] = hashlib.sha256((folder / "state.json").read_bytes()).hexdigest()
    (folder / "sha256.json").write_text(json.dumps(sums))
    with pytest.raises(CheckpointError, match=r"step-000000016 cannot be resumed"):
        train(Points(), quick(epochs=2), run, resume=True)


def test_another_model_is_named(run):
    task = Points()
    task.model.head = torch.nn.Linear(11, 4)
    with pytest.raises(CheckpointError, match=r"head.*(size mismatch|shape)|(size mismatch|shape).*head") as error:
        train(task, quick(epochs=2), run, resume=True)
    assert "\n" not in str(error.value)


def test_a_full_disk_keeps_the_last_good_one(tmp_path, monkeypatch):
    modules, found = parts()
    write_state(tmp_path, copy_state(5, modules, found, {}))

    def full(tensors, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_module, "write_tensors", full)
    with pytest.raises(WriteError, match=r"step-000000010 cannot be written there \(No space left on device\)"):
        write_state(tmp_path, copy_state(10, modules, found, {}))
    assert [p.name for p in tmp_path.iterdir()] == ["step-000000005"]
    assert load_state(tmp_path, *parts())[0]["step"] == 5
