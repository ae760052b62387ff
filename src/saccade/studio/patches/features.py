"""Features of the tokens of an image after every block: recorded during a forward pass, and packed for a page."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from saccade.lens import Call
from saccade.studio.page.pack import deflate

STEPS = (1 / 256, 1 / 128, 1 / 64)  # of a coordinate of a unit feature: the finest that fits
MOST_BYTES = 4_000_000  # of a page, for the features of one image
MOST_NUMBERS = 30_000_000  # in all layers of one image: what rotating and packing takes in about ten seconds
COMPONENTS = 3  # principal ones, shown as red, green and blue
_FINE = 2047  # steps of a principal component on each side of 0
_SAMPLED = 48  # tokens, to measure errors


@dataclass
class FeatureRecorder:
    """Outputs of blocks (members of lists of modules) during one forward pass, by name, and which norm read each."""

    outputs: dict[str, Float[Tensor, "..."]] = field(default_factory=dict)
    _readers: dict[int, nn.Module] = field(default_factory=dict)
    _repeated: set[str] = field(default_factory=set)
    _versions: dict[str, int] = field(default_factory=dict)

    def keep(self, name: str, _: nn.Module, __: Any, out: Any) -> None:
        """A forward hook of a block."""
        out = out[0] if isinstance(out, tuple) and out else out
        if isinstance(out, Tensor) and out.ndim in (3, 4) and out.is_floating_point():
            if name in self.outputs:
                self._repeated.add(name)  # it runs several times: which call is whose is not known
            self.outputs[name], self._versions[name] = out, out._version
            self._readers.pop(id(out), None)  # of another tensor, which was freed

    def record_norm(self, norm: nn.Module, given: tuple[Any, ...], _: Any) -> None:
        """A forward hook of a normalization."""
        if given:
            self._readers[id(given[0])] = norm

    def valid_outputs(self) -> dict[str, Float[Tensor, "..."]]:
        """The outputs of blocks that ran once, and which no later block wrote over."""
        return {
            name: out
            for name, out in self.outputs.items()
            if name not in self._repeated and self._versions.get(name, out._version) == out._version
        }

    def norm_after(self, out: Tensor) -> nn.Module | None:
        """The normalization that read an output."""
        return self._readers.get(id(out))

    def features(self, calls: Sequence[Call]) -> "Features | None":
        """Of the blocks that hold these self-attention calls; None without that of the last one."""
        tokens = calls[-1].shape[2] if calls else 0
        known = {
            name: out for name, out in self.valid_outputs().items() if out.ndim == 3 and out.shape[:2] == (1, tokens)
        }
        blocks = {call.name: enclosing_block(call, known) for call in calls}
        last = known.get(blocks[calls[-1].name]) if calls else None
        if last is None:
            return None
        norm = self.norm_after(last)
        return Features(
            {call: apply_norm(known[name], norm)[0] for call, name in blocks.items() if name}, norm is not None
        )


def enclosing_block(call: Call, blocks: Iterable[str]) -> str:
    """The name of the innermost block that holds a call; "" if none does."""
    return max((name for name in blocks if call.name.startswith(f"{name}.")), key=len, default="")


def apply_norm(out: Float[Tensor, "*shape"], norm: nn.Module | None) -> Float[Tensor, "*shape"]:
    """An output after a normalization, on the CPU."""
    with torch.no_grad():
        return (out if norm is None else norm(out)).detach().cpu()


@contextmanager
def record_features(model: nn.Module) -> Iterator[FeatureRecorder]:
    """Record the outputs of a model's blocks during one forward pass inside the block."""
    found = FeatureRecorder()
    blocks = {
        f"{name}.{i}" if name else str(i): block
        for name, parent in model.named_modules()
        if _is_list_of_blocks(parent)
        for i, block in enumerate(parent.children())
    }
    hooks = [block.register_forward_hook(partial(found.keep, name)) for name, block in blocks.items()]
    norms = [module for module in model.modules() if "Norm" in type(module).__name__]
    hooks += [norm.register_forward_hook(found.record_norm) for norm in norms]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _is_list_of_blocks(module: nn.Module) -> bool:
    return isinstance(module, nn.ModuleList | nn.Sequential) and len({type(child) for child in module.children()}) == 1


@dataclass(frozen=True)
class Features:
    """Features of all tokens (n d) after the block of each attention call, by its name. normed: whether the encoder's
    final norm is applied to them."""

    layers: dict[str, Float[Tensor, "n d"]]
    normed: bool


@dataclass(frozen=True)
class PackedLayer:
    """One layer of one or two images, packed: bytes for each image, and what is needed to read them."""

    data: list[bytes]
    meta: dict[str, Any]

    @property
    def size(self) -> int:
        """Bytes on a page."""
        return sum(map(len, self.data)) * 4 // 3


def pack_features(
    images: Sequence[Features], grids: Sequence[tuple[int, int]], names: Sequence[str]
) -> list[PackedLayer | None]:
    """Pack features for a page: in all layers and as finely as MOST_BYTES and MOST_NUMBERS an image allow, else in
    fewer layers, spread evenly, the last one included. Layers of two images share axes and principal components.

    names: of the attention calls of the page, the layers."""
    layers = {i: [one.layers[n] for one in images] for i, n in enumerate(names) if all(n in o.layers for o in images)}
    packed = pack_layers(layers, dict.fromkeys(layers, grids))
    return [packed.get(i) for i in range(len(names))]


