"""A look at many patches says how long it takes, is refused without memory, and reports its steps."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from saccade.cli.console import ProgressBar
from saccade.data import read_image
from saccade.errors import SaccadeError
from saccade.studio import effort
from saccade.studio.effort import approximate_duration, check_time_and_memory, count_multiply_adds
from saccade.studio.look import look
from saccade.studio.progress import report_note, report_step, reporting, track_progress

from ..tasks import tiny


class Steps:
    """Keeps what is reported."""

    def __init__(self):
        self.steps, self.notes = [], []

    def step(self, name, done=None):
        self.steps.append((name, done))

    def note(self, text):
        self.notes.append(text)


def test_operations_are_those_of_a_forward_pass():
    task = tiny.task(size=44)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        for block in task.vit.blocks:
            block(torch.randn(1, 122, 16), angles=task.vit.rotary((11, 11)))
    assert count_multiply_adds(task, 122) == pytest.approx(counter.get_total_flops() / 2, rel=0.05)


def test_few_patches_are_not_estimated(monkeypatch):
    monkeypatch.setattr(effort, "free_memory", lambda: 0.0)
    steps = Steps()
    with reporting(steps):
        check_time_and_memory(tiny.task(), (4, 5))
    assert steps.notes == []


def test_many_patches_are_announced(monkeypatch):
    monkeypatch.setattr(effort, "estimate_seconds", lambda task, tokens: 61.7)
    steps = Steps()
    with reporting(steps):
        check_time_and_memory(tiny.task(), (53, 47))
    assert steps.notes == ["53 x 47 patches: this takes about 62 seconds"]


def test_an_estimate_grows_with_the_operations():
    task = tiny.task()
    times = [effort.estimate_seconds(task, tokens) for tokens in (5003, 50021)]
    expected = count_multiply_adds(task, 50021) / count_multiply_adds(task, 5003)
    assert times[1] / times[0] == pytest.approx(expected, rel=0.9)  # measured twice
    assert min(times) > 0


def test_patches_without_memory_are_refused(monkeypatch):
    task = tiny.task()
    needed = effort.memory_needed(task, 10001)
    monkeypatch.setattr(effort, "free_memory", lambda: needed - 1)
    with pytest.raises(SaccadeError, match=r"100 x 100 patches take about 0\.4 GB of .* use --size \d+ or less"):
        check_time_and_memory(task, (100, 100))
    monkeypatch.setattr(effort, "free_memory", lambda: needed)
    check_time_and_memory(task, (100, 100))
    monkeypatch.setattr(effort, "free_memory", lambda: None)  # a system that does not say
    check_time_and_memory(task, (100, 100))


def test_the_size_that_is_proposed_fits(monkeypatch):
    task = tiny.task()
    monkeypatch.setattr(effort, "free_memory", lambda: effort.memory_needed(task, 8000))
    with pytest.raises(SaccadeError) as refused:
        check_time_and_memory(task, (100, 100))
    side = int(str(refused.value).split("--size ")[1].split()[0])
    assert 7000 < (side // 4) ** 2 <= 8000


def test_free_memory_is_that_of_the_smaller_limit(tmp_path):
    assert effort._left_in_group(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert effort._left_in_group(tmp_path) == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert effort._left_in_group(tmp_path) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "about 1 seconds"), (89, "about 89 seconds"), (301, "about 5 minutes"), (9000, "about 2.5 hours")],
)
def test_durations(seconds, words):
    assert approximate_duration(seconds) == words


def test_a_look_reports_its_steps(tmp_path):
    steps, task = Steps(), tiny.task()
    with reporting(steps):
        look(task, read_image(tiny.picture("red"))).page(tmp_path / "look.html")
    assert ("running the model", 0.5) in steps.steps
    assert ("running the model", 1.0) in steps.steps
    names = list(dict.fromkeys(name for name, _ in steps.steps))
    assert names[0] == "running the model"
    assert names[-1] == "packing queries and keys"
    assert not task.vit.blocks[0]._forward_hooks


def test_nobody_need_listen():
    report_step("alone", 0.5)
    report_note("alone")
    assert list(track_progress([1, 2], "alone")) == [1, 2]


def test_a_bar_is_silent_without_a_terminal(capsys):
    with ProgressBar() as bar:
        bar.step("running the model", 0.5)
        bar.note("this takes long")
    assert capsys.readouterr() == ("", "")
