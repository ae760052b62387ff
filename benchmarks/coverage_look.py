"""One family watched: what the lens saw, beside every map that the model makes and what its library gives of them."""

import re
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from attention_truth import Finder, Map, alike
from tiny_families import Case, Subject
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import saccade


@dataclass
class Look:
    """One watched model beside the true maps. maps: how many there are; matched: how many some call equals."""

    maps: int = 0
    calls: int = 0
    matched: int = 0
    named: dict[str, str] = field(default_factory=dict)  # trace.missed
    unseen: list[str] = field(default_factory=list)  # modules of maps that no call equals, though named
    silent: list[str] = field(default_factory=list)  # the same, and not named
    differing: list[str] = field(default_factory=list)  # calls that equal no true map
    kinds: dict[str, str] = field(default_factory=dict)
    changed: bool = False  # the output is not that of the unwatched model

    @property
    def status(self) -> str:
        """What the rows of the table are counted by."""
        if self.changed or self.differing or self.silent:
            return "wrong"
        if self.maps:
            return "captured" if self.matched == self.maps else "missed"
        return "other" if self.named else "none"


@dataclass
class Row:
    """What was found of one family."""

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
    row, begun = Row(case.family, case.group), time.perf_counter()
    try:
        subject = case.build()
    except Exception as error:  # whatever a library raises; it is told in the table
        row.why = _told(error)
        return row
    row.model = type(subject.model).__name__
    try:
        compare(row, subject)
    except Exception as error:  # the model ran before, so this is ours
        row.status, row.why = "wrong", _told(error)
    row.seconds = time.perf_counter() - begun
    return row


def compare(row: Row, subject: Subject) -> None:
    """Fill in what the lens and the peers see of a model."""
    twin = subject.model if subject.eager is None else subject.eager
    truth, ran = true_maps(twin, subject)
    row.eager = None if subject.eager is None else look_at(twin, subject, truth, ran)
    if not all(map(_near, run(subject.model, subject), run(twin, subject))):
        row.why = TWO_MODELS
        truth, ran = true_maps(subject.model, subject)
    row.look = look_at(subject.model, subject, truth, ran)
    row.status = row.look.status
    if subject.eager is not None:
        ways = {"default": subject.model, "eager": subject.eager}
        row.peers = {way: given_attentions(model, subject, truth) for way, model in ways.items()}


# Then the twin's maps are not those of the model, whose own fused kernels are taken apart instead.
TWO_MODELS = "the library computes something else under eager attention"


def _near(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape or not a.is_floating_point():
        return a.shape == b.shape
    return torch.allclose(a, b, rtol=1e-2, atol=1e-2, equal_nan=True)


def _told(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    said = " ".join(str(error).split())[:400]
    return f"{type(error).__name__}: {said} ({Path(place.filename).name}:{place.lineno})"


def run(model: nn.Module, subject: Subject, **more: Any) -> list[Tensor]:
    """Every tensor of the output, without gradients, random numbers started afresh."""
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


def true_maps(model: nn.Module, subject: Subject) -> tuple[list[Map], dict[str, str]]:
    """The maps of a model, and every module that ran with its class."""
    finder = Finder(model)
    with finder.following(model):
        run(model, subject)
    return finder.maps, finder.ran


def look_at(model: nn.Module, subject: Subject, truth: list[Map], ran: dict[str, str]) -> Look:
    """Watch a model and compare its trace with the true maps."""
    plain = run(model, subject)
    with saccade.watch(model) as trace:
        watched = run(model, subject)
    look = Look(maps=len(truth), calls=len(trace), named=dict(trace.missed))
    look.changed = len(plain) != len(watched) or not all(map(_same, plain, watched))
    left = list(truth)
    for call in trace:
        look.kinds[call.name] = call.kind
        weights = call.weights()
        match = next((m for m in left if alike(m.value, weights)), None)
        if match is None:
            look.differing.append(f"{call.name} {tuple(call.shape)}")
        else:
            left.remove(match)
            look.matched += 1
    for one in left:
        where = look.unseen if _is_named(one.name, look.named, type(model).__name__) else look.silent
        where.append(f"{one.name} {tuple(one.value.shape)}")
    look.silent += [
        name for name in _other_attention(truth, ran) if not _is_named(name, look.named, type(model).__name__)
    ]
    return look


def _other_attention(truth: list[Map], ran: dict[str, str]) -> list[str]:
    """Modules that are called attention and ran, but made no map, nor did one in them or around them."""
    attending = [one.name for one in truth]
    called = [name for name, kind in ran.items() if re.search("(attention|attn)(?!.*output$)", kind.lower())]
    return [
        name
        for name in called
        if not any(n == name or n.startswith(f"{name}.") or name.startswith(f"{n}.") for n in attending)
    ]


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))


def _is_named(name: str, named: dict[str, str], root: str) -> bool:
    """Whether a module, one around it or one in it is named as missed."""
    if "." not in name and root in named:  # the model itself is named by its class
        return True
    return any(name == n or name.startswith(f"{n}.") or n.startswith(f"{name}.") for n in named)


def given_attentions(model: nn.Module, subject: Subject, truth: list[Map]) -> int:
    """How many of the true maps `output_attentions` gives."""
    torch.manual_seed(7)
    try:
        with torch.no_grad():
            out = model(**subject.inputs, output_attentions=True, return_dict=True)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, RuntimeError):  # it has none of that
        return 0
    given, left = _tensors(_attentions(out)), list(truth)
    for t in given:
        match = next((m for m in left if t.ndim >= 3 and alike(m.value, t)), None)
        if match is not None:
            left.remove(match)
    return len(truth) - len(left)


def _attentions(out: Any) -> list[Any]:
    """What an output, or an output in it, calls attentions."""
    if not isinstance(out, dict):
        return []
    return [v if "attention" in name else _attentions(v) for name, v in out.items()]
