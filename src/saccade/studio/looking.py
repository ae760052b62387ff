"""One way to look at a picture, whatever the model: for each kind of task a function."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image
from rich.console import Console

from saccade.data import Picture
from saccade.errors import SaccadeError
from saccade.studio.look import look
from saccade.studio.page import PageReport
from saccade.studio.views.attribution import look_words
from saccade.studio.views.detect_public import look_public
from saccade.tasks import Task, load
from saccade.tasks.detect.public import PublicDetectTask
from saccade.tasks.load import load_matching
from saccade.tasks.segment.public import PublicSegmentTask


class Looked(Protocol):
    """One picture looked at.

    task: the model, with its name and its number of parameters. picture: what of it the model saw. click: what to click
    on the page. seconds: of the model's forward pass, in fp32.
    """

    task: Any
    picture: Image.Image
    notes: list[str]
    seconds: float

    @property
    def click(self) -> str: ...

    @property
    def grid(self) -> tuple[int, int]: ...

    def tell(self, console: Console) -> None:
        """Say in the terminal what there is to see."""

    def page(self, path: Path) -> PageReport:
        """Write the page."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""


@dataclass(frozen=True)
class Wish:
    """How to look. size: side in pixels instead of the model's own. threshold: the least score of an object. text: what
    the picture may show, in words."""

    size: int | None = None
    threshold: float = 0.5
    text: str | None = None


def look_at(model: str, picture: Picture, wish: Wish, device: torch.device | str) -> Looked:
    """Load a model and look at a picture with it. Raises SaccadeError for a model that cannot be looked into, and for a
    wish that it has no use for."""
    task: Any = load(model) if wish.text is None else load_matching(model)
    task.model.to(device)
    if wish.size is not None and not isinstance(task, Task):
        raise SaccadeError(f"--size is not for {model}: its own processor says at which size it sees pictures")
    if wish.text is not None:
        return look_words(task, picture, wish.text)
    return next(found for kind, found in LOOKS if isinstance(task, kind))(task, picture, wish)


def _segments(task: PublicSegmentTask, _: Picture, __: Wish) -> Looked:
    raise SaccadeError(f"{task.name}: no page is made of other libraries' segmenters; saccade.watch looks into it")


LOOKS: tuple[tuple[type, Callable[[Any, Picture, Wish], Looked]], ...] = (
    (PublicDetectTask, lambda task, picture, wish: look_public(task, picture, wish.threshold)),
    (PublicSegmentTask, _segments),
    (Task, lambda task, picture, wish: look(task, picture, wish.size, threshold=wish.threshold)),
)
