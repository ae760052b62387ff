"""The loop: it learns, repeats itself, goes on where it stopped, and stops before anything is spoilt."""

import itertools
import json
import math
import os
import shutil
import signal
import threading
import time

import pytest
import torch
from safetensors.torch import load_file

from saccade import device as device_module
from saccade.data.digests import file_digest
from saccade.data.output import WriteError
from saccade.data.tensor_files import write_tensors
from saccade.errors import SaccadeError
from saccade.train import Interrupted, forward, train
from saccade.train import run as run_module
from saccade.train import state as state_module
from saccade.train.state import list_states, write_state

from .points import Points, Recipe, quick


def weights(folder, kind="weights"):
    newest = sorted((folder / "state").glob("step-*"))[-1]
    return load_file(newest / f"{kind}.safetensors")


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        torch.testing.assert_close(a[key], b[key], rtol=0, atol=0, msg=key)


def test_it_learns_and_says_so(tmp_path):
    task = Points()
    scores = train(task, quick(epochs=15), tmp_path / "run")
    assert sum(task.losses[-8:]) < 0.4 * sum(task.losses[:8])
    assert scores["top1"] > 0.9
    records = lines(tmp_path / "run")
    validated = [line for line in records if "val/top1" in line]
    assert [line["epoch"] for line in validated] == list(range(1, 16))
    assert max(line["val/top1"] for line in validated) == scores["top1"]
    assert [line["step"] for line in records if "loss" in line] == [20, 40, 60, 80, 100, 120]
    assert all(line["seconds"] >= 0 and math.isfinite(line.get("loss", 0)) for line in records)
    assert next((tmp_path / "run").glob("events.out.tfevents.*")).stat().st_size > 1000
    assert json.loads((tmp_path / "run" / "config.json").read_text())["epochs"] == 15


def test_the_weights_kept_are_the_best_averaged_ones(tmp_path):
    task = Points()
    given = iter([0.3, 0.7, 0.7, 0.1])
    averages = []

    def evaluate(model, device):
        averages.append({k: v.clone() for k, v in model.state_dict().items()})
        assert not model.training
        return {"top1": next(given)}

    task.evaluate = evaluate
    assert train(task, quick(epochs=4), tmp_path) == {"top1": 0.7}
    assert_same(load_file(tmp_path / "model" / "model.safetensors"), averages[2])  # of equals, the later
    assert_same({k: v for k, v in weights(tmp_path, "average").items() if k == "module.table"},
                {"module.table": averages[3]["table"]})  # fmt: skip


def scored(*values):
    """A task with these validation scores; an error is raised."""
    task, given = Points(), iter(values)

    def evaluate(model, device):
        value = next(given)
        if isinstance(value, Exception):
            raise value
        return {"top1": value, "top5": None}

    task.evaluate = evaluate
    return task


def test_a_score_that_is_undefined_is_said_and_the_newest_weights_are_kept(tmp_path, capsys):
    averages = []
    task = scored(None, math.nan, None)
    task.save = lambda model, folder, scores: averages.append(scores)
    assert train(task, quick(epochs=3), tmp_path) == {"top1": None, "top5": None}
    assert averages == [{"top1": None, "top5": None}] * 3
    assert capsys.readouterr().out.count("top1 n/a  top5 n/a") == 3
    assert [line["val/top1"] for line in lines(tmp_path) if "epoch" in line] == [None] * 3


def test_a_score_is_better_than_none(tmp_path):
    assert train(scored(None, 0.2, None, 0.1), quick(epochs=4), tmp_path)["top1"] == 0.2


def test_a_validation_that_fails_ends_no_training(tmp_path, capsys):
    broken = RuntimeError("operator nms does not exist")
    assert train(scored(broken, 0.5, broken), quick(epochs=3), tmp_path / "some") == {"top1": 0.5, "top5": None}
    assert capsys.readouterr().out.count("training goes on (RuntimeError: operator nms does not exist)") == 2
    assert train(scored(broken, broken), quick(epochs=2, patience=1), tmp_path / "none") == {}
    assert (tmp_path / "none" / "model" / "model.safetensors").is_file()
    assert train(Points(), quick(epochs=2), tmp_path / "none", resume=True) == {}


