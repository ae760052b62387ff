"""A task that the studio does not know: its own view if it registers one, else its attention and its result's text."""

import io
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from rich.console import Console
from torch import nn

from saccade.data.preprocess import Preprocess
from saccade.errors import SaccadeError
from saccade.models import ViT
from saccade.studio.look import look
from saccade.studio.views import LookOptions, view_of
from saccade.studio.views.encoder import EncoderView
from saccade.tasks import Task, registry
from saccade.tasks.commands import TaskCommands

from ..tasks import tiny
from .detectors import noise
from .page.test_page import content


@dataclass
class Brightness(Task):
    """Regression of the mean brightness, whose result is a number."""

    kind: ClassVar[str] = "brightness"

    def predict(self, picture):
        return float(self.preprocess(picture.image).mean())


class BrightnessView(EncoderView):
    """Names the task in the terminal."""

    click_hint = "any patch"

    def print_summary(self, console):
        console.print(f"brightness of {self.name}: {self.prediction:.3f}")


class BrightnessCommands(TaskCommands):
    view = f"{__name__}:BrightnessView"


COMMANDS = BrightnessCommands()


def brightness():
    return Brightness(ViT(tiny.config().vit), Preprocess((16, 16)), "bright")


def printed(view):
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    view.print_summary(console)
    return console.file.getvalue()


def test_without_a_view_the_text_of_the_result_and_the_attention(tmp_path):
    task = brightness()
    view = look(task, noise())
    expected = task.predict(noise())
    assert type(view) is EncoderView
    assert view.prediction == pytest.approx(expected)
    assert printed(view).startswith(str(expected))
    assert "attention through all layers (rollout): dark" in printed(view)
    assert view.to_dict()["prediction"] == str(expected)
    page = content(view.page(tmp_path / "look.html").path)
    assert page["text"] == str(expected)
    assert len(page["layers"]) == 2


def test_the_prediction_is_made_at_the_size_that_is_looked_at():
    assert look(brightness(), noise(61, 43), LookOptions(size=8)).prediction == pytest.approx(
        float(Preprocess((8, 8))(noise(61, 43).image).mean())
    )


def test_a_registered_view(monkeypatch):
    monkeypatch.setitem(registry.TASKS, "brightness", __name__)
    view = look(brightness(), noise())
    assert type(view) is BrightnessView
    assert view.click_hint == "any patch"
    assert printed(view) == f"brightness of noise.png: {view.prediction:.3f}\n"


@pytest.mark.parametrize("kind", [kind for kind in registry.TASKS if kind != "generate"])  # reads no pictures
def test_every_registered_view_exists(kind):
    class Named:
        pass

    Named.kind = kind
    assert view_of(Named()) is not EncoderView


def test_a_model_that_is_no_vit_is_refused():
    task = Task(nn.Linear(3, 1), Preprocess((16, 16)), "linear")
    with pytest.raises(SaccadeError, match=r"linear: its model is not built around a ViT at `\.vit`"):
        look(task, noise())


def test_no_gradient_is_recorded():
    assert not look(brightness(), noise()).heat.requires_grad
    assert torch.is_grad_enabled()
