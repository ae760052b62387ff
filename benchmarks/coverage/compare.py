"""Comparison of one family: captured maps against all maps of the model and those that its library returns."""

import re
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

import saccade
from benchmarks.coverage.families.cases import Case, Subject
from benchmarks.coverage.families.transformers.models import NotTiny
from benchmarks.coverage.true_maps import Finder, Map, alike


@dataclass
class Look:
    """A watched model compared with its true maps. maps: their number; matched: how many equal a recorded call."""

    maps: int = 0
    calls: int = 0
    matched: int = 0
    noted: int = 0  # of these, softmaxes that the model mixes or gates before use, as the note of the call says
    learned: int = 0  # softmaxes whose queries are weights of the model: no product of activations leads to them
    named: dict[str, str] = field(default_factory=dict)  # trace.missed
    unseen: list[str] = field(default_factory=list)  # modules with maps that no call equals, but named
    silent: list[str] = field(default_factory=list)  # the same, not named
    otherwise: list[str] = field(default_factory=list)  # named, without a missing softmax map
    differing: list[str] = field(default_factory=list)  # calls that equal no true map
    kinds: dict[str, str] = field(default_factory=dict)
    coarse: bool = False  # its dtype is one in which kernels differ by more than 1e-4
    apart: bool = False  # eager attention of the library computes something else
    changed: bool = False  # the output differs from that of the unwatched model

    @property
    def status(self) -> str:
        """The status by which the table counts rows."""
        if self.changed or self.differing or self.silent:
            return "wrong"
        if self.maps:
            return "captured" if self.matched == self.maps else "missed"
        ragged = any("nested" in why for why in self.named.values())  # softmax attention without a known true map
        return "missed" if ragged else "other" if self.named else "none"


@dataclass
class Row:
    """The result of one family."""

    family: str
    group: str
    status: str = "not run"
    why: str = ""
    model: str = ""
    look: Look = field(default_factory=Look)
    eager: Look | None = None
    peers: dict[str, int] = field(default_factory=dict)  # maps that output_attentions gives, by implementation
    seconds: float = 0.0


def examine(case: Case) -> Row:
    """Build, run, watch and compare one family."""
    row, start = Row(case.family, case.group), time.perf_counter()
    try:
        subject = case.build()
    except Exception as error:  # any error of a library is reported in the table
        row.why = describe_error(error)
        return row
    row.model = type(subject.model).__name__
    try:
        compare(row, subject)
    except Exception as error:  # the model ran before, so the lens raised it
        row.status, row.why = "wrong", describe_error(error)
    row.seconds = time.perf_counter() - start
    return row


def compare(row: Row, subject: Subject) -> None:
    """Fill in the maps that the lens and the peers return for a model."""
    both = looks(subject)
    if any(look is not None and look.differing for look in both):
        again = looks(in_float64(subject))
        if not any(look is not None and look.differing for look in again):
            both, row.why = again, DOUBLED
    row.eager, row.look = both
    row.status = row.look.status
    if subject.eager is not None and row.group == "transformers":
        ways = {"default": subject.model, "eager": subject.eager}
        truth = true_maps(subject.model if row.look.apart else subject.eager, subject)
        row.peers = {way: given_attentions(model, subject, truth.maps) for way, model in ways.items()}


def looks(subject: Subject) -> tuple[Look | None, Look]:
    """The twin with eager attention, if there is one, and the model itself, each compared with the true maps."""
    twin = subject.model if subject.eager is None else subject.eager
    truth = true_maps(twin, subject)
    eager = None if subject.eager is None else look_at(twin, subject, truth)
    apart = not all(map(_near, run(subject.model, subject), run(twin, subject)))
    if apart:  # the twin has other maps than the model, so the fused kernels of the model are decomposed instead
        truth = true_maps(subject.model, subject)
    look = look_at(subject.model, subject, truth)
    look.apart = apart
    return eager, look


def in_float64(subject: Subject) -> Subject:
    """The subject in float64, in which rounding errors do not change the maps."""
    for model in filter(None, (subject.model, subject.eager)):
        model.double()
    args, inputs = tree_map(_double, (subject.args, subject.inputs))
    return Subject(subject.model, args, inputs, subject.eager)


def _double(t: Any) -> Any:
    return t.double() if isinstance(t, Tensor) and t.is_floating_point() else t


DOUBLED = "compared in float64: in float32, rounding alone sets its maps apart"
COARSE = (torch.bfloat16, torch.float16)