def test_it_ends_early_where_the_score_does_not_rise(tmp_path, capsys):
    values = (0.1, 0.3, 0.3, 0.2, 0.3, 0.9)
    assert train(scored(*values), quick(epochs=6, patience=3), tmp_path / "run")["top1"] == 0.3
    assert [line["epoch"] for line in lines(tmp_path / "run") if "epoch" in line] == [1, 2, 3, 4, 5]
    assert "top1 has not risen since epoch 2" in capsys.readouterr().out
    again = train(scored(1.0), quick(epochs=6, patience=3), tmp_path / "run", resume=True)
    assert again["top1"] == 0.3  # it is still over
    assert train(scored(1.0), quick(epochs=6), tmp_path / "run", resume=True)["top1"] == 1.0


@pytest.mark.parametrize("measured", [True, False])
def test_a_resumed_run_keeps_the_precision_that_was_measured(tmp_path, monkeypatch, capsys, measured):
    monkeypatch.setattr(device_module, "supports_bf16", lambda device: measured)
    train(Points(), quick(epochs=1, precision="auto"), tmp_path)
    monkeypatch.setattr(device_module, "supports_bf16", lambda device: not measured)
    capsys.readouterr()
    train(Points(), quick(epochs=2, precision="auto"), tmp_path, resume=True)
    assert f"training on cpu in {'bf16' if measured else 'fp32'}" in capsys.readouterr().out
    given = "fp32" if measured else "bf16"
    train(Points(), quick(epochs=3, precision=given), tmp_path, resume=True)
    assert f"training on cpu in {given}" in capsys.readouterr().out


def test_a_run_can_be_resumed_for_more_epochs(tmp_path, capsys):
    train(Points(), quick(epochs=2), tmp_path)
    train(Points(), quick(epochs=5), tmp_path, resume=True)
    assert [line["epoch"] for line in lines(tmp_path) if "epoch" in line] == [1, 2, 3, 4, 5]
    assert "5 epochs now, and had 2" in capsys.readouterr().out
    assert json.loads((tmp_path / "config.json").read_text())["epochs"] == 5
    with pytest.raises(SaccadeError, match="epochs 5, and is now given 3"):
        train(Points(), quick(epochs=3), tmp_path, resume=True)


def test_while_pictures_grow_the_scores_say_at_which_size_it_was_trained(tmp_path, capsys):
    class Growing(Recipe):
        def size_at(self, progress):
            return 32 if progress < 0.5 else 64

    task = Points()
    task.recipe = Growing(samples=64)
    train(task, quick(epochs=4), tmp_path)
    assert [line.get("size") for line in lines(tmp_path) if "epoch" in line] == [32, 32, None, None]
    records = [line for text in capsys.readouterr() for line in text.splitlines() if line.startswith("epoch ")]
    assert ["still trained at 32 pixels, and judged at full size" in line for line in records] == [
        True,
        True,
        False,
        False,
    ]


def test_a_run_of_many_short_epochs_is_validated_about_fifty_times(tmp_path):
    train(Points(samples=8), quick(epochs=149), tmp_path)
    assert [line["epoch"] for line in lines(tmp_path) if "epoch" in line] == [*range(3, 149, 3), 149]


def test_progress_runs_from_0_towards_1(tmp_path):
    task = Points()
    train(task, quick(epochs=2), tmp_path)
    assert task.progress == [step / 16 for step in range(16) for _ in range(8)]


