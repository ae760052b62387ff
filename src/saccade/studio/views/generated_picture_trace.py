"""What the page of a picture shows that a generator of this library painted."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.lens import Call, Trace
from saccade.studio.views.generated_picture import GenerationPageData, ShownSource, SourcedGenerationPageData, TextMaps
from saccade.studio.views.word_scores import PatchGrid, PlaceScores, WordScores
from saccade.tasks.generate.look import GenerationTrace, PaintingTrace, Text
from saccade.tasks.generate.task import to_images

MOST_STEPS = 50  # on a page
NO_PROMPT = "(no prompt)"


def generation_page_data(generation: GenerationTrace, self_step: int) -> GenerationPageData:
    """What a page shows of a generation. self_step: the step of which it shows the self-attention."""
    steps, prompt = generation.steps, text_maps(generation, "prompt")
    negative = text_maps(generation, "negative") if _has_negative(generation) else None
    sources = [
        ShownSource(name, to_images(pixels[:, :3])[0], generation.source_grid(name))
        for name, pixels in generation.pictures.items()
    ]
    own = [_of_prompt(steps[self_step].call(layer, "self")) for layer in range(generation.depth)]
    words = (SourcedGenerationPageData if sources else GenerationPageData)(
        layers=prompt.layers,
        others=Trace(own),
        grid=generation.grid[1:],
        notes=painting_notes(generation, prompt, negative),
        prompt=generation.settings.prompt,
        words=prompt.words,
        bias=prompt.bias,
        steps=[each.step for each in steps],
        times=[each.t for each in steps],
        predictions=[to_images(each.prediction)[0] for each in steps],
        of=len(steps),
        self_step=self_step,
        other=prompt.other,
        given=prompt.given,
        sources=sources,
        negative=negative,
    )
    if len(steps) <= MOST_STEPS:
        return words
    return replace(words.first_targets(MOST_STEPS), notes=[*words.notes, words.truncation_note(MOST_STEPS)])


def _has_negative(generation: PaintingTrace) -> bool:
    guided = any(each.guided for each in generation.steps)
    return guided and generation.negative_words != [""] and generation.batch_row("negative") is not None


def painting_notes(generation: PaintingTrace, prompt: TextMaps, negative: TextMaps | None) -> list[str]:
    notes = []
    hidden = len(generation.terms) - 1 - (negative is not None)
    if any(each.guided for each in generation.steps) and hidden:
        with_pictures = "fewer sources" if negative is not None else "the negative prompt"
        notes.append(f"Guidance also evaluates {with_pictures}; its attention is not shown.")
    if prompt.other:
        notes.append("What is in brackets is no word: all patches of another source together, or that there is none.")
    return notes


def text_maps(generation: PaintingTrace, text: Text) -> TextMaps:
    """The words of a text and the other sources, at all steps that evaluate it."""
    row, given = generation.batch_row(text), generation.given_sources(text)
    assert row is not None
    prompt = text == "prompt"
    words = generation.words if prompt else generation.negative_words
    weights = generation.weights if prompt else generation.negative_weights
    spans = {name: span for name, span in generation.spans.items() if name != "caption"}
    # What a text is evaluated without is one token, the first of its span.
    spans = {name: span if name in given else slice(span.start, span.start + 1) for name, span in spans.items()}
    style = generation.settings.style
    strengths = [style.strength if style is not None and name == "style" else 1.0 for name in spans]
    bias = torch.tensor([*weights, *strengths]).log()
    tokens = len(words) + sum(span.stop - span.start for span in spans.values())
    steps = [i for i, each in enumerate(generation.steps) if row == 0 or each.guided]
    places = [span for name, span in spans.items() if name in given]
    layers = []
    for layer in range(generation.depth):
        calls = [generation.call(step, layer) for step in steps]
        scores = torch.stack([_scores(call, row, len(words), list(spans.values())) for call in calls])
        found = _places(calls, row, places) if places else None
        grid = PatchGrid(*generation.grid)
        layers.append(WordScores(calls[0].name, scores, bias, calls[0].scale, grid, tokens, found))
    names = [*(words if words != [""] else [NO_PROMPT]), *(_named(name, name in given) for name in spans)]
    return TextMaps(names, bias, layers, steps, len(spans), {name: names.index(_named(name, True)) for name in given})


def _scores(call: Call, row: int, words: int, spans: list[slice]) -> Float[Tensor, "h m n"]:
    """Scaled q·k of a text's words with all patches, then the log of the sum of the exponentials of those of each other
    source."""
    q, k = call.q[row].float(), _keys(call, row)
    every = k @ q.mT * call.scale
    sums = [every[:, span].logsumexp(dim=1, keepdim=True) for span in spans]
    return torch.cat([every[:, :words], *sums], dim=1).cpu()


def _places(calls: list[Call], row: int, spans: list[slice]) -> PlaceScores:
    """Of one layer, at all steps: sources are encoded once, so that their keys are those of the first."""
    queries = torch.stack([call.q[row].float() for call in calls]).cpu()
    keys = _keys(calls[0], row).cpu()
    return PlaceScores(queries, torch.cat([keys[:, span] for span in spans], dim=1), calls[0].scale)


def _keys(call: Call, row: int) -> Float[Tensor, "h m k"]:
    k = call.k[row].float()
    return k.repeat_interleave(call.shape[1] // k.shape[0], dim=0)


def _of_prompt(call: Call) -> Call:
    """A self-attention call of the prompt alone."""
    v = None if call.v is None else call.v[:1]
    return Call(call.name, call.kind, call.q[:1], call.k[:1], v, lse=call.lse[:1], scale=call.scale, run=call.run)


def _named(source: str, given: bool) -> str:
    """How a page names a source that is not the prompt."""
    name = {"masked": "masked picture"}.get(source, source)
    return f"({name})" if given else f"(no {name})"
