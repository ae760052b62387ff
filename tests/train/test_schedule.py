"""Runs that end by time, under a clock that only the task moves."""

import json
import os
import signal
from contextlib import nullcontext

import pytest
import torch
from pydantic import ValidationError

from saccade.device import Device
from saccade.errors import SaccadeError, UsageError
from saccade.train import Interrupted, TrainConfig, run, schedule, train
from saccade.train.schedule import EpochSchedule, TimeSchedule
from saccade.train.state import list_states

from .points import Points, Recipe, quick

ALONE = Device(torch.device("cpu"), bf16=False, rank=0, world=1)


class Clock:
    """Seconds that pass where a test says so."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    fake = Clock()
    for module in (schedule, run):
        monkeypatch.setattr(module, "time", fake)
    return fake


class Timed(Points):
    """Points whose updates and validations take time."""

    def __init__(self, clock, update=1.0, validation=0.0, samples=64):
        super().__init__(samples)
        self.clock, self.update, self.validation = clock, update, validation
        self.validated = []

    def loss(self, model, batches, device):
        self.clock.now += self.update
        return super().loss(model, batches, device)

    def evaluate(self, model, device):
        self.validated.append(self.clock.now)
        self.clock.now += self.validation
        return super().evaluate(model, device)


@pytest.fixture
def rates(monkeypatch):
    """The rate of Muon at every update."""
    found, made = [], run.optimizers

    def optimizers(*arguments):
        found.append(rates := [])
        muon, adam = made(*arguments)
        muon.register_step_pre_hook(lambda *_: rates.append(muon.param_groups[0]["lr"]))
        return [muon, adam]

    monkeypatch.setattr(run, "optimizers", optimizers)
    return found


def by_time(budget, **changes):
    return quick(epochs=None, budget=budget, **changes)


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_steps_decide_without_a_budget():
    run = EpochSchedule(per_epoch=7, epochs=120)
    assert [run.progress(step) for step in (0, 420, 840)] == [0, 0.5, 1]
    assert [step for step in range(1, 841) if run.validates(step)] == [*range(14, 841, 14)]
    assert [run.ended(839), run.ended(840)] == [False, True]
    assert list(run.upcoming(838)) == [(838, 838 / 840), (839, 839 / 840)]


@pytest.mark.parametrize(("update", "validation"), [(1.0, 0.0), (1.0, 3.0), (0.37, 11.0), (4.3, 29.0)])
def test_a_run_ends_on_time_with_its_rates_at_their_end(clock, rates, tmp_path, update, validation):
    begun = clock.now
    task = Timed(clock, update, validation)
    train(task, by_time("10m", lr=0.7), tmp_path)
    assert clock.now - begun == pytest.approx(600, rel=0.01)
    (found,) = rates
    assert max(found) == pytest.approx(0.7, rel=0.03)
    assert found[0] < 0.7 / 100
    assert found[-1] < 0.7 * 5e-4
    peak = found.index(max(found))
    assert found[:peak] == sorted(found[:peak])
    assert found[peak:] == sorted(found[peak:], reverse=True)
    made = task.progress[::8]
    assert made == sorted(made)
    assert made[0] == 0
    assert made[-1] == pytest.approx(1, abs=0.02)
    assert len(task.validated) * validation <= 0.12 * 600 + validation
    assert task.validated[-1] == pytest.approx(begun + 600 - validation, abs=3)
    assert lines(tmp_path)[-1]["step"] == len(found)
    assert len(task.validated) >= 3


def test_a_machine_twice_as_fast_takes_twice_the_steps_at_the_same_rates(clock, rates, tmp_path):
    for speed in (1, 2):
        train(Timed(clock, 1 / speed), by_time(300.0), tmp_path / str(speed))
    slow, fast = rates
    assert len(slow) == pytest.approx(300, abs=2)
    assert len(fast) == pytest.approx(600, abs=3)
    for i in range(20, 300, 31):
        assert fast[2 * i] == pytest.approx(slow[i], abs=0.02 * 0.01)


def test_reading_data_counts_and_compiling_takes_nothing_of_the_warm_up(clock, rates, tmp_path):
    task = Timed(clock)
    usual, begun = task.loss, clock.now
    clock.now += 60  # reading

    def loss(*arguments):
        clock.now += 0 if task.losses else 120  # compiling
        return usual(*arguments)

    task.loss = loss
    train(task, by_time("10m", warmup=0.1), tmp_path, begun=begun)
    assert clock.now == pytest.approx(begun + 600, abs=6)
    (found,) = rates
    assert len(found) == pytest.approx(420, abs=3)
    assert found.index(max(found)) == pytest.approx(42, abs=2)


def test_a_resumed_run_has_the_time_that_is_left(clock, rates, tmp_path):
    stopping, usual = Timed(clock, validation=2.0), Points.loss

    def loss(model, batches, device):
        clock.now += 1
        if len(stopping.losses) == 200:
            raise SaccadeError("enough")
        return usual(stopping, model, batches, device)

    stopping.loss = loss
    begun = clock.now
    with pytest.raises(SaccadeError, match="enough"):
        train(stopping, by_time("10m"), tmp_path)
    first = clock.now - begun
    clock.now += 10**6  # a night
    begun = clock.now
    task = Timed(clock, validation=2.0)
    train(task, by_time("10m"), tmp_path, resume=True)
    assert first + clock.now - begun == pytest.approx(600, rel=0.01)
    before, after = rates
    assert after[0] == pytest.approx(before[-1], rel=0.02)
    assert after[-1] < 1e-5
    assert task.progress[0] == pytest.approx(stopping.progress[-1], abs=0.01)


def test_a_finished_run_is_over_and_a_larger_budget_goes_on(clock, rates, tmp_path, capsys):
    train(Timed(clock, validation=2.0), by_time("5m"), tmp_path)
    again = Timed(clock, validation=2.0)
    assert train(again, by_time("5m"), tmp_path, resume=True)["top1"] > 0.5
    assert not again.losses
    with pytest.raises(SaccadeError, match=r"budget 300\.0, and is now given 240\.0"):
        train(Timed(clock), by_time("4m"), tmp_path, resume=True)
    begun, more = clock.now, Timed(clock, validation=2.0)
    train(more, by_time("10m"), tmp_path, resume=True)
    assert clock.now - begun == pytest.approx(300, rel=0.02)
    assert rates[-1][0] == pytest.approx(0.02 * 0.54, rel=0.05)  # half of the cosine after a warm-up of 5 %
    assert "the run has 10 min now, and had 5 min" in capsys.readouterr().out
    with pytest.raises(SaccadeError, match="is now given"):
        train(Timed(clock), quick(epochs=3), tmp_path, resume=True)


def test_a_run_is_killed_in_its_last_validation(clock, tmp_path):
    task = Timed(clock)

    def evaluate(model, device):
        clock.now += 3
        if clock.now > 1298:
            os.kill(os.getpid(), signal.SIGINT)
        return {"top1": 0.5}

    task.evaluate = evaluate
    with pytest.raises(Interrupted):
        train(task, by_time("5m"), tmp_path)
    before = len(task.losses)
    again = Timed(clock)
    train(again, by_time("5m"), tmp_path, resume=True)
    assert before > 200
    assert (len(again.losses), len(again.validated)) == (0, 1)


def test_time_that_is_over_before_the_training_begins(clock, tmp_path):
    clock.now += 90
    with pytest.raises(SaccadeError, match="--budget was over before the training began, after 2 min: give"):
        train(Timed(clock), by_time("90s"), tmp_path, begun=clock.now - 90)
    assert not list_states(tmp_path / "state")
    train(Timed(clock), by_time("90s"), tmp_path)


def test_the_clock_of_the_first_process_decides(clock, monkeypatch):
    heard = []

    def total(device, value):
        heard.append(value.tolist())
        return value + torch.tensor([0.25, 1.0])

    monkeypatch.setattr(Device, "sum_over_processes", total)
    other = TimeSchedule(100.0, Device(torch.device("cpu"), False, rank=1, world=2))
    clock.now += 70
    other.tick()
    assert heard == [[0, 0]]
    assert (other.progress(7), other.validates(7), other.ended(7)) == (0.25, True, False)


def test_a_length_is_given_once():
    with pytest.raises((UsageError, ValidationError), match="--budget ends a run by time and --epochs by passes"):
        TrainConfig(epochs=3, budget="1h")
    for bad in ("1x", "0s", -3.0):
        with pytest.raises(ValidationError, match="budget"):
            TrainConfig(budget=bad)
    fitted = TrainConfig(budget="2h30m").with_auto_defaults(1000)
    assert (fitted.budget, fitted.epochs, fitted.batch) == (9000.0, None, 120)


class Growing(Recipe):
    def size_at(self, progress):
        return 32 if progress < 0.5 else 64


@pytest.mark.parametrize(
    ("recipe", "epochs", "expected", "seconds"),
    [
        (Growing(samples=64), 25, "about 17 min on this machine, without validation", 2 * 100 + 2 * 400),
        (Recipe(samples=64), 25, "at least 7 min on this machine, without validation", 400),
        (
            Growing(samples=64),
            900,
            "about 10 h on this machine, without validation; --budget 1h ends it in time",
            36000,
        ),
        (Growing(samples=64), 1, None, None),
    ],
)
def test_the_first_steps_say_how_long_a_run_takes(clock, tmp_path, capsys, recipe, epochs, expected, seconds):
    task = Timed(clock, 2.0)
    task.recipe = recipe
    usual = task.loss

    def loss(*arguments):
        clock.now += 0 if task.losses else 50  # compiling
        if len(task.losses) == 30:
            raise SaccadeError("enough")
        return usual(*arguments)

    task.loss = loss
    with pytest.raises(SaccadeError, match="enough") if expected else nullcontext():
        train(task, quick(epochs=epochs), tmp_path)
    said = [line for line in capsys.readouterr().err.splitlines() if "on this machine" in line]
    logged = [line for line in lines(tmp_path) if "estimated_seconds" in line]
    assert [line.partition("it takes ")[2] for line in said] == ([expected] if expected else [])
    assert [(line["step"], line["estimated_seconds"]) for line in logged] == ([(5, seconds)] if expected else [])


def test_a_run_by_time_says_how_many_passes_it_makes(clock, tmp_path, capsys):
    task = Timed(clock, 2.0)
    train(task, by_time("10m"), tmp_path)
    assert "note: about 300 steps in the time of --budget: 37.5 epochs on this machine" in capsys.readouterr().err
    assert [line["estimated_steps"] for line in lines(tmp_path) if "estimated_steps" in line] == [300]