@pytest.mark.parametrize("stop_at", [1, 3, 8, 11])
def test_resumed_is_as_if_never_interrupted(tmp_path, stop_at):
    straight = train(Points(), quick(epochs=2), tmp_path / "straight")

    class Stopped(Points):
        def loss(self, *given):
            if len(self.losses) + 1 == stop_at:
                signal.raise_signal(signal.SIGINT)
            return super().loss(*given)

    task = Stopped()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match=f"step {stop_at - 1};.*--resume"):
        train(task, quick(epochs=2), tmp_path / "run")
    assert signal.getsignal(signal.SIGINT) is before
    assert len(task.losses) == stop_at - 1  # the step is given up, and no other begun
    resumed = train(Points(seed=9), quick(epochs=2), tmp_path / "run", resume=True)
    assert resumed == straight
    for kind in ("weights", "average", "optimizer-0", "optimizer-1"):
        assert_same(weights(tmp_path / "run", kind), weights(tmp_path / "straight", kind))
    assert_same(*(load_file(tmp_path / run / "model" / "model.safetensors") for run in ("run", "straight")))
    scored = {
        run: [(e["step"], e["val/top1"]) for e in lines(tmp_path / run) if "epoch" in e] for run in ("run", "straight")
    }
    assert scored["run"] == scored["straight"]


def test_a_second_ctrl_c_stops_at_once(tmp_path, monkeypatch):
    class Stopped(Points):
        def loss(self, *given):
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("still running")

    def slow(folder, state):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr(run_module, "write_state", slow)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        train(Stopped(), quick(), tmp_path)
    assert time.monotonic() - began < 4


def test_a_finished_run_resumed_gives_its_scores(tmp_path):
    scores = train(Points(), quick(epochs=2), tmp_path)
    before = weights(tmp_path)
    assert train(Points(), quick(epochs=2), tmp_path, resume=True) == scores
    assert_same(weights(tmp_path), before)


@pytest.mark.parametrize("damage", ["missing", "empty"])
def test_a_finished_run_without_its_model_writes_it_again(tmp_path, damage):
    scores = train(Points(), quick(epochs=2), tmp_path)
    before = (tmp_path / "model" / "model.safetensors").read_bytes()
    shutil.rmtree(tmp_path / "model")
    if damage == "empty":
        (tmp_path / "model").mkdir()
    assert train(Points(), quick(epochs=2), tmp_path, resume=True) == scores
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == before


def test_of_an_earlier_version_it_is_validated_again(tmp_path):
    """Whose states hold no copy of the best weights."""
    task = Points()
    scores = train(task, quick(epochs=2), tmp_path)
    shutil.rmtree(tmp_path / "model")
    for place in (tmp_path / "state").iterdir():
        sums = json.loads((place / "sha256.json").read_text())
        fields = json.loads((place / "state.json").read_text())
        (place / "best.safetensors").unlink(missing_ok=True)
        sums.pop("best.safetensors", None)
        (place / "state.json").write_text(json.dumps({k: v for k, v in fields.items() if k != "validated"}))
        sums["state.json"] = file_digest(place / "state.json")
        (place / "sha256.json").write_text(json.dumps(sums))
    assert set(train(Points(), quick(epochs=2), tmp_path, resume=True)) == set(scores)
    assert_same(
        {f"module.{name}": value for name, value in load_file(tmp_path / "model" / "model.safetensors").items()},
        {name: value for name, value in weights(tmp_path, "average").items() if name != "n_averaged"},
    )


def test_the_state_is_saved_by_the_clock_and_no_step_waits_for_the_disk(tmp_path, monkeypatch):
    written, steps = [], []

    def slow(folder, state):
        time.sleep(0.2)
        written.append(state.step)
        write_state(folder, state)

    class Timed(Points):
        def loss(self, *given):
            steps.append(time.monotonic())
            time.sleep(0.01)
            return super().loss(*given)

    monkeypatch.setattr(run_module, "write_state", slow)
    train(Timed(samples=256), quick(epochs=2, save_every=0.001), tmp_path)
    assert len(written) >= 4  # of 0.64 s: one at a time, every 0.06 s at most
    assert written[-1] == 64
    assert sorted(written) == written
    pauses = [after - before for before, after in itertools.pairwise(steps)]
    assert max(pauses) < 0.19


