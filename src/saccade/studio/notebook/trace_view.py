"""A trace on a grid of patches that is known, with or without its picture."""

from dataclasses import dataclass

from PIL import Image

from saccade.errors import SaccadeError
from saccade.lens import TokenMap, Trace
from saccade.studio.notebook.shown import ShownInNotebook
from saccade.studio.page.page import PageInput

PATCH = 16  # pixels of a patch where there is no picture


@dataclass(frozen=True)
class TraceView(ShownInNotebook):
    """The self-attention calls of a trace as maps over the patches of one picture.

        tokens = saccade.lens.token_map(model, x, trace[0].shape[2])
        TraceView(trace, tokens)

    tokens: where they lie: of one picture, row by row, nothing after the patches. picture: the part of it that the
    patches cover; a grey one if there is none.

    Raises SaccadeError for tokens that lie otherwise. Where no call fits them, showing it does.
    """

    trace: Trace
    tokens: TokenMap
    picture: Image.Image | None = None

    def __post_init__(self) -> None:
        if len(self.tokens) != self.tokens.prefix + self.tokens.grid[0] * self.tokens.grid[1] or self.tokens.order:
            raise SaccadeError(
                f"{self.tokens}: a page shows one picture's patches row by row, after a prefix alone; show the trace "
                "itself, which lists its calls, or choose the rows of one with TokenMap.picture"
            )

    def __str__(self) -> str:
        return str(self.trace)

    def page_input(self) -> PageInput:
        rows, columns = self.tokens.grid
        prefix = [f"token {i}" for i in range(self.tokens.prefix)]
        blank = Image.new("RGB", (PATCH * columns, PATCH * rows), "#808080")
        picture = blank if self.picture is None else self.picture
        first = 0 if prefix else rows // 2 * columns + columns // 2
        title = f"{len(self.trace)} attention call{'s' * (len(self.trace) != 1)}"
        return PageInput(picture, (rows, columns), self.trace, title=title, prefix=prefix, target=first)
