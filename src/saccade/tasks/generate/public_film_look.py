"""A film of a public pipeline with the attention to its prompt: where each word acts in each frame, by step, layer and
head.

Wan and LTX attend to the text by cross-attention, whose weights over all tokens of the text sum to 1. CogVideoX
attends to text and film jointly: the weights of a place over the tokens of the text sum to less than 1, and the rest
goes to the film. Tokens that are no word (end, padding) are counted in both, except for LTX, which masks the padding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens import Call, watch
from saccade.lens.modules.stack import matches
from saccade.tasks.generate.film import KnownFrames
from saccade.tasks.generate.look import MOST_BYTES
from saccade.tasks.generate.public_film import PublicFilmTask
from saccade.tasks.generate.public_look import prompt_tokens
from saccade.tasks.generate.result import GeneratedFilm
from saccade.tasks.generate.sample import Callback
from saccade.tasks.generate.settings import Settings

NETWORKS = ("transformer", "transformer_2")  # the second of Wan 2.2, for little noise


@dataclass(frozen=True)
class FilmTrace:
    """A film that a pipeline made under watch.

    Attributes:
        words: of the prompt, in order.
        tokens: of each word, among those of the text.
        calls: of each evaluation of the network with the prompt, one a layer that reads the text, in order.
        text: where the text lies among the sources.
        places: where the film lies among the targets.
        grid: (frames, rows, columns) of tokens.
        spans: the frames of the film that each frame of tokens holds.
    """

    film: GeneratedFilm
    words: list[str]
    tokens: list[list[int]]
    calls: list[list[Call]]
    text: slice
    places: slice
    grid: tuple[int, int, int]
    spans: list[range]

    def layers(self, evaluation: int = 0) -> list[str]:
        """Names of the layers that read the text; with two networks, these depend on the evaluation."""
        return [call.name for call in self._calls(evaluation)]

    def word_maps(self, evaluation: int, layer: int) -> Float[Tensor, "h m t y x"]:
        """How much each place attends to each word: the sum over the word's tokens. t: frames of tokens, which
        hold the frames of the film that `spans` says.

        Raises SaccadeError for an evaluation or layer that there is not."""
        calls = self._calls(evaluation)
        if not 0 <= layer < len(calls):
            raise SaccadeError(f"layer {layer}: evaluation {evaluation} has {len(calls)} that read the text, from 0")
        places = [self.text.start + token for each in self.tokens for token in each]
        columns = iter(calls[layer].columns(places)[-1, :, self.places].unbind(dim=-1))  # the last has the prompt
        zero = torch.zeros(calls[layer].shape[1], self.places.stop - self.places.start)
        maps = [sum((next(columns).cpu() for _ in each), start=zero) for each in self.tokens]
        return torch.stack(maps, dim=1).unflatten(-1, self.grid)

    def _calls(self, evaluation: int) -> list[Call]:
        if not 0 <= evaluation < len(self.calls):
            raise SaccadeError(f"evaluation {evaluation}: there are {len(self.calls)}, from 0")
        return self.calls[evaluation]


def trace_film(
    task: PublicFilmTask,
    settings: Settings,
    layers: str = "*",
    known: KnownFrames | None = None,
    callback: Callback | None = None,
) -> FilmTrace:
    """Make a film, the same as `task.generate_films`, and keep queries and keys of the layers that read the text.

    layers: pattern of their names, such as "*.blocks.7.*"; fewer take less memory. known: as in `generate_films`.

    Raises SaccadeError where queries and keys take more than 2 GB, where no layer of the pattern reads the text, and as
    `task.generate` does.
    """
    words, tokens = prompt_tokens(task, settings.prompt)
    frames, size = settings.frames, settings.size
    grid, text = task.geometry.grid(frames, size), task.text_tokens(task.model.tokenizer)
    n = grid[0] * grid[1] * grid[2]
    start = text if task.film.joint else 0  # of a joint sequence, the text comes first
    _check_layers(task, settings, layers, n + start, n + start if task.film.joint else text)
    with watch(task.model, only=[f"{network}.{task.film.text}" for network in NETWORKS]) as trace:
        [film] = task.generate_films([settings], known, callback=callback)
    if trace.missed:
        name, why = next(iter(trace.missed.items()))
        raise SaccadeError(f"{task.name}: the attention of {name} could not be seen: {why}")
    passes = [list(run) for _, run in groupby(trace[layers], key=lambda call: (call.component, call.run))]
    if task.film.apart and settings.sampling.guidance > 1:
        passes = passes[::2]  # the prompt's, each before the negative prompt's
    calls = [_of_text(task, run) for run in passes]
    for call in (call for run in calls for call in run):
        expected = (n + start, n + start if task.film.joint else text)
        if (call.shape[2], call.shape[3]) != expected:
            raise SaccadeError(
                f"{call.name} has {call.shape[2]} targets and {call.shape[3]} sources, and {expected[0]} and "
                f"{expected[1]} are expected of {grid[0]} x {grid[1]} x {grid[2]} places and {text} tokens of text: "
                "this version of diffusers lays them out in another way"
            )
    places = slice(start, start + n)
    return FilmTrace(film, words, tokens, calls, slice(0, text), places, grid, task.geometry.spans(frames))


def _of_text(task: PublicFilmTask, calls: Sequence[Call]) -> list[Call]:
    """One call a layer: where a network of Wan reads a picture too, that comes before the text."""
    each = 1 if getattr(task.config, "added_kv_proj_dim", None) is None else 2
    layers = [list(group) for _, group in groupby(calls, key=lambda call: call.name.partition("#")[0])]
    if wrong := [group for group in layers if len(group) != each]:
        raise SaccadeError(f"{wrong[0][0].name} was called {len(wrong[0])} times in a step instead of {each}")
    return [group[-1] for group in layers]


def _check_layers(task: PublicFilmTask, settings: Settings, layers: str, targets: int, sources: int) -> None:
    """Raises SaccadeError where no layer reads the text, or queries and keys take too much memory."""
    read = [
        [name for name, _ in network.named_modules(prefix=part) if matches(name, f"{part}.{task.film.text}")]
        for part in NETWORKS
        if (network := getattr(task.model, part, None)) is not None
    ]
    chosen = max(sum(matches(name, layers) for name in names) for names in read)
    if not chosen:
        raise SaccadeError(f"no layer of {task.name} that matches {layers!r} attends to the text")
    config, guided = task.config, settings.sampling.guidance > 1
    numbers = (targets + sources) * config.num_attention_heads * config.attention_head_dim * (1 + guided)
    needed = 4 * numbers * settings.sampling.steps * chosen
    if needed > MOST_BYTES:
        raise SaccadeError(
            f"the attention of {settings.sampling.steps} steps in {chosen} layers takes {needed / 2**30:.1f} GB, more "
            f"than {MOST_BYTES / 2**30:g}: choose fewer layers, steps or frames, or a smaller size"
        )