def pack_layers(
    layers: Mapping[int, Sequence[Float[Tensor, "n d"]]], grids: Mapping[int, Sequence[tuple[int, int]]]
) -> dict[int, PackedLayer]:
    """Pack the layers of one or more images, each on grids of its own, as `pack_features` does; those that fit."""
    there, images = list(layers), len(next(iter(layers.values())))
    numbers = sum(max(one.numel() for one in layer) for layer in layers.values()) / len(layers)
    kept = _spread(there, max(1, int(MOST_NUMBERS // numbers)))
    budget = MOST_BYTES * images
    rotated = {i: rotate_features(layers[i], grids[i]) for i in kept}
    for step in STEPS:
        if step != STEPS[-1] and sum(_estimate(each, step) for each in rotated.values()) > budget:
            continue
        packed = {i: _pack(rotated[i], grids[i], step) for i in kept}
        if sum(each.size for each in packed.values()) <= budget:
            break
    while len(packed) > 1 and sum(each.size for each in packed.values()) > budget:
        packed = {i: packed[i] for i in _spread(list(packed), len(packed) - 1)}
    return packed


def _spread(layers: list[int], keep: int) -> list[int]:
    """`keep` of them, evenly, the last one always."""
    if keep >= len(layers):
        return layers
    return [layers[len(layers) - 1 - round(i * (len(layers) - 1) / max(keep - 1, 1))] for i in range(keep)][::-1]


@dataclass(frozen=True)
class RotatedFeatures:
    """Unit features of each image on the axes of the principal components of all, and the first of these.

    shares: of the variance of the patches that each component explains.
    """

    units: list[Float[Tensor, "n d"]]
    components: list[Float[Tensor, "m 3"]]
    shares: list[float]


def rotate_features(images: Sequence[Float[Tensor, "n d"]], grids: Sequence[tuple[int, int]]) -> RotatedFeatures:
    """Rotate features scaled to length 1, so that cosines are unchanged and few axes hold most of what differs: the
    axes of the principal components of the patches."""
    patches = [one[len(one) - rows * columns :] for one, (rows, columns) in zip(images, grids, strict=True)]
    given = [one.float() for one in images]
    every = torch.cat(given).double()
    few = len(every) < every.shape[1]  # then as many axes as tokens hold all of them
    basis = torch.linalg.qr(every.T).Q if few else None
    components, shares, axes = principal_components(torch.cat(patches), basis)
    units = [one / one.norm(dim=1, keepdim=True).clamp_min(1e-12) @ axes.float() for one in given]
    return RotatedFeatures(units, list(components.split([len(one) for one in patches])), shares)


def principal_components(
    x: Float[Tensor, "m d"], basis: Float[Tensor, "d k"] | None = None
) -> tuple[Float[Tensor, "m 3"], list[float], Float[Tensor, "d k"]]:
    """Scores of the three components of the largest variance, in this order, the share of the variance that each
    explains, and all axes. Sign: the entry of an axis that is largest in size is positive. basis: orthonormal, of a
    space that holds x, in which the axes lie; None for all of it."""
    x = x.double() - x.double().mean(dim=0)
    inner = x if basis is None else x @ basis
    power, axes = torch.linalg.eigh(inner.T @ inner)
    axes = axes.flip(1) if basis is None else basis @ axes.flip(1)
    axes = axes * axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)).sign()
    missing = max(COMPONENTS - len(power), 0)
    shares = (power.flip(0)[:COMPONENTS] / power.sum().clamp_min(1e-30)).clamp_min(0)
    scores = torch.cat([x @ axes[:, :COMPONENTS], x.new_zeros(len(x), missing)], dim=1)
    return scores, [*shares.tolist(), *[0.0] * missing], axes


def _estimate(layer: RotatedFeatures, step: float) -> float:
    """Bytes on a page, about: the entropy of normal numbers rounded to steps."""
    spread = torch.cat(layer.units).var(dim=0, correction=0) / step**2
    bits = (0.5 * (2 * math.pi * math.e * (spread + 1 / 12)).log2()).clamp_min(1)[spread > 1 / 12].sum()
    return float(bits) * sum(map(len, layer.units)) / 8 * 4 / 3


def _pack(layer: RotatedFeatures, grids: Sequence[tuple[int, int]], step: float) -> PackedLayer:
    """Axes of less power than rounding has are left out."""
    power = torch.cat(layer.units).square().mean(dim=0)
    kept = power > step**2 / 12
    rounded = [(one[:, kept] / step).round() for one in layer.units]
    steps = [max(float(part.abs().max()), 1e-12) / _FINE for part in torch.cat(layer.components).T]
    data, planes = [], []
    for units, components, grid in zip(rounded, layer.components, grids, strict=True):
        scores = (components / torch.tensor(steps).double()).round()
        scores = torch.cat([scores.new_zeros(len(units) - len(scores), COMPONENTS), scores])
        whole = torch.cat([units.double(), scores], dim=1).T.to(torch.int32).numpy()
        packed, kinds, _ = deflate(np.ascontiguousarray(whole), grid)
        data.append(packed)
        planes.append(kinds)
    typical, largest = _errors(layer.units, rounded)
    shown = {"count": int(kept.sum()), "step": step, "steps": steps, "shares": layer.shares}
    return PackedLayer(data, {**shown, "planes": planes, "typical": typical, "largest": largest})


def _errors(exact: Sequence[Float[Tensor, "n d"]], rounded: Sequence[Float[Tensor, "n k"]]) -> tuple[float, float]:
    """Root mean square and largest error of cosines as the page computes them, of some tokens with all others."""
    a, b = torch.cat(list(exact)), torch.cat(list(rounded))
    b = b / b.norm(dim=1, keepdim=True).clamp_min(1e-12)
    a = a / a.norm(dim=1, keepdim=True).clamp_min(1e-12)
    rows = torch.linspace(0, len(a) - 1, min(_SAMPLED, len(a))).long()
    wrong = b[rows] @ b.T - a[rows] @ a.T
    return float(wrong.square().mean().sqrt()), float(wrong.abs().max())
