"""Whether a page is true: its numbers beside maps that are found without the lens, its places beside changed pixels."""

import copy
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

import saccade
from benchmarks.coverage.compare import COARSE, maps_of, true_maps
from benchmarks.coverage.families.cases import Subject
from benchmarks.coverage.stand_in import PICTURES, in_cell
from benchmarks.coverage.true_maps import Finder, alike
from saccade.lens import Call, Trace
from saccade.studio.places.targets import PlacesPageData
from saccade.studio.views import View
from saccade.studio.views.answer import AnswerView
from saccade.studio.views.encoder import EncoderView
from saccade.studio.views.places import PlacesView
from saccade.studio.views.vision import VisionView
from saccade.tasks.ask.answer import LayerAttention

SEED = 7  # of every run, as in `compare.run`
SMALLEST = 4  # cells a side of a grid in which neighbours can be told apart
NEAR = 2  # cells over which convolutions before the attention spread a change
PICKED, ORDERS = 7, 10_000  # cells a side that are changed in deep layers, and random assignments beside them
OFF = 0.9  # cells by which the change may be off on average: strided convolutions shift it by up to half a one


@dataclass
class Compared:
    """calls: attention calls on the page. maps: those of the model. wrong: what is not true, in words."""

    calls: int = 0
    maps: int = 0
    wrong: list[str] = field(default_factory=list)


def compare(view: View, inputs: Subject, subject: Subject) -> Compared:
    """A page with the model. inputs: what the model of the view was called with. subject: the model of its library, of
    which our own networks have read the weights."""
    if isinstance(view, EncoderView):
        inputs = with_pixels(subject, inputs.args[0])
    if isinstance(view, AnswerView):
        return compare_answer(view, inputs)
    shown = calls_on_page(view)
    left, found = shown, Compared(len(shown))
    for model in models(inputs.model):
        truth = true_maps(model, inputs)
        found.maps = max(found.maps, len(truth.maps))
        if not (left := unmatched(left, truth)):
            break
    found.wrong += [f"{call.name} {tuple(call.shape)} equals no map of the model" for call in left]
    found.wrong += misplaced(view, inputs)
    return found


