"""Prompt-to-prompt (Hertz et al. 2022): another prompt's picture, changed only where the words changed.

Both prompts are painted in one batch from the same noise, and during the first steps the second takes attention maps of
the first, with values of its own. A map is never made: it is taken by taking its queries and keys.

- Where both prompts have as many words, the maps of all words are taken ("replace", section 3.2, word swap).
- Else words are aligned, and the maps of those that both prompts have are taken ("refine", section 3.2, adding a new
  phrase); each patch's weights are then scaled to sum to 1, which the paper leaves out.
- `Layout.patches` also takes the maps of patches, which holds the layout harder.

As in the paper's code, only the prediction with the prompt is changed, not that with the negative prompt.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

import torch
import torch.nn.functional as F

from saccade.errors import SaccadeError
from saccade.lens import Call, during, edit
from saccade.lens.attention.args import AttentionArgs
from saccade.lens.editing.edits import Edit, Site
from saccade.lens.editing.swaps import swapped_columns
from saccade.models.generator import Generator
from saccade.tasks.generate.base import PaintsPictures
from saccade.tasks.generate.image_to_image import SourceImages
from saccade.tasks.generate.inversion import inverted_start
from saccade.tasks.generate.result import GeneratedPicture
from saccade.tasks.generate.sample import Callback, offset_callback
from saccade.tasks.generate.settings import Layout, Settings

SELF, CROSS = "blocks.*.self_attention", "blocks.*.cross_attention"


def paint_with_layout(
    task: PaintsPictures, settings: Settings, callback: Callback | None = None, originals: SourceImages | None = None
) -> tuple[GeneratedPicture, GeneratedPicture]:
    """The picture of the layout's prompt, as it is without edits, and that of the prompt with attention maps of it.
    originals: as `task.generate_all` takes them.

    Raises SaccadeError for generators of other libraries, and as `task.generate` does, for the layout's prompt too."""
    if not isinstance(task.model, Generator):
        raise SaccadeError(f"{task.name}: other libraries' pipelines keep no layout; saccade.edit changes them")
    layout = settings.layout
    assert layout is not None
    first = replace(settings, prompt=layout.prompt, layout=None)
    words = task.tokenize_prompts([first, settings])[0].words
    steps = settings.sampling.steps
    start, report = None, callback
    if settings.inverted:  # before the edits, which count evaluations
        start = inverted_start(task, first, originals, offset_callback(callback, 0, 2 * steps))
        report = offset_callback(callback, steps, 2 * steps)
    edits: dict[str, Edit] = {}
    if patches := _evaluations(round(layout.patches * steps), settings):
        edits[SELF] = during(_Replaced(), patches)
    if taken := _evaluations(round(layout.words * steps), settings):
        aligned = align_words(*([word.text for word in each] for each in words[:2]))
        if aligned is None or aligned:
            edits[CROSS] = during(_Replaced() if aligned is None else _Refined(aligned), taken)
    if not edits:
        source, changed = task.generate_all([first, settings], report, originals=originals, inverted=start)
        return source, changed
    with edit(task.model, edits):
        source, changed = task.generate_all([first, settings], report, originals=originals, inverted=start)
    return source, changed


def paint(
    task: PaintsPictures,
    settings: Sequence[Settings],
    callback: Callback | None = None,
    originals: SourceImages | None = None,
) -> Iterator[GeneratedPicture]:
    """A picture for each of the settings, in order, as `task.generate_all`, those with a layout too."""
    if not any(each.layout for each in settings):
        yield from task.generate_all(settings, callback, originals=originals)
        return
    total, done = sum(each.total_steps for each in settings), 0
    for each in settings:

        def report(step: int, _: int, before: int = done) -> None:
            if callback is not None:
                callback(before + step, total)

        if each.layout is None:
            yield from task.generate_all([each], report, originals=originals)
        else:
            yield paint_with_layout(task, each, report, originals)[1]
        done += each.total_steps


def align_words(source: Sequence[str], words: Sequence[str]) -> dict[int, int] | None:
    """Which word of the source each word is, {word: word of the source}; None where both have as many words, which
    then correspond one to one."""
    if len(source) == len(words):
        return None
    one, other = ([word.casefold() for word in each] for each in (source, words))
    blocks = SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    return {block.b + i: block.a + i for block in blocks for i in range(block.size)}


def _evaluations(steps: int, settings: Settings) -> range:
    """Evaluations of the generator in the first steps. Heun's sampler makes two a step."""
    return range(steps * (2 if settings.sampling.sampler == "heun" else 1))


@dataclass(frozen=True, eq=False)
class _Replaced(Edit):
    """The second sample of the batch takes the map of the first."""

    def rewrite(self, arguments: AttentionArgs, site: Site) -> AttentionArgs:
        order = torch.arange(len(arguments.q), device=arguments.q.device)
        order[1] = 0
        mask = None if arguments.mask is None else arguments.mask[order]
        return replace(arguments, q=arguments.q[order], k=arguments.k[order], mask=mask)


@dataclass(frozen=True, eq=False)
class _Refined(Edit):
    """The second sample of the batch takes those columns of the map of the first. tokens: {source: of the first}."""

    tokens: Mapping[int, int]

    def rewrite(self, arguments: AttentionArgs, site: Site) -> AttentionArgs:
        first, own = (_sample(arguments, i) for i in (0, 1))
        where = f"prompt-to-prompt of {site.name!r}"
        call = Call(site.name, "cross", first.q, first.k, mask=first.mask, scale=first.scale)
        new = swapped_columns(own, call, dict(self.tokens), where)
        more = new.q.shape[-1] - arguments.q.shape[-1]  # its queries and keys hold both samples; zeros change no score
        q, k = (F.pad(t, (0, more)) for t in (arguments.q, arguments.k))
        q, k = (torch.cat([t[:1], part, t[2:]]) for t, part in ((q, new.q), (k, new.k)))
        mask = arguments.mask
        if mask is not None and new.mask is not None:
            mask = torch.cat([mask[:1], new.mask, mask[2:]])
        return replace(arguments, q=q, k=k, mask=mask, scale=new.scale)


def _sample(arguments: AttentionArgs, i: int) -> AttentionArgs:
    mask = None if arguments.mask is None else arguments.mask[i : i + 1]
    return replace(arguments, q=arguments.q[i : i + 1], k=arguments.k[i : i + 1], v=arguments.v[i : i + 1], mask=mask)


def replace_prompt(settings: Settings, prompt: str, keep_layout: bool) -> Settings:
    """Settings for another prompt that takes attention maps of the prompt of `settings`: of words in the first 80 % of
    the steps, and to keep the layout of patches in the first 40 % (as in the paper's examples)."""
    layout = Layout(settings.prompt, patches=0.4 if keep_layout else 0.0)
    return replace(settings, prompt=prompt, layout=layout)
