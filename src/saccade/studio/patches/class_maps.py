"""Where the evidence for a class lies: gradient-weighted relevance, scored beside maps of random numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from saccade.errors import SaccadeError
from saccade.lens import TokenMap, Trace, watch
from saccade.lens.scores import Perturbation, deletion, insertion
from saccade.studio.page.pack import deflate
from saccade.studio.progress import track_progress

PREDICTED = 5  # classes with a map, the most likely first
MOST_TOKENS = 5000  # a backward pass keeps every layer's activations
# Operations of all scores of a page: some 15 s of two cores. No time is measured, so that scores are the same anywhere.
OPERATIONS = 1.5e12
EFFORTS = ((10, 4), (5, 2))  # steps of each curve, and random maps beside each map: the first that is affordable
_FINE = 32767

Logits = Callable[[Float[Tensor, "b c y x"]], Float[Tensor, "b k"]]


@dataclass(frozen=True)
class ClassMap:
    """The evidence for one class. relevance: of every token, sums to 1 (all 0 if nothing speaks for the class).
    deletion, insertion: scores of the map of the patches, None if they were not computed."""

    index: int
    label: str
    probability: float
    relevance: Float[Tensor, "n"]
    deletion: Perturbation | None = None
    insertion: Perturbation | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON: areas under the curves, of this map and of random maps."""
        scores = {"deletion": self.deletion, "insertion": self.insertion}
        areas = {
            name: {"area": round(one.area.value, 4), "random": round(one.area.random, 4)}
            for name, one in scores.items()
            if one is not None
        }
        return {"label": self.label, "probability": round(self.probability, 6), **areas}


@dataclass(frozen=True)
class ClassMaps:
    """Maps of some classes. source: the tokens that the logits are read from: "token", "mean" (of patches) or "both".
    random: number of random maps beside each in its scores."""

    maps: list[ClassMap]
    source: str
    random: int = 0

    def content(self, grid: tuple[int, int]) -> tuple[dict[str, Any], bytes]:
        """JSON for the viewer, and the maps as bytes."""
        largest = [max(float(one.relevance.max()), 1e-12) for one in self.maps]
        whole = [
            (one.relevance / most * _FINE).round().to(torch.int32).numpy()
            for one, most in zip(self.maps, largest, strict=True)
        ]
        data, planes, _ = deflate(np.stack(whole), grid)
        listed = [
            {
                "label": one.label,
                "p": one.probability,
                "step": most / _FINE,
                "deletion": _curves(one.deletion),
                "insertion": _curves(one.insertion),
            }
            for one, most in zip(self.maps, largest, strict=True)
        ]
        return {"maps": listed, "planes": planes, "source": self.source, "random": self.random}, data


def _curves(score: Perturbation | None) -> dict[str, Any] | None:
    if score is None:
        return None
    curves = {"curve": score.curve, "randomCurve": score.random_curve}
    shown = {name: [round(x, 4) for x in curve] for name, curve in curves.items()}
    return {"area": round(score.area.value, 4), "random": round(score.area.random, 4), **shown}


def chosen_classes(labels: Sequence[str], probabilities: Float[Tensor, "k"], named: Sequence[str]) -> list[int]:
    """Indices of the named classes, then of the most likely ones.

    Raises SaccadeError for a name that the model does not know."""
    known = {label.casefold(): i for i, label in reversed(list(enumerate(labels)))}
    found = []
    for name in named:
        if name.casefold() not in known:
            close = get_close_matches(name.casefold(), known, n=3, cutoff=0.5)
            close = close or [label for label in known if name.casefold() in label][:3]
            meant = f"; did you mean {', '.join(repr(labels[known[one]]) for one in close)}?" if close else ""
            raise SaccadeError(f"--class {name!r} is none of the model's {len(labels)} classes{meant}")
        found.append(known[name.casefold()])
    best = probabilities.topk(min(PREDICTED, len(labels))).indices.tolist()
    return list(dict.fromkeys([*found, *best]))


