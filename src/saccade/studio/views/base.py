"""What every view has: one image as one model sees it, for the terminal, a page and JSON."""

import io
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jaxtyping import Float
from PIL import Image
from rich.console import Console
from torch import Tensor

from saccade.data import Picture, output
from saccade.data.files import escape
from saccade.errors import SaccadeError
from saccade.language import labels_of
from saccade.lens import AttentionSummary, Trace
from saccade.studio.inputs.summary import InputSummary
from saccade.studio.notebook.shown import ShownInNotebook
from saccade.studio.page.page import PageInput, PageReport, write_page
from saccade.studio.page.targets import Targets
from saccade.studio.patches.extras import Extras
from saccade.tasks.match.unrelated_texts import UnrelatedTextComparison


@dataclass(frozen=True)
class LookOptions:
    """How to look at an image.

    size: side in pixels at which the model sees the image, instead of its own; more makes a finer grid. threshold:
    minimum score of a detected object, and of a relation, 0 to 1; None for the detector's own. top: number of
    classes that a classifier lists. texts: what the image may show, for models that match text with images; several are
    ranked. classes: names of classes to show the evidence for, besides the most likely ones. other: a second image, in
    which patches of the first are looked for. module: pattern of the names of the modules to show,
    of models in their library's own class.
    """

    size: int | None = None
    threshold: float | None = None
    top: int = 5
    texts: Sequence[str] = ()
    classes: Sequence[str] = ()
    other: Picture | None = None
    module: str = ""

    def threshold_of(self, task: Any) -> float:
        """For the objects of a detector."""
        return task.threshold if self.threshold is None else self.threshold


@dataclass(kw_only=True)
class View(ShownInNotebook):
    """One image as a model sees it, and what the model attended to.

    name: of the image's file, or what stands for it. picture: the part of the image that the model saw. pixels:
    (height, width) at which it saw it. grid: (rows, columns) of patches. prediction: None for a model without a head.
    trace: calls of one forward pass. targets: what a person can select by name, with maps over the patches; None where
    there are only patches. summary: rollout, entropy and distance of the encoder's layers, if computed. seconds:
    duration of the forward pass, in fp32. extras: features of patches, a second image, and maps of classes. seen: what
    a model knows and saw.
    """

    task: Any
    name: str
    picture: Image.Image
    pixels: tuple[int, int]
    grid: tuple[int, int]
    prediction: Any
    trace: Trace
    targets: Targets | None
    summary: AttentionSummary | None
    notes: list[str]
    seconds: float
    extras: Extras = field(default_factory=Extras)
    seen: InputSummary | None = None

    @classmethod
    @abstractmethod
    def look(cls, task: Any, picture: Picture, options: LookOptions) -> "View":
        """Run the model on an image. Raises SaccadeError for a model whose attention cannot be shown, and for an
        option that does not apply to it."""

    @abstractmethod
    def print_summary(self, console: Console) -> None:
        """Print the prediction, and where the model attends."""

    @property
    def heat(self) -> Float[Tensor, "y x"] | None:
        """A heat map of the image as a whole, if there is one."""
        return None

    @property
    def prefix(self) -> Sequence[str]:
        """Names of the tokens before the patches."""
        return []

    @property
    def target(self) -> int | Literal["mean"]:
        """The token that represents the image, or "mean" of the patches."""
        return "mean"

    @property
    def predictions(self) -> Sequence[tuple[str, float]]:
        """(label, probability) of a classification, best first."""
        return []

    @property
    def prediction_text(self) -> str:
        """A prediction in words, where the page has no other form for it."""
        return ""

    def facts(self) -> dict[str, str]:
        """About the model and its input, in the order shown on the page."""
        height, width = self.pixels
        return {
            "name": self.task.name,
            "parameters": f"{self.task.parameters / 1e6:.1f} million",
            "picture": f"{width} x {height} pixels",
            "precision": "fp32",
        }

    @property
    def click_hint(self) -> str:
        """What to click on the page."""
        return "a patch" if self.extras.other is None else "a patch of either picture"

    @property
    def text_comparison(self) -> UnrelatedTextComparison | None:
        """The ranking of several texts."""
        return None

    def page_input(self) -> PageInput:
        """What the page shows."""
        return PageInput(
            picture=self.picture,
            grid=self.grid,
            trace=self.trace if self.targets is None else self.targets.others,
            title=page_title(self.name),
            prefix=self.prefix,
            predictions=self.predictions,
            target=self.target,
            summary=self.summary,
            model=self.facts(),
            notes=self.notes,
            targets=self.targets,
            text=self.prediction_text,
            extras=self.extras,
            labels=labels_of(self.task),
            seen=self.seen,
        )

    def page(self, path: str | Path) -> PageReport:
        """Write the page."""
        return write_page(path, self.page_input())

    def save(self, path: str | Path) -> PageReport:
        """Write the page to a file, in an existing folder. Raises DataError where that is not possible."""
        path = Path(path).expanduser()
        output.check_writable(path)
        return self.page(path)

    def __str__(self) -> str:
        """A summary: the model, the prediction, where it attends, and the notes."""
        console = Console(file=io.StringIO(), width=100, force_terminal=False)
        rows, columns = self.grid
        facts = f"{self.task.parameters / 1e6:.1f} million parameters, {rows} x {columns} patches"
        console.print(f"{escape(self.task.name)}, {facts}, {self.seconds:.2f} s", markup=False, highlight=False)
        self.print_summary(console)
        for note in self.notes:
            console.print(f"note: {escape(note)}", markup=False, highlight=False)
        return console.file.getvalue().rstrip()  # type: ignore[attr-defined]

    def prediction_dict(self) -> Any:
        """The prediction for JSON."""
        return None if self.prediction is None else self.prediction.to_dict()

    def to_dict(self) -> dict[str, Any]:
        """For JSON: prediction, grid, the heat map row by row, and the scores of class maps."""
        maps = self.extras.classes
        scored = {} if maps is None else {"class_maps": [each.to_dict() for each in maps.maps]}
        return scored | {
            "model": self.task.name,
            "prediction": self.prediction_dict(),
            "grid": list(self.grid),
            "heat": None if self.heat is None else to_rows(self.heat),
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
            **({} if self.seen is None else {"input": self.seen.to_dict()}),
        }


def page_title(name: str) -> str:
    """The title of a page: the name of the image's file, without folders of any operating system."""
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def to_rows(heat: Float[Tensor, "y x"]) -> list[list[float]]:
    """A map row by row, for JSON."""
    return [[round(value, 6) for value in row] for row in heat.tolist()]


def reject_size_option(task: Any, options: LookOptions) -> None:
    """Raise SaccadeError if a size is set for a model with a processor of its own."""
    if options.size is not None:
        raise SaccadeError(f"--size is not for {task.name}: its own processor sets the size of its input")
