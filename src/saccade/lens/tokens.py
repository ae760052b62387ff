"""Which tokens of a call are patches of a picture, and where: so that a row of weights can be shown as a picture."""

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from saccade.errors import SaccadeError

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
    by row, then `suffix` tokens (of detection, of text).

    Raises SaccadeError for numbers that are none of these.
    """

    grid: tuple[int, int]
    prefix: int = 0
    frames: int = 1
    suffix: int = 0

    def __post_init__(self) -> None:
        try:
            sides = (*map(operator.index, self.grid), operator.index(self.frames))
            rest = operator.index(self.prefix), operator.index(self.suffix)
        except TypeError as error:
            raise SaccadeError(f"{self}: expected whole numbers, grid=(rows, columns)") from error
        if len(sides) != 3 or min(sides) < 1 or min(rest) < 0:
            raise SaccadeError(f"{self}: expected grid=(rows, columns) and frames of 1 or more, the others 0 or more")

    def __len__(self) -> int:
        return self.prefix + self.frames * self.grid[0] * self.grid[1] + self.suffix

    def picture(self, values: Shaped[Tensor, "*axes n"]) -> Shaped[Tensor, "*axes y x"]:
        """Values of all tokens (rows of a call, what its targets receive, a rollout) as pictures: without prefix and
        suffix, (... rows columns), or (... frames rows columns) of a film."""
        if values.shape[-1] != len(self):
            raise SaccadeError(f"values of {values.shape[-1]} tokens; {self} has {len(self)}")
        patches = values[..., self.prefix : len(self) - self.suffix]
        return patches.unflatten(-1, self.grid if self.frames == 1 else (self.frames, *self.grid))

    def token(self, row: int, column: int, frame: int = 0) -> int:
        """The number of the token that is this patch."""
        for what, place, sizes in (("row", row, self.grid[0]), ("column", column, self.grid[1]),
                                   ("frame", frame, self.frames)):  # fmt: skip
            if not 0 <= place < sizes:
                raise SaccadeError(f"{what} {place} of {self}: expected 0 to {sizes - 1}")
        return self.prefix + (frame * self.grid[0] + row) * self.grid[1] + column


def token_map(model: nn.Module, picture: Shaped[Tensor, "b ..."], tokens: int) -> TokenMap:
    """Where the tokens of a model lie, found from the model and from what went in, or an error: it never guesses.

    picture: the input (b c y x), or a film (b t c y x) or (b c t y x). tokens: how many targets or sources the call
    has (`call.shape[2]`, `call.shape[3]`). The grid is that of the only patch embedding (a convolution whose stride is
    its kernel), or of the only module that has a `grid` method and a `prefix`, as ours have; the prefix is that of
    the parameters that are tokens (`cls_token`, `register_tokens`, ...), which must account for every token that is
    not a patch.

    Raises SaccadeError, saying what was found and what to give, where these do not settle it: several embeddings,
    tokens of text, windows, levels of a pyramid.
    """
    if picture.ndim not in (4, 5) or min(picture.shape) < 1:
        raise SaccadeError(f"a picture of shape {tuple(picture.shape)}; expected (b c y x), or a film of five axes")
    grid, first, last, said = _layout(model, picture)
    patches = grid[0] * grid[1]
    among = tokens - first - last
    frames = among // patches
    if among < patches or among % patches or (frames > 1 and picture.ndim == 4):
        raise SaccadeError(
            f"where {tokens} tokens of {type(model).__name__} lie cannot be told: {said} for {grid[0]} x {grid[1]} = "
            f"{patches} patches, {first} tokens before and {last} after them; "
            "give TokenMap(grid=(rows, columns), prefix=..., suffix=...)"
        )
    return TokenMap(grid, first, frames, last)


def _layout(model: nn.Module, picture: Tensor) -> tuple[tuple[int, int], int, int, str]:
    """The grid, the tokens before and after it, and where that was found."""
    named = [each for each in model.modules() if callable(getattr(each, "grid", None)) and _is_count(each, "prefix")]
    if len(named) == 1 and picture.ndim == 4:
        own: Any = named[0]
        rows, columns = own.grid(picture)
        return (rows, columns), own.prefix, 0, f"{type(own).__name__} says so"
    found = dict.fromkeys((name, size) for name, size in _embeddings(model))
    if len({size for _, size in found}) != 1:
        names = ", ".join(f"{name} ({y} x {x} pixels)" for name, (y, x) in found) or "none"
        raise SaccadeError(
            f"where the tokens of {type(model).__name__} lie cannot be told: one patch embedding (a convolution whose "
            f"stride is its kernel) was expected, found {names}; give TokenMap(grid=(rows, columns), prefix=...)"
        )
    (name, (height, width)), *_ = found
    grid = picture.shape[-2] // height, picture.shape[-1] // width
    if min(grid) < 1:
        raise SaccadeError(f"a picture of {tuple(picture.shape[-2:])} pixels is smaller than a patch of {name}")
    return grid, _tokens(model, FIRST), _tokens(model, LAST), f"the patches of {name} account"


def _embeddings(model: nn.Module) -> Iterator[tuple[str, tuple[int, int]]]:
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d) and module.stride == module.kernel_size:
            size = module.kernel_size[-2:]
            bare = module.padding == "valid" or not any(module.padding)
            if max(size) > 1 and bare and module.groups == 1:
                yield name, (size[0], size[1])


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