def _near(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape or not a.is_floating_point():
        return a.shape == b.shape
    return torch.allclose(a, b, rtol=1e-2, atol=1e-2, equal_nan=True)


def describe_error(error: Exception) -> str:
    """An error in one sentence."""
    message = " ".join(str(error).split())
    if needs := re.search(r"requires the (\w+) library|No module named '(\w+)'", message):
        return f"it needs {needs.group(1) or needs.group(2)}, which is not installed"
    if isinstance(error, NotTiny):
        return message
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"its own code raised {type(error).__name__}: {message[:90]} ({Path(place.filename).name}:{place.lineno})"


def run(model: nn.Module, subject: Subject, **more: Any) -> list[Tensor]:
    """Every tensor of the output, without gradients, with a fixed seed."""
    torch.manual_seed(7)
    with torch.no_grad():
        out = model(*subject.args, **subject.inputs, **more)
    return [t.clone() for t in _tensors(out)]


def _tensors(out: Any) -> list[Tensor]:
    if isinstance(out, dict):
        out = list(out.values())
    if isinstance(out, (list, tuple)):
        return [t for item in out for t in _tensors(item)]
    return [t for t in tree_leaves(out) if isinstance(t, Tensor)]


def true_maps(model: nn.Module, subject: Subject) -> Finder:
    """The maps of a model, and the class of every module that ran. Without those of nested tensors, which no decomposed
    kernel supports."""
    finder = Finder(model)
    try:
        with finder.following(model):
            run(model, subject)
    except RuntimeError as error:
        if "nested" not in str(error):
            raise
    return finder


def look_at(model: nn.Module, subject: Subject, truth: Finder) -> Look:
    """Watch a model and compare its trace with the true maps."""
    plain = run(model, subject)
    with saccade.watch(model) as trace:
        watched = run(model, subject)
    look = Look(calls=len(trace), named=dict(trace.missed))
    look.changed = len(plain) != len(watched) or not all(map(_same, plain, watched))
    look.coarse = any(call.q.dtype in COARSE for call in trace)
    tolerance = 2e-3 if look.coarse else 1e-4
    left, others = list(truth.maps), list(truth.softmaxes)
    for call, weights in [(each, weights) for each in trace for weights in maps_of(each)]:
        look.kinds[call.name] = call.kind
        match = next((m for m in left if alike(m.value, weights, tolerance)), None)
        if match is None and weights.shape[-1] == 1:  # a single source has weight 1, and its product is skipped
            match = Map(weights, call.name, weights)
        if match is None:
            match = _before(weights, left, others)
            look.noted += bool(match and call.note)
            look.learned += bool(match and not call.note)
        if match is None:
            look.differing.append(f"{call.name} {tuple(weights.shape)}")
        else:
            look.matched += 1
            if match in left:
                left.remove(match)
    look.maps = look.matched + len(left)
    root = type(model).__name__
    for one in left:
        where = look.unseen if _is_named(one.name, look.named, root) else look.silent
        where.append(f"{one.name} {tuple(one.value.shape)}")
    attending = [one.name for one in truth.maps] + list(look.kinds)
    look.silent += [name for name in _other_attention(attending, truth.ran) if not _is_named(name, look.named, root)]
    look.otherwise = [name for name in look.named if not any(_nested(name, one.name) for one in left)]
    return look


def maps_of(call: saccade.lens.Call) -> list[Tensor]:
    """The weights of a call; of one whose sequences attend each to itself, those of each, unless one sees another."""
    weights = call.weights()
    if call.lengths is None:
        return [weights]
    ends = [sum(call.lengths[: i + 1]) for i in range(len(call.lengths))]
    parts = [weights[..., z - n : z, z - n : z] for z, n in zip(ends, call.lengths, strict=True)]
    inside = sum(float(part.sum()) for part in parts)
    return parts if abs(inside - float(weights.sum())) < 1e-3 * inside else [weights]


def _before(weights: Tensor, left: list[Map], others: list[Tensor]) -> Map | None:
    """The map with these weights as its softmax, before the model modified it; or a softmax with an unknown map."""
    match = next((m for m in left if alike(m.softmax, weights)), None)
    if match is None and (other := next((t for t in others if alike(t, weights)), None)) is not None:
        others[:] = [t for t in others if t is not other]
        match = Map(other, "", other)
    return match


def _nested(name: str, other: str) -> bool:
    """Whether one module contains the other."""
    return name == other or "" in (name, other) or name.startswith(f"{other}.") or other.startswith(f"{name}.")


def _other_attention(attending: list[str], ran: dict[str, str]) -> list[str]:
    """Modules with attention in their class or name that ran, where neither they nor a module in or around them has a
    map."""
    called = [name for name, kind in ran.items() if _called_attention(name, kind)]
    return [name for name in called if not any(_nested(name, n) for n in attending)]


def _called_attention(name: str, kind: str) -> bool:
    own = re.fullmatch(r"(.*_)?(attention|attn)\d*", name.rpartition(".")[2].lower()) and kind not in vars(nn)
    return bool(own or re.search("(attention|attn)(?!.*output$)", kind.lower()))


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))


def _is_named(name: str, named: dict[str, str], root: str) -> bool:
    """Whether a module, its parents or children are named as missed."""
    if "." not in name and root in named:  # the model itself is named by its class
        return True
    return any(_nested(name, n) for n in named)


def given_attentions(model: nn.Module, subject: Subject, truth: list[Map]) -> int:
    """Number of true maps that `output_attentions` returns."""
    torch.manual_seed(7)
    try:
        with torch.no_grad():
            out = model(**subject.inputs, output_attentions=True, return_dict=True)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, RuntimeError):  # not supported by the model
        return 0
    given, left = _tensors(_attentions(out)), list(truth)
    for t in given:
        match = next((m for m in left if t.ndim >= 3 and alike(m.value, t)), None)
        if match is not None:
            left.remove(match)
    return len(truth) - len(left)


def _attentions(out: Any) -> list[Any]:
    """The attentions of an output and of outputs in it."""
    if not isinstance(out, dict):
        return []
    return [v if "attention" in name else _attentions(v) for name, v in out.items()]
