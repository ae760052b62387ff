"""Which tokens of a call are patches of a picture, and where: so that a row of weights can be shown as a picture."""

import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from saccade.errors import SaccadeError
from saccade.lens.explaining.patch_order import PatchLayout, patch_order

# Parameters that are tokens of their own, by the last part of their name: those put before the patches, and those
# put after them, in the libraries that use the names.
FIRST = (
    "cls_token", "class_token", "class_embedding", "dist_token", "distillation_token", "reg_token", "register_token",
    "register_tokens", "prefix_tokens",
)  # fmt: skip
LAST = ("detection_tokens",)


@dataclass(frozen=True)
class TokenMap:
    """Where tokens lie: `prefix` tokens (cls, registers), then `frames` times a grid of (rows, columns) patches, row
    by row, each after `frame_prefix` tokens of its own (camera, registers), then `suffix` tokens (of detection, text).

    order: of patches that lie otherwise, the place of each in the order of their tokens, counted row by row and frame
    by frame: a permutation of the whole numbers below frames · rows · columns.

    Raises SaccadeError for numbers that are none of these.
    """

    grid: tuple[int, int]
    prefix: int = 0
    frames: int = 1
    suffix: int = 0
    frame_prefix: int = 0
    order: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        try:
            sides = (*map(operator.index, self.grid), operator.index(self.frames))
            rest = tuple(map(operator.index, (self.prefix, self.suffix, self.frame_prefix)))
            order = None if self.order is None else tuple(map(operator.index, self.order))
        except TypeError as error:
            raise SaccadeError(f"{self}: expected whole numbers, grid=(rows, columns)") from error
        if len(sides) != 3 or min(sides) < 1 or min(rest) < 0:
            raise SaccadeError(f"{self}: expected grid=(rows, columns) and frames of 1 or more, the others 0 or more")
        if order is not None and sorted(order) != list(range(math.prod(sides))):
            raise SaccadeError(f"an order of {len(order)} places: expected each of 0 to {math.prod(sides) - 1} once")
        object.__setattr__(self, "order", order)

    def __len__(self) -> int:
        return self.prefix + self.frames * (self.frame_prefix + self._patches) + self.suffix

    @property
    def _patches(self) -> int:
        """In a frame."""
        return self.grid[0] * self.grid[1]

    def _number(self, place: int) -> int:
        """The token that is the patch at a place of all frames."""
        frame, patch = divmod(place if self.order is None else self.order.index(place), self._patches)
        return self.prefix + frame * (self.frame_prefix + self._patches) + self.frame_prefix + patch

    def picture(self, values: Shaped[Tensor, "*axes n"]) -> Shaped[Tensor, "*axes y x"]:
        """Values of all tokens (rows of a call, what its targets receive, a rollout) as pictures: of the patches alone,
        (... rows columns), or (... frames rows columns) of a film."""
        if values.shape[-1] != len(self):
            raise SaccadeError(f"values of {values.shape[-1]} tokens; {self} has {len(self)}")
        body = values[..., self.prefix : len(self) - self.suffix].unflatten(-1, (self.frames, -1))
        patches = body[..., self.frame_prefix :].flatten(-2)
        if self.order is not None:
            patches = patches[..., torch.tensor(self.order).argsort().to(values.device)]
        return patches.unflatten(-1, self.grid if self.frames == 1 else (self.frames, *self.grid))

    def token(self, row: int, column: int, frame: int = 0) -> int:
        """The number of the token that is this patch."""
        for what, place, sizes in (("row", row, self.grid[0]), ("column", column, self.grid[1]),
                                   ("frame", frame, self.frames)):  # fmt: skip
            if not 0 <= place < sizes:
                raise SaccadeError(f"{what} {place} of {self}: expected 0 to {sizes - 1}")
        return self._number((frame * self.grid[0] + row) * self.grid[1] + column)

    def __repr__(self) -> str:
        given = {"prefix": self.prefix, "frames": self.frames, "suffix": self.suffix}
        parts = [f"grid={self.grid}", *(f"{name}={value}" for name, value in given.items())]
        parts += [f"frame_prefix={self.frame_prefix}"] if self.frame_prefix else []
        parts += [f"order of {len(self.order)} places"] if self.order is not None else []
        return f"TokenMap({', '.join(parts)})"