def test_states_between_validations_are_as_good(tmp_path):
    straight = train(Points(), quick(epochs=3), tmp_path / "straight")

    class Killed(Points):
        def loss(self, *given):
            if len(self.losses) == 13:
                raise KeyboardInterrupt
            time.sleep(0.05)
            return super().loss(*given)

    with pytest.raises(KeyboardInterrupt):
        train(Killed(), quick(epochs=3, save_every=0.0001), tmp_path / "run")
    newest = list_states(tmp_path / "run" / "state")[-1].name
    assert "step-000000008" < newest <= "step-000000013"
    assert train(Points(), quick(epochs=3), tmp_path / "run", resume=True) == straight
    assert_same(weights(tmp_path / "run"), weights(tmp_path / "straight"))


def test_a_full_disk_ends_the_run_and_names_what_is_kept(tmp_path, monkeypatch):
    def full(tensors, file):
        if "step-000000024" in str(file):
            raise OSError(28, "No space left on device")
        write_tensors(tensors, file)

    monkeypatch.setattr(state_module, "write_tensors", full)
    message = r"step-000000024 cannot be written there \(No space left.*the state of step (8|16) is kept"
    with pytest.raises(WriteError, match=message):
        train(Points(), quick(epochs=3), tmp_path)
    assert {p.name for p in (tmp_path / "state").iterdir()} <= {"step-000000008", "step-000000016"}
    monkeypatch.undo()
    train(Points(), quick(epochs=3), tmp_path, resume=True)


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
def test_what_an_error_ends_is_saved_before(tmp_path, error):
    class Broken(Points):
        def loss(self, *given):
            if len(self.losses) == 11:
                raise error("a graphics card fell off the bus")
            return super().loss(*given)

    with pytest.raises(error, match="fell off"):
        train(Broken(), quick(epochs=2), tmp_path)
    assert list_states(tmp_path / "state")[-1].name == "step-000000011"


JUNK = [b"\xff\xfe\x00", b"[" * 100_000 + b"]" * 100_000, b'{"step": "x"}', b'{"step": 1e999}', b"7", b"\x00" * 99]


@pytest.mark.parametrize("junk", JUNK)
def test_a_log_that_cannot_be_read_stops_no_run(tmp_path, junk):
    train(Points(), quick(epochs=2), tmp_path)
    before = lines(tmp_path)
    (tmp_path / "log.jsonl").write_bytes((tmp_path / "log.jsonl").read_bytes() + junk + b"\n" + junk)
    train(Points(), quick(epochs=2), tmp_path, resume=True)
    assert lines(tmp_path) == before


def test_outside_the_main_thread_it_runs_without_handling_signals(tmp_path):
    result = []
    thread = threading.Thread(target=lambda: result.append(train(Points(), quick(), tmp_path)))
    thread.start()
    thread.join(60)
    assert result


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_before_the_update(tmp_path, bad):
    task = Points()
    sound = task.loss

    def spoilt(*given):
        return sound(*given) * (bad if len(task.losses) == 11 else 1.0)

    task.loss = spoilt
    with pytest.raises(SaccadeError, match=r"step 10 \(epoch 2\) is (nan|inf).*--lr"):
        train(task, quick(epochs=3), tmp_path)
    assert all(torch.isfinite(p).all() for p in task.model.parameters())
    for kind in ("weights", "average", "optimizer-0", "optimizer-1"):
        assert all(torch.isfinite(v).all() for v in weights(tmp_path, kind).values())
    assert all(torch.isfinite(v).all() for v in load_file(tmp_path / "model" / "model.safetensors").values())


def test_gradients_that_are_not_finite_do_not_reach_the_weights(tmp_path):
    task = Points()
    task.loss = lambda model, batches, device: sum((p * 0).sum().sqrt() for p in model.parameters())
    with pytest.raises(SaccadeError, match="gradient"):
        train(task, quick(), tmp_path)
    assert all(torch.isfinite(p).all() for p in task.model.parameters())


