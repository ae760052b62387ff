"""The view of a matcher: words and patches of another library's dual encoder, or the cross-attention of our own."""

import time
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor, nn

from saccade.checkpoints.matchers import PublicMatcher
from saccade.data import Picture
from saccade.data.files import escape
from saccade.language import localize_text
from saccade.lens import Trace, watch
from saccade.studio.inputs.summary import InputSummary, describe_crop, described_input
from saccade.studio.page.targets import Targets
from saccade.studio.terminal import plain_table
from saccade.studio.views.attribution import AttributionView
from saccade.studio.views.base import LookOptions, View, to_rows
from saccade.studio.views.encoder import EncoderView, ForwardPass
from saccade.studio.views.match_words import MOST, MatchedText, MatchedWords, match_words
from saccade.tasks.match.commands import COMMANDS
from saccade.tasks.match.public import PublicMatchTask
from saccade.tasks.match.task import MatchTask
from saccade.tasks.match.unrelated_texts import UnrelatedTextComparison, compare_with_unrelated


@dataclass(kw_only=True)
class MatchView(EncoderView):
    """One image, and texts if any, seen by a matcher of this library; `look` hands matchers of other libraries to their
    own view."""

    task: MatchTask
    targets: MatchedWords | None

    @classmethod
    def look(cls, task: Any, picture: Picture, options: LookOptions) -> View:
        if isinstance(task, PublicMatchTask):
            return AttributionView.look(task.matcher, picture, options)
        if isinstance(task, PublicMatcher):
            return AttributionView.look(task, picture, options)
        return super().look(task, picture, options)

    @classmethod
    def encoder(cls, task: Any) -> nn.Module:
        return task.model.vit

    @classmethod
    def forward(cls, task: Any, inputs: Float[Tensor, "1 c y x"]) -> ForwardPass:
        """The picture through its encoder, with the features that the texts are compared with."""
        model = task.model.eval()
        inputs = inputs.to(model.bias.device)
        started = time.perf_counter()
        with watch(model.vit, values=True) as trace:
            features = model.encode_pictures(inputs)
        if inputs.device.type != "cpu":
            torch.accelerator.synchronize(inputs.device)
        # what the pooling after the encoder attends to is no layer of the page
        layers = Trace(list(trace), {name: why for name, why in trace.missed.items() if name != "(outside)"})
        return ForwardPass(layers, features, model.vit.grid(inputs), time.perf_counter() - started)

    @classmethod
    def read_prediction(
        cls, task: Any, picture: Picture, run: ForwardPass, options: LookOptions
    ) -> tuple[Any, Targets | None, list[str]]:
        if not options.texts:
            return None, None, ["no text is given: the page shows attention of the patches alone; --text shows words"]
        comparison = compare_with_unrelated(task, picture, run.out, options.texts)
        texts = match_words(task.model, run.out, comparison.ranking.texts[:MOST])
        return None, MatchedWords.of(texts, comparison, run.trace, run.grid), []

    @classmethod
    def input_summary(cls, task: Any, picture: Picture, prediction: Any) -> InputSummary:
        how, frame = describe_crop(task.preprocess, picture.image.size)
        return described_input(
            COMMANDS.about(task), how, picture.image, frame, task.preprocess.resize_and_crop(picture.image)
        )

    @property
    def click_hint(self) -> str:
        return "a patch" if self.targets is None else "a word"

    @property
    def text_comparison(self) -> UnrelatedTextComparison | None:
        return None if self.targets is None else self.targets.comparison

    def print_summary(self, console: Console) -> None:
        """The words of the best text with their scores and where they attend, then the heat map of the encoder."""
        if self.seen is not None:
            self.seen.print_before(console)
        if self.targets is not None:
            best = self.targets.texts[0]
            console.print("the words of", Text(escape(best.text), style="bold"))
            console.print(words_table(best, self.grid))
        if self.seen is not None:
            self.seen.print_after(console)
        super().print_summary(console)

    def to_dict(self) -> dict[str, Any]:
        """For JSON, with the words of the best text: of each, its logit, and its attention to the patches row by row in
        the last layer (mean of the heads)."""
        if self.targets is None:
            return super().to_dict()
        best = self.targets.texts[0]
        layer = best.layers[-1]
        rows = zip(best.words, best.logits.tolist(), layer.weights.mean(dim=0).unflatten(1, self.grid), strict=True)
        return super().to_dict() | {
            "text": best.text,
            "words": [{"word": word, "logit": round(logit, 6), "map": to_rows(one)} for word, logit, one in rows],
            "layer": layer.name,
        }


def words_table(text: MatchedText, grid: tuple[int, int]) -> Table:
    """A row a word: its score, and the patch to which it attends most."""
    table = plain_table("word", "score", "most attention", "to the patch in")
    table.columns[3].justify = "left"
    table.caption = "a text fits about as well as its worst word; attention: mean of the heads, last layer"
    weights, places = (each.tolist() for each in text.layers[-1].weights.mean(dim=0).max(dim=1))
    rows = zip(text.words, text.logits.sigmoid().tolist(), weights, places, strict=True)
    for word, score, weight, place in rows:
        row, column = divmod(place, grid[1])
        where = localize_text(f"row {row + 1}, column {column + 1}")
        table.add_row(Text(escape(word)), Text(f"{score:.1%}"), Text(f"{weight:.1%}"), Text(where))
    return table
