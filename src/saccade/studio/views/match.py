"""The view of a matcher: words and patches of another library's dual encoder, or the cross-attention of our own."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from saccade.checkpoints.matchers import PublicMatcher
from saccade.data import Picture
from saccade.data.files import escape
from saccade.lens import watch
from saccade.studio.targets import Targets
from saccade.studio.terminal import plain_table
from saccade.studio.views.attribution import AttributionView
from saccade.studio.views.base import LookOptions, View, to_rows
from saccade.studio.views.encoder import EncoderView, ForwardPass, whole_patches
from saccade.tasks import Task
from saccade.tasks.match.public import PublicMatchTask
from saccade.tasks.match.task import MatchTask

NOTE = "the page shows attention among the patches; what each word attends to is in the terminal and in --json"


@dataclass(frozen=True)
class WordAttention:
    """The words of a text in the head of a matcher.

    layer: name of the last cross-attention. logits: of each word. weights: attention of each word to the patches, mean
    of the heads; rows sum to 1.
    """

    layer: str
    text: str
    words: list[str]
    logits: Float[Tensor, "n"]
    weights: Float[Tensor, "n m"]


@dataclass(kw_only=True)
class MatchView(EncoderView):
    """One image seen by a matcher of this library; `look` hands those of other libraries to their own view.

    attention: None without a text.
    """

    attention: WordAttention | None = None

    @classmethod
    def look(cls, task: Any, picture: Picture, options: LookOptions) -> View:
        if isinstance(task, PublicMatchTask):
            return AttributionView.look(task.matcher, picture, options)
        if isinstance(task, PublicMatcher):
            return AttributionView.look(task, picture, options)
        encoder = Task(task.model.vit, task.preprocess, task.name, task.notes, task.card)
        view = super().look(encoder, picture, options)
        if options.text is not None and isinstance(view, MatchView):
            side, _ = whole_patches(options.size, encoder.vit.config.patch)
            sized = task if side is None else replace(task, preprocess=task.preprocess.with_size(side))
            view.attention = word_attention(sized, picture, options.text)
            view.notes.append(NOTE)
        return view

    @classmethod
    def read(
        cls, task: Any, picture: Picture, run: ForwardPass, options: LookOptions
    ) -> tuple[Any, Targets | None, list[str]]:
        return None, None, []

    def print_summary(self, console: Console) -> None:
        """The words with their logits and where they look, then the heat map of the encoder."""
        if self.attention is not None:
            console.print("the words of", Text(escape(self.attention.text), style="bold"))
            console.print(attention_table(self.attention, self.grid))
        super().print_summary(console)

    def to_dict(self) -> dict[str, Any]:
        """For JSON, with the logit of each word and its attention to the patches row by row."""
        if self.attention is None:
            return super().to_dict()
        maps = self.attention.weights.unflatten(1, self.grid)
        rows = zip(self.attention.words, self.attention.logits.tolist(), maps, strict=True)
        return super().to_dict() | {
            "text": self.attention.text,
            "words": [{"word": word, "logit": round(logit, 6), "map": to_rows(one)} for word, logit, one in rows],
            "layer": self.attention.layer,
        }


@torch.no_grad()
def word_attention(task: MatchTask, picture: Picture, text: str) -> WordAttention:
    """What each word of a text attends to in the last layer of the head. Raises DataError as `encode_texts` does."""
    pictures, texts, batch = task.encode_pictures([picture]), task.encode_texts([text]), task.model.tokenize([text])
    with watch(task.model) as trace:
        match = task.model.match(pictures.tokens, texts.tokens, texts.mask)
    call = [call for call in trace if call.kind == "cross"][-1]
    words = [word.text for word in batch.words[0]]
    return WordAttention(call.name, text, words, match.words[0].cpu(), call.weights()[0].mean(dim=0).cpu())


def attention_table(attention: WordAttention, grid: tuple[int, int]) -> Table:
    """A row a word: its logit, and the patch to which it attends most."""
    table = plain_table("word", "logit", "most attention", "to the patch in")
    table.columns[3].justify = "left"
    table.caption = "a text fits a picture as well as its worst word does; attention: mean of the heads, last layer"
    weights, places = (each.tolist() for each in attention.weights.max(dim=1))
    rows = zip(attention.words, attention.logits.tolist(), weights, places, strict=True)
    for word, logit, weight, place in rows:
        row, column = divmod(place, grid[1])
        where = f"row {row + 1}, column {column + 1}"
        table.add_row(Text(escape(word)), Text(f"{logit:+.2f}"), Text(f"{weight:.1%}"), Text(where))
    return table