def test_same_seed_same_run_other_seed_another(tmp_path):
    runs = {name: train_once(tmp_path / name, seed) for name, seed in (("a", 3), ("b", 3), ("c", 4))}
    assert_same(runs["a"], runs["b"])
    assert any(not torch.equal(runs["a"][k], runs["c"][k]) for k in runs["a"])


def train_once(folder, seed):
    train(Points(), quick(seed=seed), folder)  # the same first weights: the order and the noise differ
    return weights(folder)


def test_deterministic_algorithms_are_asked_for_and_no_longer_after(tmp_path):
    asked = []

    class Watched(Points):
        def loss(self, *given):
            asked.append(torch.are_deterministic_algorithms_enabled())
            return super().loss(*given)

    train(Watched(), quick(deterministic=True), tmp_path / "yes")
    assert all(asked)
    assert not torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        train(Points(), quick(), tmp_path / "as the caller has it")
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("samples", "batch", "records"),
    [(16, 24, "batch of 24.*16 training samples"), (64, 12, "multiple of 8"), (5, 16, "5 training samples")],
)
def test_batches_that_cannot_be_are_refused(tmp_path, samples, batch, records):
    with pytest.raises(SaccadeError, match=records):
        train(Points(samples), quick(batch=batch), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("samples", [1, 3, 7])
def test_few_samples_are_repeated_within_a_batch(tmp_path, capsys, samples):
    task, seen = Points(samples), []
    batch = task.batch
    task.batch = lambda indices, *rest: (seen.append(indices.tolist()), batch(indices, *rest))[1]
    assert "top1" in train(task, quick(batch=None, epochs=2), tmp_path)
    steps = [[i for part in seen[start : start + 8] for i in part] for start in (0, 8)]
    for step in steps:  # each as often as any other, but for one
        counts = [step.count(i) for i in range(samples)]
        assert sum(counts) == 8
        assert max(counts) - min(counts) <= 1
    assert f"the {samples} there are: it repeats them" in capsys.readouterr().out


def test_no_samples(tmp_path):
    with pytest.raises(SaccadeError, match="no training sample"):
        train(Points(0), quick(batch=8), tmp_path / "run")


def test_samples_left_over_from_an_epoch_come_in_the_next(tmp_path):
    """19 samples in batches of 8: two steps an epoch, three samples left out, others each time."""
    task, seen = Points(19), []
    batch = task.batch
    task.batch = lambda indices, *rest: (seen.append(indices.tolist()), batch(indices, *rest))[1]
    train(task, quick(epochs=20), tmp_path)
    epochs = [[i for part in seen[e * 16 : (e + 1) * 16] for i in part] for e in range(20)]
    assert all(len(set(epoch)) == 16 for epoch in epochs)
    assert set().union(*epochs) == set(range(19))


def test_resume_without_a_run(tmp_path):
    with pytest.raises(SaccadeError, match="no complete state to resume"):
        train(Points(), quick(), tmp_path / "run", resume=True)


def test_a_model_without_a_state_is_not_replaced(tmp_path):
    train(Points(), quick(epochs=2), tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "state")
    before = {file: file.read_bytes() for file in (tmp_path / "run" / "model").iterdir()}
    with pytest.raises(SaccadeError, match="no state to resume from, and beginning anew would replace the model"):
        train(Points(), quick(epochs=2), tmp_path / "run", resume=True)
    assert {file: file.read_bytes() for file in (tmp_path / "run" / "model").iterdir()} == before


def test_where_a_model_is_there_is_a_state(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "write_state", lambda *parts: (time.sleep(0.3), write_state(*parts)))
    found = []

    class Watched(Points):
        def save(self, model, folder, scores):
            found.append(list_states(folder.parent / "state"))
            super().save(model, folder, scores)

    train(Watched(), quick(epochs=3), tmp_path / "run")
    assert found
    assert all(found)


def test_resume_refuses_other_options_by_name(tmp_path):
    train(Points(), quick(epochs=2, lr=0.01), tmp_path)
    with pytest.raises(SaccadeError, match=r"lr.*0\.01.*0\.5"):
        train(Points(), quick(epochs=2, lr=0.5), tmp_path, resume=True)
    with pytest.raises(SaccadeError, match="other pictures, classes, held-out pictures or --weights"):
        train(Points(71), quick(epochs=2, lr=0.01), tmp_path, resume=True)
    other = Points()
    other.recipe.samples = 65
    with pytest.raises(SaccadeError, match=r"samples 64.*65"):
        train(other, quick(epochs=2, lr=0.01), tmp_path, resume=True)
    train(Points(), quick(epochs=2, lr=0.01, compile="auto"), tmp_path, resume=True)  # changes no result


def test_options_that_were_changed_by_hand_are_refused(tmp_path):
    train(Points(), quick(), tmp_path)
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace('"lr": 0.02', '"lr": 0.03'))
    with pytest.raises(SaccadeError, match=r"config\.json .* changed after it was written: its sha256"):
        train(Points(), quick(lr=0.03), tmp_path, resume=True)