def with_pixels(subject: Subject, pixels: Tensor) -> Subject:
    """The subject, called with one other picture."""
    if subject.args:
        return Subject(subject.model, (pixels,))
    others = {name: given[:1] for name, given in subject.inputs.items() if isinstance(given, Tensor)}
    config = getattr(subject.model, "config", None)
    if hasattr(config, "mask_ratio"):  # MAE leaves out patches and shuffles the others; its encoder alone does not
        config.mask_ratio = 0.0
        others["noise"] = torch.arange((config.image_size // config.patch_size) ** 2, dtype=torch.float)[None]
    return Subject(subject.model, (), {**others, "pixel_values": pixels})


def calls_on_page(view: View) -> list[Call]:
    """Those whose numbers are on it."""
    placed = [layer.call.call for layer in view.targets.layers] if isinstance(view.targets, PlacesPageData) else []
    if isinstance(view, PlacesView):
        return placed
    others = view.trace if view.targets is None else view.targets.others
    return [*(call for call in others if call.mask is None and not call.causal), *placed]


def models(model: nn.Module) -> Iterator[nn.Module]:
    """The model under eager attention, where its library has that, and as it is, whose kernels are taken apart."""
    twin = copy.deepcopy(model)
    if hasattr(twin, "set_attn_implementation"):
        with suppress(Exception):  # some classes have one form only
            twin.set_attn_implementation("eager")
            yield twin
    yield model


def unmatched(calls: list[Call], truth: Finder) -> list[Call]:
    """The calls that equal no map; each map is that of one call."""
    left = [*(one.value for one in truth.maps), *(one.softmax for one in truth.maps), *truth.softmaxes]
    missing = []
    for call in calls:
        tolerance = 2e-3 if call.q.dtype in COARSE else 1e-4
        for weights in maps_of(call):
            match = next((i for i, one in enumerate(left) if alike(one, weights, tolerance)), None)
            if match is not None:
                del left[match]
            elif call not in missing:
                missing.append(call)
    return missing


def compare_answer(view: AnswerView, inputs: Subject) -> Compared:
    """What the first word of an answer attends to: the last row of each map."""
    layers, answer = view.prediction.layers, view.prediction
    tokens = torch.cat([one.tokens for one in answer.pictures]) if answer.located else None
    left, found = list(layers), Compared(len(layers))
    for model in models(inputs.model):
        rows = [one.value[0, :, -1].float() for one in first_step(model, inputs).maps if one.value.ndim == 4]
        found.maps = max(found.maps, len(rows))
        left = [layer for layer in left if not any(_same_row(layer, row, tokens) for row in rows)]
        if not left:
            break
    found.wrong = [f"{layer.name}: what the first word attends to is no row of the model's" for layer in left]
    return found


def first_step(model: nn.Module, inputs: Subject) -> Finder:
    """The maps of the pass that the first word of an answer is predicted from."""
    finder, writer = Finder(model), cast(Any, model)
    given = {name: t.clone() if isinstance(t, Tensor) else t for name, t in inputs.inputs.items()}
    with finder.following(model), torch.no_grad():
        writer.generate(**given, do_sample=False, num_beams=1, max_new_tokens=1)
    return finder


def _same_row(layer: LayerAttention, row: Float[Tensor, "h m"], tokens: Tensor | None) -> bool:
    weights = layer.weights[:, 0]
    if row.shape[0] != len(weights):
        return False
    if tokens is None:  # all of the picture is one place
        return bool(((row.sum(-1) - layer.shares[:, 0].sum(-1)).abs() < 1e-4).all())
    if len(tokens) != weights.shape[1] or int(tokens.max()) >= row.shape[1]:
        return False
    expected = torch.where(tokens >= 0, row[:, tokens.clamp_min(0)], 0.0)
    return bool(((expected - weights).abs() < 1e-4).all())


@dataclass(frozen=True)
class Site:
    """Where a page shows tokens: read gives what stands at each cell of a grid in a watched pass."""

    name: str
    grid: tuple[int, int]
    read: Callable[[Trace], Float[Tensor, "cells d"]]


def misplaced(view: View, inputs: Subject) -> list[str]:
    """Places that are not where the page shows them: other pixels in a cell change what stands at another most."""
    name = picture_in(inputs)
    if name is None:
        return []
    wrong = []
    for site in sites(view):
        rows, columns = site.grid
        plain, far, off = site.read(watched(inputs, name, None)), 0, torch.zeros(2)

        def change(row: int, column: int, site: Site = site, plain: Tensor = plain) -> Float[Tensor, "y x"]:
            other = site.read(watched(inputs, name, (row, column, *site.grid)))
            return (other - plain).double().square().sum(-1).view(site.grid)

        for row, column in product((rows // 3, 2 * rows // 3), (columns // 3, 2 * columns // 3)):
            found = change(row, column)
            if not float(found.sum()) > 0:  # queries that the lens made of a product's scores
                continue
            y, x = divmod(int(found.argmax()), columns)
            far += max(abs(y - row), abs(x - column)) > NEAR
            off += _offset(found, row, column) / 4
        if float(off.abs().max()) > OFF or (far > 1 and not _follows(change, site.grid)):
            shift = ", ".join(f"{step:.1f}" for step in off.tolist())
            wrong.append(
                f"{site.name}: changed cells of {rows} x {columns} are elsewhere ({far} of 4), on average by {shift}"
            )
    return wrong


def _follows(change: Callable[[int, int], Float[Tensor, "y x"]], grid: tuple[int, int]) -> bool:
    """Whether cells change most with their own pixels, compared with how much they change at all: in deep layers, of
    which every cell depends on all pixels, those in the middle change most whatever is changed.

    Of some cells; the sum of their own changes must be above that of all of many random assignments.
    """
    rows, columns = grid
    picked = list(product(torch.linspace(0, rows - 1, PICKED).long().tolist(),
                          torch.linspace(0, columns - 1, PICKED).long().tolist()))  # fmt: skip
    at = torch.tensor([row * columns + column for row, column in picked])
    logs = torch.stack([change(*cell).flatten()[at] for cell in picked]).clamp_min(1e-30).log().double()
    logs = logs - logs.mean(0) - logs.mean(1, keepdim=True)
    generator = torch.Generator().manual_seed(SEED)
    others = [logs[torch.arange(len(at)), torch.randperm(len(at), generator=generator)].sum() for _ in range(ORDERS)]
    return bool(logs.diagonal().sum() > max(others))


def _offset(change: Float[Tensor, "y x"], row: int, column: int) -> Float[Tensor, "2"]:
    """Rows and columns from a cell to the centre of the change around it."""
    near = change[row - min(row, NEAR) : row + NEAR + 1, column - min(column, NEAR) : column + NEAR + 1]
    share = near / near.sum().clamp_min(torch.finfo(near.dtype).tiny)
    rows, columns = (torch.arange(n, dtype=share.dtype) for n in share.shape)
    return torch.stack([share.sum(1) @ rows - min(row, NEAR), share.sum(0) @ columns - min(column, NEAR)])


def sites(view: View) -> Iterator[Site]:
    """The first layer that is shown by queries and keys, and the first two that have grids of their own."""
    rows, columns = view.grid
    tokens = len(view.prefix) + rows * columns
    over_all = any(call.shape[2] == call.shape[3] == tokens for call in calls_on_page(view))
    if isinstance(view, VisionView | EncoderView) and min(view.grid) >= SMALLEST and over_all:

        def plain(trace: Trace) -> Tensor:
            call = next(call for call in trace if call.shape[2] == call.shape[3] == tokens)
            return call.q[0].float().movedim(0, 1).flatten(1)[len(view.prefix) :]

        yield Site("queries and keys", view.grid, plain)
    layers = [each.call for each in view.targets.layers][:2] if isinstance(view.targets, PlacesPageData) else []
    for layer in layers:
        grid, cells = layer.targets.grid, layer.targets.cells
        if grid is None or min(grid) < SMALLEST or len(cells[cells >= 0].unique()) != grid[0] * grid[1]:
            continue  # a choice of places (proposals) may be another one for other pixels
        if layer is not layers[0] and len(layer.slices) == 1:
            continue  # deeper layers mix all cells, and windows may be shifted in the second

        def placed(trace: Trace, layer: Any = layer, cells: Tensor = cells) -> Tensor:
            batch, head = torch.tensor([slices[0] for slices in layer.slices]).T
            q = trace[layer.call.name][0].q.float()[batch, head]  # (windows, tokens, k)
            out = torch.zeros(int(cells.max()) + 1, q.shape[-1])
            out[cells[cells >= 0]] = q[cells >= 0]
            return out

        yield Site(layer.name, grid, placed)


def picture_in(inputs: Subject) -> str | int | None:
    """The name or position of the only input of the form (1 3 y x), or else of the input that has the usual name."""
    given = {**dict(enumerate(inputs.args)), **inputs.inputs}
    found = [name for name, each in given.items() if isinstance(each, Tensor) and each.ndim == 4 and each.shape[1] == 3]
    named = [name for name in PICTURES if isinstance(inputs.inputs.get(name), Tensor)]
    return found[0] if len(found) == 1 else next(iter(named), None)


def watched(inputs: Subject, name: str | int, cell: tuple[int, int, int, int] | None) -> Trace:
    """The model watched, with other pixels in one cell (row, column, rows, columns) of the picture."""
    args, named = list(inputs.args), dict(inputs.inputs)
    place: Any = args if isinstance(name, int) else named
    pixels = place[name].clone()
    if cell is not None:
        there = in_cell(inputs, pixels, *cell[:2], cell[2:])
        noise = torch.randn(int(there.sum()), generator=torch.Generator().manual_seed(5))
        pixels[there] += pixels.std() * noise
    place[name] = pixels
    with saccade.watch(inputs.model) as trace, torch.no_grad():
        torch.manual_seed(SEED)
        inputs.model(*args, **named)
    return trace