@torch.no_grad()
def class_maps(
    model: nn.Module,
    logits: Logits,
    pixels: Float[Tensor, "1 c y x"],
    tokens: TokenMap,
    classes: Mapping[int, str],
) -> tuple[ClassMaps | None, list[str]]:
    """Gradient-weighted relevance (Chefer, Gur & Wolf 2021) of every token for some classes, with scores for as many of
    them as OPERATIONS allow, the first ones first; and notes.

    logits: of pictures, by `model`. tokens: where they lie. classes: index to name.
    """
    if len(tokens) > MOST_TOKENS:
        return None, [f"no class maps: a backward pass over {len(tokens)} tokens takes too much memory"]
    probabilities = logits(pixels)[0].float().softmax(dim=0).cpu()
    forward = 2 * len(tokens) * sum(each.numel() for each in model.parameters())  # operations of a pass, roughly
    found, sources = list[ClassMap](), set[str]()
    for index, label in track_progress(list(classes.items()), "finding the evidence for classes"):
        try:
            relevance, source = _relevance(model, logits, pixels, tokens, index)
        except SaccadeError as error:
            return None, [f"no class maps: {error}"]
        found.append(ClassMap(index, label, float(probabilities[index]), relevance))
        sources.add(source)
    return _scored(ClassMaps(found, sources.pop()), logits, pixels, tokens.grid, forward)


def _relevance(
    model: nn.Module, logits: Logits, pixels: Tensor, tokens: TokenMap, index: int
) -> tuple[Float[Tensor, "n"], str]:
    """Without what is read from a token by itself, which is no evidence from the image."""
    given = pixels.clone().requires_grad_()
    with torch.enable_grad(), watch(model, gradients=True) as trace:
        torch.autograd.grad(logits(given)[0, index], given)
    calls = Trace([call for call in trace if call.kind == "self" and call.shape[2] == len(tokens)])
    start, source = _start(calls, tokens.prefix)
    relevance = (calls.relevance(start)[0] - start.to(pixels.device)).clamp_min(0).cpu().double()
    return relevance / relevance.sum().clamp_min(1e-30), source


def _start(calls: Trace, prefix: int) -> tuple[Float[Tensor, "n"], str]:
    """The tokens from which the logits are read: those of the last layer with a gradient.

    Raises SaccadeError where they are neither the first, nor the patches, nor both."""
    last = calls[-1]
    if last.gradient is None or not last.gradient.known:
        raise SaccadeError(f"no gradient reached {last.name!r}, the last layer: the classes are not read from it")
    read = (last.gradient.value(last.name) != 0).any(dim=3).any(dim=1)[0].cpu()
    first, patches = bool(read[:prefix].any()), bool(read[prefix:].any())
    weights = torch.zeros(len(read))
    if first:
        weights[:prefix] = read[:prefix].float() / read[:prefix].sum()
    if patches:
        weights[prefix:] = read[prefix:].float() / read[prefix:].sum()
    if not first and not patches:
        raise SaccadeError("the classes do not depend on the last layer: nothing can be told of them")
    return weights / weights.sum(), "both" if first and patches else "token" if first else "mean"


def _scored(
    maps: ClassMaps, logits: Logits, pixels: Tensor, grid: tuple[int, int], forward: float
) -> tuple[ClassMaps, list[str]]:
    """With scores, as many as are affordable. forward: operations of one pass.

    A picture goes through the model once: the random maps and both ends of every curve are the same for all classes."""
    plans = [(steps, n, int((OPERATIONS / (2 * forward) - (steps - 1) * n - 2) / (steps - 1))) for steps, n in EFFORTS]
    steps, random, affordable = next((plan for plan in plans if plan[2] > 0), (0, 0, 0))
    known = dict[bytes, Tensor]()

    def logits_of(pictures: Tensor) -> Tensor:
        keys = [sha256(each.cpu().numpy().tobytes()).digest() for each in pictures]
        new = {key: i for i, key in enumerate(keys) if key not in known}
        if new:
            known.update(zip(new, logits(pictures[list(new.values())]), strict=True))
        return torch.stack([known[key] for key in keys])

    def score(each: ClassMap) -> ClassMap:
        heat = each.relevance[-grid[0] * grid[1] :].view(1, *grid).float().expand(random, -1, -1)
        given = (logits_of, pixels.expand(random, -1, -1, -1), torch.full((random,), each.index), heat)
        return replace(each, deletion=deletion(*given, steps=steps), insertion=insertion(*given, steps=steps))

    found = [score(each) if i < affordable else each for i, each in enumerate(maps.maps)]
    left = f"scores of class maps beside random ones are there for {affordable} of {len(found)} classes: more take long"
    return replace(maps, maps=found, random=random), [left] if affordable < len(found) else []