def token_map(model: nn.Module, picture: Shaped[Tensor, "b ..."], tokens: int) -> TokenMap:
    """Where the tokens of a model lie, found from the model and from what went in, or an error: it never guesses.

    picture: the input (b c y x), or a film (b t c y x) or (b c t y x). tokens: how many targets or sources the call
    has (`call.shape[2]`, `call.shape[3]`). The grid is that of the only patch embedding (a convolution whose stride is
    its kernel), or of the only module that has a `grid` method and a `prefix`, as ours have; the prefix is that of
    the parameters that are tokens (`cls_token`, `register_tokens`, ...), which must account for every token that is
    not a patch. Where the model takes a picture alone, it is then run with some patches changed, about log2 of their
    number times and up to the call at most: which tokens change tells the order of the patches.

    Raises SaccadeError, saying what was found and what to give, where these do not settle it: several embeddings,
    tokens of text, windows, levels of a pyramid, patches left out, an order that is drawn again in every run, tokens
    that depend on several patches before the call.
    """
    if picture.ndim not in (4, 5) or min(picture.shape) < 1:
        raise SaccadeError(f"a picture of shape {tuple(picture.shape)}; expected (b c y x), or a film of five axes")
    layout = _layout(model, picture)
    (rows, columns), frames = layout.grid, layout.frames
    found, patches = tokens - layout.first - layout.last, rows * columns * frames
    if found != patches:
        film = f" in each of {frames} steps of time" if frames > 1 else ""
        raise SaccadeError(
            f"where {tokens} tokens of {type(model).__name__} lie cannot be determined: {layout.found} for {rows} x "
            f"{columns} = {rows * columns} patches{film}, {layout.first} tokens before and {layout.last} after them; "
            "patches may have been left out (masked); give TokenMap(grid=(rows, columns), prefix=..., suffix=...)"
        )
    order = patch_order(model, picture, layout, tokens)
    return TokenMap(layout.grid, layout.first, frames, layout.last, order=order)


def _layout(model: nn.Module, picture: Tensor) -> PatchLayout:
    embeddings = list(_embeddings(model))
    sizes = {size for _, size, _ in embeddings}
    named = [each for each in model.modules() if callable(getattr(each, "grid", None)) and _is_count(each, "prefix")]
    if len(named) == 1 and picture.ndim == 4:
        own: Any = named[0]
        rows, columns = own.grid(picture)
        size = (1, picture.shape[2] // rows, picture.shape[3] // columns) if len(sizes) != 1 else next(iter(sizes))
        return PatchLayout((rows, columns), size, 1, own.prefix, 0, f"{type(own).__name__} says so")
    if len(sizes) != 1:
        found = dict.fromkeys((name, size) for name, size, _ in embeddings)
        names = ", ".join(f"{name} ({y} x {x} pixels)" for name, (_, y, x) in found) or "none"
        raise SaccadeError(
            f"where the tokens of {type(model).__name__} lie cannot be determined: one patch embedding (a convolution "
            f"whose stride is its kernel) was expected, found {names}; give TokenMap(grid=(rows, columns), prefix=...)"
        )
    name, (time, height, width), channels = embeddings[0]
    grid = picture.shape[-2] // height, picture.shape[-1] // width
    if min(grid) < 1:
        raise SaccadeError(f"a picture of {tuple(picture.shape[-2:])} pixels is smaller than a patch of {name}")
    frames = 1 if picture.ndim == 4 else picture.shape[_time_axis(picture, channels)] // time
    first, last = _tokens(model, FIRST), _tokens(model, LAST)
    return PatchLayout(grid, (time, height, width), frames, first, last, f"the patches of {name} account")


def _time_axis(film: Tensor, channels: int) -> int:
    """The axis of time in (b t c y x) or (b c t y x)."""
    return 1 if film.shape[2] == channels else 2


def _embeddings(model: nn.Module) -> Iterator[tuple[str, tuple[int, int, int], int]]:
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d) and module.stride == module.kernel_size:
            time, height, width = (1, *module.kernel_size)[-3:]
            bare = module.padding == "valid" or not any(module.padding)
            if max(height, width) > 1 and bare and module.groups == 1:
                yield name, (time, height, width), module.in_channels


def _tokens(model: nn.Module, names: tuple[str, ...]) -> int:
    """How many tokens the parameters of these names are: all but the last axis."""
    total = 0
    for name, parameter in model.named_parameters():
        if name.rpartition(".")[2] in names:
            total += int(torch.Size(parameter.shape[:-1]).numel())
    return total


def _is_count(module: nn.Module, name: str) -> bool:
    value = getattr(module, name, None)
    return isinstance(value, int) and not isinstance(value, bool)
