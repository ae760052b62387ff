"""Which patch each token of a call was made of: some patches are changed, and it is seen which tokens change."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from saccade.errors import SaccadeError
from saccade.lens.trace.call import Call
from saccade.lens.watching.watch import watch

SAME = 1e-6  # of the largest change: less is rounding


@dataclass(frozen=True)
class PatchLayout:
    """The grid of patches of a frame, how many pixels a patch has in time (1 for pictures), rows and columns, how many
    frames of patches there are, the tokens before and after all of them, and where that was found."""

    grid: tuple[int, int]
    patch: tuple[int, int, int]
    frames: int
    first: int
    last: int
    found: str


def patch_order(model: nn.Module, picture: Tensor, layout: PatchLayout, tokens: int) -> tuple[int, ...] | None:
    """The place of each patch in the order of its tokens; None if that is row by row, or if the model cannot be run
    with a picture alone. Raises SaccadeError where that cannot be determined, as for a model that mixes tokens before
    the call."""
    count = layout.frames * layout.grid[0] * layout.grid[1]
    found = [_codes(model, picture[:1], layout, tokens, count, seed) for seed in (0, 1)]
    if None in found:
        return None
    if found[0] != found[1]:
        raise SaccadeError(
            f"where {tokens} tokens of {type(model).__name__} lie cannot be determined: their order changes between "
            "runs; give TokenMap(grid=(rows, columns), order=...) of the run that was watched"
        )
    order = found[0]
    assert order is not None
    return None if order == tuple(range(count)) else order


def _codes(model: nn.Module, picture: Tensor, layout: PatchLayout, tokens: int, count: int, seed: int) -> tuple | None:
    """The places of the patch tokens, each read as a binary number: its bits say in which runs the token changed."""
    plain = _seen(model, picture, tokens, seed)
    if plain is None:
        return None
    codes = torch.zeros(tokens, dtype=torch.long)
    for bit in range(count.bit_length()):
        chosen = (torch.arange(1, count + 1) >> bit & 1).bool().view(layout.frames, *layout.grid)
        seen = _seen(model, _changed(picture, chosen, layout), tokens, seed)
        if seen is None or seen.shape != plain.shape:
            return None
        change = (seen - plain).abs().amax(dim=(0, 1, 3))
        codes += (change > SAME * change.max()).long() << bit
    patches = codes[layout.first : tokens - layout.last] - 1
    if sorted(patches.tolist()) != list(range(count)):
        others = tokens - count
        if sorted(codes.tolist()) == [0] * others + list(range(1, count + 1)):
            raise SaccadeError(
                f"where {tokens} tokens of {type(model).__name__} lie cannot be determined: those that are no patches "
                f"are {(codes == 0).nonzero().flatten().tolist()[:9]}, expected the first {layout.first} and the last "
                f"{layout.last}; give TokenMap(grid=(rows, columns), prefix=..., suffix=...)"
            )
        raise SaccadeError(
            f"where {tokens} tokens of {type(model).__name__} lie cannot be determined: a changed patch changes more "
            f"tokens than its own before the call; give TokenMap(grid={layout.grid}, prefix={layout.first}) if they "
            "are the patches row by row"
        )
    return tuple(patches.tolist())


def _changed(picture: Tensor, chosen: Tensor, layout: PatchLayout) -> Tensor:
    """The picture with other pixels in the chosen patches (t y x)."""
    time, height, width = layout.patch
    fine = chosen.repeat_interleave(height, 1).repeat_interleave(width, 2)
    fine = F.pad(fine, (0, picture.shape[-1] - fine.shape[2], 0, picture.shape[-2] - fine.shape[1]))
    if picture.ndim == 5:
        axis = 2 if picture.shape[2] // time == layout.frames and picture.shape[1] // time != layout.frames else 1
        fine = fine.repeat_interleave(time, 0)
        fine = F.pad(fine, (0, 0, 0, 0, 0, picture.shape[axis] - len(fine)))
        fine = fine[None, :, None] if axis == 1 else fine[None, None]
    spread = picture.std().clamp(min=1e-3)
    return torch.where(fine.to(picture.device), picture + 3 * spread, picture)


class _Found(Exception):
    """The call is found; the rest of the model need not run."""


def _seen(model: nn.Module, picture: Tensor, tokens: int, seed: int) -> Float[Tensor, "b g m k"] | None:
    """The keys, or else the queries, of the first call of so many; None if the model does not run so far."""
    devices = [picture.device] if picture.device.type == "cuda" else []

    def stop(call: Call) -> Tensor:
        if tokens in call.shape[2:]:
            kept.append((call.k if call.shape[3] == tokens else call.q).float().cpu())
            raise _Found
        return call.q

    kept: list[Tensor] = []
    with torch.random.fork_rng(devices), torch.no_grad():
        torch.manual_seed(seed)
        try:
            with watch(model, views={"tokens": stop}):
                model(picture)
        except _Found:
            pass
        except Exception:  # what it needs besides a picture is not known here
            return None
    return kept[0] if kept else None
