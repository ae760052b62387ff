"""The words that a model wrote about pictures, and where it looked for each: for a page, a terminal and JSON."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from torch import Tensor

from saccade.data import Picture
from saccade.errors import SaccadeError, printable
from saccade.lens import Trace
from saccade.studio.page.page import data_url
from saccade.studio.page.queries import QueryLayer, rounded
from saccade.studio.page.targets import Targets
from saccade.studio.progress import report_step
from saccade.studio.terminal import draw_heat
from saccade.studio.views.base import LookOptions, View
from saccade.tasks.ask.answer import Answer, LayerAttention
from saccade.tasks.ask.task import PublicAskTask

MEAN = "mean of all layers and heads"


@dataclass(frozen=True, kw_only=True)
class AnswerWords(Targets):
    """The words of an answer and the pieces that they are made of, with maps over all pictures.

    layers: the mean of all layers first, then each.
    """

    kind = "answer"

    layers: list[LayerAttention]
    answer: Answer

    @classmethod
    def of(cls, answer: Answer) -> "AnswerWords":
        mean = LayerAttention(
            MEAN, answer.mean_attention()[None], answer.attention_shares()[None], answer.layers[-1].tokens
        )
        grid = answer.pictures[0].grid
        return cls(layers=[mean, *answer.layers], answer=answer, others=Trace([]), grid=grid, notes=[])

    def __len__(self) -> int:
        return len(self.answer.pieces)

    @property
    def names(self) -> list[str]:
        return [word.text for word in self.answer.words]

    def first_targets(self, n: int) -> "AnswerWords":
        return replace(
            self, layers=[layer.first_tokens(n) for layer in self.layers], answer=self.answer.first_tokens(n)
        )

    def truncation_note(self, n: int) -> str:
        return f"the page shows the first {n} tokens of the answer, to stay small"

    def packed_size(self) -> int:
        return sum(len(_maps(layer).packed()[0]) for layer in self.layers)

    def content(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        layers, data = [], {}
        for i, layer in enumerate(self.layers):
            data[str(i)], largest = _maps(layer).packed()
            heads, facts = layer.weights.shape[0] if i else 0, {"name": layer.name, "tokens": layer.tokens}
            layers.append({**facts, "heads": heads, "largest": largest, "shares": rounded(layer.shares)})
        return {
            "kind": self.kind,
            "names": self.names,
            "count": len(self),
            "layers": layers,
            "pieces": [piece.strip() or "␣" for piece in self.answer.pieces],
            "words": [word.pieces for word in self.answer.words],
            "question": self.answer.question,
            "answer": self.answer.text,
            "located": self.answer.located,
            "pictures": [
                {
                    "src": data_url(one.image),
                    "width": one.image.width,
                    "height": one.image.height,
                    "grid": list(one.grid),
                    "source": one.source,
                    "part": one.part,
                }
                for one in self.answer.pictures
            ],
        }, data


def _maps(layer: LayerAttention) -> QueryLayer:
    return QueryLayer(layer.name, layer.weights, None, layer.tokens)


@dataclass(kw_only=True)
class AnswerView(View):
    """An answer of a model that writes about one or more pictures."""

    task: PublicAskTask
    prediction: Answer

    @classmethod
    def look(cls, task: PublicAskTask, picture: Picture, options: LookOptions) -> "AnswerView":
        """Raises SaccadeError: a question is needed."""
        raise SaccadeError(f'{task.name} writes about pictures: ask it, with --ask "What is in the picture?"')

    @classmethod
    def ask(cls, task: PublicAskTask, pictures: Sequence[Picture], question: str) -> "AnswerView":
        """A question about all of the pictures together. Raises SaccadeError as `PublicAskTask.ask` does."""
        started = time.perf_counter()
        images = [picture.image for picture in pictures]
        answer = task.ask(images, question, progress=lambda done: report_step("writing the answer", done))
        seconds = time.perf_counter() - started
        shown = answer.pictures[0]
        notes = [note for picture in pictures for note in picture.notes]
        return cls(
            task=task,
            name=pictures[0].name,
            picture=shown.image,
            pixels=shown.pixels,
            grid=shown.grid,
            prediction=answer,
            trace=Trace([]),
            targets=AnswerWords.of(answer),
            summary=None,
            notes=[*notes, *task.notes, *answer.notes],
            seconds=seconds,
        )

    @property
    def heat(self) -> Float[Tensor, "y x"]:
        """Over the first picture: the mean of all words, layers and heads."""
        rows, columns = self.grid
        return self.prediction.mean_attention().mean(dim=0)[: rows * columns].view(rows, columns)

    @property
    def click_hint(self) -> str:
        return "a word, or a place in the picture"

    def print_summary(self, console: Console) -> None:
        answer = self.prediction
        console.print(printable(answer.text) or "(no words)", style="bold")
        table = Table("word", "pictures", "prompt", "words before")
        shares = answer.attention_shares()
        for word in answer.words:
            pictures, other, prompt, written = shares[word.pieces].mean(dim=0).tolist()
            table.add_row(printable(word.text), *(f"{x:.0%}" for x in (pictures + other, prompt, written)))
        console.print(table)
        if answer.located:
            draw_heat(console, self.picture, self.heat, "attention of the words, mean of all layers")

    def to_dict(self) -> dict[str, Any]:
        first = self.prediction.pictures
        grids = [{"picture": one.source, "part": one.part, "grid": list(one.grid)} for one in first]
        return {**super().to_dict(), "pictures": grids}