@pytest.mark.parametrize("junk", [None, "{", "[]", "[" * 100_000])
def test_resume_without_the_options_of_the_run(tmp_path, junk):
    train(Points(), quick(), tmp_path)
    (tmp_path / "config.json").unlink()
    if junk is not None:
        (tmp_path / "config.json").write_text(junk)
    with pytest.raises(SaccadeError, match=r"config\.json.*cannot be read"):
        train(Points(), quick(), tmp_path, resume=True)


def test_lines_beyond_the_state_resumed_from_are_dropped(tmp_path):
    class Killed(Points):
        def loss(self, *given):
            if len(self.losses) == 30:
                raise OSError("power cut")
            return super().loss(*given)

    with pytest.raises(OSError, match="power cut"):
        train(Killed(), quick(epochs=8, batch=16), tmp_path)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 47, "los')  # killed while writing
    train(Points(), quick(epochs=8, batch=16), tmp_path, resume=True)
    steps = [line["step"] for line in lines(tmp_path) if "loss" in line]
    assert steps == sorted(set(steps))


def test_a_new_run_does_not_continue_the_log_of_one_that_left_no_state(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 20, "loss": 3}\n')
    train(Points(), quick(epochs=3), tmp_path)
    assert [line["step"] for line in lines(tmp_path) if "loss" in line] == [20, 24]
    assert lines(tmp_path)[0]["step"] == 8


def test_compile_is_chosen_by_hardware_and_length(monkeypatch):
    from saccade.device import Device

    cpu, cuda = (Device(torch.device(kind), False, 0, 1) for kind in ("cpu", "cuda"))
    monkeypatch.setattr(forward.shutil, "which", lambda name: None)
    pays = forward.should_compile
    assert not pays(quick(compile="auto"), cpu, 10**6)
    assert pays(quick(compile="auto"), cuda, 10**6)
    monkeypatch.setattr(forward.shutil, "which", lambda name: "/usr/bin/" + name)
    assert pays(quick(compile="auto"), cpu, 10**6)
    assert not pays(quick(compile="auto"), cuda, 100)
    assert pays(quick(compile="yes"), cpu, 1)
    assert not pays(quick(compile="no"), cuda, 10**6)
    assert pays(quick(compile="auto", epochs=None, budget="20m"), cuda, None)
    assert not pays(quick(compile="auto", epochs=None, budget="19m"), cuda, None)


def test_a_package_that_breaks_tensorboard_ends_no_training(tmp_path, capsys, monkeypatch):
    """TensorBoard imports tensorflow where that is installed."""
    import torch.utils.tensorboard as board

    def broken(*_, **__):
        raise RuntimeError("module compiled against another ABI")

    monkeypatch.setattr(board, "SummaryWriter", broken)
    assert "top1" in train(Points(), quick(), tmp_path)
    assert "no TensorBoard files are written (RuntimeError: module compiled" in capsys.readouterr().out
    assert not list(tmp_path.glob("events.*"))
    assert lines(tmp_path)
