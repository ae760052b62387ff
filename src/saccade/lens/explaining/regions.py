"""Which regions of a picture a model that writes looks at for each word: image tokens among those of its text."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens.explaining.tokens import TokenMap
from saccade.lens.indices import indices
from saccade.lens.trace.call import Call
from saccade.lens.trace.trace import Trace


def image_tokens(ids: Int[Tensor, "n"] | Int[Tensor, "1 n"], token: int, grid: tuple[int, int]) -> TokenMap:
    """Where the picture's tokens lie in a prompt.

    ids: of the prompt, as the model gets them, with a token for each patch. token: the one that stands for a patch
    (`config.image_token_id`). grid: (rows, columns) of these patches, row by row: of LLaVA those of its vision tower,
    of Qwen2-VL `image_grid_thw` with rows and columns divided by `spatial_merge_size`.

    Raises SaccadeError unless the tokens are one run, as many as the grid has places: of several pictures, of rows that
    end in a token of their own, or of crops beside a whole picture, it cannot be determined which lies where.
    """
    flat = ids.reshape(-1)
    if ids.ndim > 2 or (ids.ndim == 2 and len(ids) != 1):
        raise SaccadeError(f"ids of shape {tuple(ids.shape)}: expected those of one prompt, (n) or (1 n)")
    at = (flat == token).nonzero()[:, 0].tolist()
    patches = grid[0] * grid[1]
    if not at or at[-1] - at[0] + 1 != len(at) or len(at) != patches:
        found = "none" if not at else f"{len(at)}, from place {at[0]} to {at[-1]}"
        raise SaccadeError(
            f"the prompt has {found} of token {token}; expected {grid[0]} x {grid[1]} = {patches} in one run: give the "
            "grid of one picture, or TokenMap(grid=..., prefix=..., suffix=...) of its part of the prompt"
        )
    return TokenMap(grid, prefix=at[0], suffix=len(flat) - at[-1] - 1)


def regions(trace: Trace, places: TokenMap, heads: Sequence[int] | None = None) -> Float[Tensor, "words *frames y x"]:
    """Where a model that writes looked in the picture when it wrote each word (each token that it generated).

        with saccade.watch(model) as trace:
            model.generate(**given, max_new_tokens=8)
        saccade.lens.regions(trace["*language_model*"], places)

    trace: the self-attention of the decoder alone, or of some of its layers, over one `generate` of one prompt (greedy
    or sampled; a cache of any kind, or none). places: of the tokens of the prompt (`image_tokens`). heads: only these.

    Returns for each word the mean over layers and heads of the weights that the last token before it gives to the
    picture's tokens when the word is chosen: the query that the word is predicted from. 0 or more; a map sums up to at
    most 1, the rest went to text.

    Of an encoder-decoder (Donut, TrOCR), trace: its cross-attention alone, such as trace["*encoder_attn*"]; places: of
    the encoder's tokens, all of which are the sources.

    Raises SaccadeError where the tokens of the prompt are not those of `places`, or the calls are not such ones: those
    of another tower, more than one prompt or beam, several words in one pass, tokens dropped from a cache, self- and
    cross-attention together.
    """
    steps = sorted({call.run for call in trace})
    if not steps:
        trace[0]  # raises, and says why the trace is empty
    prompt, maps = len(places), []
    if all(call.kind == "cross" for call in trace):
        return places.picture(torch.stack([_looked(trace.runs(run), prompt, heads) for run in steps]))
    for step, run in enumerate(steps):
        calls = [call for call in trace if call.run == run]
        for call in calls:
            _check(call, prompt, step, len(steps))
        rows = [_last(call, heads, prompt + step) for call in calls]
        maps.append(torch.stack([row[:prompt] for row in rows]).mean(dim=0))
    return places.picture(torch.stack(maps))


def _looked(calls: Sequence[Call], sources: int, heads: Sequence[int] | None) -> Float[Tensor, "m"]:
    """What the last target of an encoder-decoder's pass attends to, the mean over layers and heads."""
    for call in calls:
        b, _, _, m = call.shape
        if b != 1 or m != sources:
            raise SaccadeError(
                f"regions of {call!r}: it has {m} sources of {b} pictures or beams; expected the {sources} tokens of "
                "the encoder, of one picture, without beam search: choose the cross-attention of its decoder"
            )
    return torch.stack([_last(call, heads, sources) for call in calls]).mean(dim=0)


def _check(call: Call, prompt: int, step: int, steps: int) -> None:
    """Its sources are the prompt's tokens, those written before, and room for more; its targets all of them or one."""
    b, _, n, m = call.shape
    known = prompt + step
    why = ""
    if b != 1:
        why = f"it is of {b} prompts or beams: watch one, without beam search"
    elif step == 0 and n != prompt:
        why = f"it has {n} targets where the prompt should have {prompt} tokens: choose the calls of the decoder that "
        why += "writes, and give the places of its prompt"
    elif step and n not in (1, known):
        why = f"it has {n} targets in pass {step}: choose the calls of the decoder that writes, one word a pass"
    elif m != known and m < prompt + steps - 1:
        why = f"it has {m} sources where {known} tokens are known: some were dropped, so their places are unknown"
    if why:
        raise SaccadeError(f"regions of {call!r}: {why}")


def _last(call: Call, heads: Sequence[int] | None, known: int) -> Float[Tensor, "m"]:
    """Weights of the last target, the mean of the heads. known: how many tokens there are so far."""
    row = call.rows(-1)[0, :, 0].float().cpu()
    if call.shape[3] > known and bool(row[:, known:].any()):  # room in a cache is masked
        raise SaccadeError(
            f"regions of {call!r}: its last target attends to more than the {known} tokens of the prompt and those "
            "written so far: others were put among the sources (prefix tuning, memory tokens), so the places of the "
            "picture are not known"
        )
    if heads is not None:
        if not len(heads):
            raise SaccadeError(f"heads {heads!r} of {call.name!r}: expected one or more of its {len(row)}")
        row = row[indices(list(heads), len(row), "head", call.name)]
    return row.mean(dim=0)
