"""Where a picture that is being painted looks at each word of its caption."""

import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens.dataflow.map_places import map_places
from saccade.lens.trace.call import Call
from saccade.lens.watching.sibling_calls import check_no_siblings

Grid = tuple[int, int] | Literal["square"]


def words(
    calls: Sequence[Call],
    tokens: Mapping[str, Sequence[int]],
    grid: Grid | None,
    heads: Sequence[int] | None = None,
    part: str | None = None,
) -> dict[str, Float[Tensor, "b y x"]]:
    """Heat map of each word; see `Trace.words`."""
    cross = [call for call in calls if call.kind == "cross"]
    if not cross:
        raise SaccadeError(f"words need cross-attention; none of the {len(calls)} calls is")
    grid, tokens = _checked(grid), _tokens(tokens)
    _check_batches(cross)
    check_no_siblings("words", cross)
    places = [place for each in tokens.values() for place in each]
    sums: dict[tuple[int, int], Tensor] = {}  # by grid: interpolation is linear, so once a grid is enough
    for call in cross:
        own = _grid(call, grid)
        picture = _columns(call, _sources(call, places, part), heads).unflatten(-1, own)  # (b places y x)
        sums[own] = sums[own] + picture if own in sums else picture
    finest = grid if isinstance(grid, tuple) else max(sums)
    total = torch.stack([F.interpolate(each, finest, mode="bicubic") for each in sums.values()]).sum(dim=0)
    # The cubic kernel swings below 0 beside an edge, where there is no attention to take away.
    mean = iter((total.clamp_min_(0) / len(cross)).unbind(dim=1))
    return {word: torch.stack([next(mean) for _ in each]).mean(dim=0) for word, each in tokens.items()}


def _check_batches(calls: Sequence[Call]) -> None:
    """Raise SaccadeError if the calls are not of one batch: a row of one is then not the same row of another."""
    first = calls[0]
    other = next((call for call in calls if call.shape[0] != first.shape[0]), None)
    if other is not None:
        raise SaccadeError(
            f"words of calls of batch {first.shape[0]} ({first.name!r}, run {first.run}) and of batch {other.shape[0]} "
            f"({other.name!r}, run {other.run}): guidance that begins or ends does that, and a row is not the same "
            "picture in both; choose the runs of one batch first, as trace.runs(range(10))"
        )


def _sources(call: Call, places: list[int], part: str | None) -> list[int]:
    """The sources of a call that are the tokens at these places of a part of them."""
    parts = call.source_parts
    if part is None and parts is None:
        return places
    if part is None:
        laid = f"{', '.join(f'{name} ({each.stop - each.start})' for name, each in (parts or {}).items())}"
        raise SaccadeError(
            f"words of {call.name!r}: its {call.shape[3]} sources are several sequences put together"
            + (f": {laid}; say which the tokens are of, as part={list(parts)[-1]!r}" if parts else
               ", in an order that could not be followed: compute columns() of the places that you know")
        )  # fmt: skip
    if not parts or part not in parts:
        there = f"it has {', '.join(map(repr, parts))}" if parts else "of its sources no parts are known"
        raise SaccadeError(f"words of the part {part!r} of {call.name!r}: {there}")
    start, length = parts[part].start, parts[part].stop - parts[part].start
    if wrong := [place for place in places if not -length <= place < length]:
        raise SaccadeError(
            f"words of {call.name!r}: token {wrong[0]} of {part!r}, which has {length}, 0 to {length - 1}"
        )
    return [start + place % length for place in places]


def _tokens(given: Any) -> dict[str, list[int]]:
    """The tokens of each word."""
    message = f"words were asked for {given!r}: expected the tokens of each, {{'cat': [2, 3]}}"
    if not isinstance(given, Mapping) or not given:
        raise SaccadeError(message)
    try:
        tokens = {word: [operator.index(place) for place in each] for word, each in given.items()}
    except (TypeError, RuntimeError) as error:
        raise SaccadeError(message) from error
    if not all(tokens.values()):
        raise SaccadeError(message)
    return tokens


def _checked(grid: Any) -> Grid | None:
    if grid is None or grid == "square":
        return grid
    try:
        rows, columns = map(operator.index, grid)
    except (TypeError, ValueError) as error:
        raise SaccadeError(f"a grid of {grid!r}: expected (rows, columns) or 'square'") from error
    if min(rows, columns) < 1:
        raise SaccadeError(f"a grid of {rows} x {columns}: expected (rows, columns), each 1 or more")
    return rows, columns


def _columns(call: Call, places: list[int], heads: Sequence[int] | None) -> Float[Tensor, "b i n"]:
    columns = call.columns(places)
    if heads is not None:
        wrong = [head for head in heads if not -columns.shape[1] <= head < columns.shape[1]]
        if wrong or not len(heads):
            raise SaccadeError(f"heads {list(heads)} of {call.name!r}: it has {columns.shape[1]}")
        columns = columns[:, list(heads)]
    return columns.mean(dim=1).transpose(1, 2).float()


def _grid(call: Call, grid: Grid | None) -> tuple[int, int]:
    """The grid of one layer's targets: the given one, halved as often as its number of targets says."""
    n = call.shape[2]
    places = map_places(call.node)
    if places is not None and not torch.equal(places, torch.arange(len(places))):
        raise SaccadeError(
            f"words of {call.name!r}: its {call.shape[0]} x {n} targets do not lie row by row on their feature map, "
            "picture by picture (windows, a part, another order): compute columns() of the words, and lay them out"
        )
    if call.tokens_before > n:
        raise SaccadeError(
            f"words of {call.name!r}: its {n} targets were made of {call.tokens_before} tokens, some of which were "
            "merged or left out (token merging), so they are no picture; watch the model without that"
        )
    if grid is None:
        raise SaccadeError(
            f"words of {call.name!r}: how its {n} targets lie on the picture is not given; give grid=(rows, columns) "
            "of the finest layer, or grid='square'"
        )
    if grid == "square":
        side = round(n**0.5)
        if side * side != n:
            raise SaccadeError(f"words of {call.name!r}: its {n} targets are no square; give grid=(rows, columns)")
        return side, side
    found = [each for each in _halvings(grid) if each[0] * each[1] == n]
    if not found:
        rows, columns = grid
        raise SaccadeError(
            f"words of {call.name!r}: its {n} targets are not {rows} x {columns}, nor that halved any number of times; "
            "give grid=(rows, columns) of the finest layer, or choose calls of one grid first"
        )
    return found[0]


def _halvings(grid: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """The grid and its halvings, each rounded up as a convolution of stride 2 does."""
    rows, columns = grid
    yield rows, columns
    while rows > 1 or columns > 1:
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
        yield rows, columns
