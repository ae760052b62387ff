"""A layout of image tokens is tested on the model itself: a few cells of the pictures are changed, with the attention
of the vision tower switched off, and the tokens that stand for them must change.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from saccade.tasks.ask.image_token_layout import ImageTokenLayout, LayoutError, SeenPicture

PROBES = 4  # cells that are changed, at most
OFF = 0.6  # places by which changes may be off, on average: convolutions with padding shift by up to half a one

Embed = Callable[[dict[str, Tensor]], Float[Tensor, "m d"]]


@torch.no_grad()
def verify_layout(embed: Embed, inputs: dict[str, Tensor], places: ImageTokenLayout) -> None:
    """Raises LayoutError unless changed cells of the pictures change the tokens that stand for them: each time the
    largest change is there or next to it, where convolutions leak to, and on average it lies there.

    embed: from the inputs to the tokens, before words attend to them.
    """
    every = [(one, place) for one in places.pictures for place in range(len(one.tokens)) if one.tokens[place] >= 0]
    chosen = torch.randperm(len(every), generator=torch.Generator().manual_seed(0))[:PROBES]
    around = torch.zeros(3, 3)
    with _WithoutAttention():
        plain = embed(inputs)
        for one, place in (every[i] for i in chosen.tolist()):
            changed = inputs["pixel_values"].clone()
            changed[one.cell(place)] += 3 * changed.std()
            change = (embed({**inputs, "pixel_values": changed}) - plain).abs().sum(dim=-1).cpu()
            near = _around(change, one, place)
            if not bool(change.any()) or bool(near.max() < change.max()):
                raise _other(one, place, change)
            around += near / near.sum()
    steps = torch.tensor([-1.0, 0.0, 1.0])
    off = torch.stack([around.sum(1) @ steps, around.sum(0) @ steps]) / around.sum()
    if around[1, 1] < around.max() / 4 or bool((off.abs() > OFF).any()):
        raise LayoutError(f"tokens beside those of a grid of {one.grid[0]} x {one.grid[1]} change with its pixels")


@torch.no_grad()
def tokens_depend_on_pixels(model: Any, inputs: dict[str, Tensor], image: Bool[Tensor, "m"]) -> bool:
    """Whether the tokens of pictures, and no others, are made of their pixels; False too where that is not known."""
    pixels = inputs.get("pixel_values")
    if pixels is None:
        return False
    try:
        other = input_embeddings(model, {**inputs, "pixel_values": pixels + 3 * pixels.std()})
    except LayoutError:
        return False
    changed = (other != input_embeddings(model, inputs)).any(dim=-1)
    return bool(changed.any()) and not bool((changed & ~image).any())


def _around(change: Float[Tensor, "m"], one: SeenPicture, place: int) -> Float[Tensor, "3 3"]:
    """The change of the tokens of a place and of its eight neighbours."""
    of_place = torch.where(one.tokens >= 0, change[one.tokens.clamp(min=0)], 0.0).view(1, 1, *one.grid)
    row, column = divmod(place, one.grid[1])
    return F.pad(of_place, (1, 1, 1, 1))[0, 0, row : row + 3, column : column + 3]


def _other(one: SeenPicture, place: int, change: Float[Tensor, "m"]) -> LayoutError:
    found = f"token {int(change.argmax())}" if bool(change.any()) else "no token"
    return LayoutError(
        f"{found} changes with the pixels of place {place} of {one.grid[0]} x {one.grid[1]}, where token "
        f"{int(one.tokens[place])} was expected: its image tokens do not stand for places in the picture"
    )


class _Reached(Exception):
    """The network of text is reached; the rest of the model need not run."""


class _WithoutAttention(TorchFunctionMode):
    """Attention gives nothing, so that a token is made of its own pixels alone."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            given = dict(zip(("query", "key", "value"), args, strict=False)) | kwargs
            q, v = given["query"], given["value"]
            return q.new_zeros(*q.shape[:-1], v.shape[-1])
        if func in (F.softmax, torch.softmax, Tensor.softmax):
            return torch.zeros_like(args[0])
        return func(*args, **kwargs)


def input_embeddings(model: Any, inputs: dict[str, Tensor]) -> Float[Tensor, "m d"]:
    """The tokens of the prompt as they go into the network of text. Raises LayoutError if that is not found."""
    reader = model.get_encoder() if model.config.is_encoder_decoder else model.get_decoder()
    kept: list[Tensor] = []

    def stop(module: nn.Module, args: Any, kwargs: Any) -> None:
        if isinstance(kwargs.get("inputs_embeds"), Tensor):
            kept.append(kwargs["inputs_embeds"][0].float())
            raise _Reached

    hook = reader.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        model(**inputs)
    except _Reached:
        pass
    finally:
        hook.remove()
    if not kept:
        raise LayoutError("where its network of text reads the prompt was not found")
    return kept[0]
