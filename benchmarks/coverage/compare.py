"""One family watched: the captured maps beside every map that the model makes and those its library returns."""

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
    """One watched model beside the true maps. maps: how many there are; matched: how many some call equals."""

    maps: int = 0
    calls: int = 0
    matched: int = 0
    noted: int = 0  # of these, softmaxes that the model mixes or gates before it uses them, as the call's note says
    learned: int = 0  # and softmaxes whose queries are weights of the model, which no product of activations leads to
    named: dict[str, str] = field(default_factory=dict)  # trace.missed
    unseen: list[str] = field(default_factory=list)  # modules of maps that no call equals, though named
    silent: list[str] = field(default_factory=list)  # the same, and not named
    otherwise: list[str] = field(default_factory=list)  # named, and no map of softmax is missing there
    differing: list[str] = field(default_factory=list)  # calls that equal no true map
    kinds: dict[str, str] = field(default_factory=dict)
    coarse: bool = False  # it computes in a dtype whose kernels differ by more than 1e-4 from one another
    apart: bool = False  # under eager attention the library computes something else
    changed: bool = False  # the output is not that of the unwatched model

    @property
    def status(self) -> str:
        """What the rows of the table are counted by."""
        if self.changed or self.differing or self.silent:
            return "wrong"
        if self.maps:
            return "captured" if self.matched == self.maps else "missed"
        ragged = any("nested" in why for why in self.named.values())  # plain attention, of which no true map is known
        return "missed" if ragged else "other" if self.named else "none"


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
    both = looks(subject)
    if any(look is not None and look.differing for look in both):
        again = looks(doubled(subject))
        if not any(look is not None and look.differing for look in again):
            both, row.why = again, DOUBLED
    row.eager, row.look = both
    row.status = row.look.status
    if subject.eager is not None and row.group == "transformers":
        ways = {"default": subject.model, "eager": subject.eager}
        truth = true_maps(subject.model if row.look.apart else subject.eager, subject)
        row.peers = {way: given_attentions(model, subject, truth.maps) for way, model in ways.items()}


def looks(subject: Subject) -> tuple[Look | None, Look]:
    """The twin with readable attention, if there is one, and the model itself, each beside the true maps."""
    twin = subject.model if subject.eager is None else subject.eager
    truth = true_maps(twin, subject)
    eager = None if subject.eager is None else look_at(twin, subject, truth)
    apart = not all(map(_near, run(subject.model, subject), run(twin, subject)))
    if apart:  # then the twin's maps are not those of the model, whose own fused kernels are taken apart instead
        truth = true_maps(subject.model, subject)
    look = look_at(subject.model, subject, truth)
    look.apart = apart
    return eager, look


def doubled(subject: Subject) -> Subject:
    """The same in float64, where rounding does not add up to other maps."""
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


def _told(error: Exception) -> str:
    """An error in a short sentence."""
    said = " ".join(str(error).split())
    if needs := re.search(r"requires the (\w+) library|No module named '(\w+)'", said):
        return f"it needs {needs.group(1) or needs.group(2)}, which is not installed"
    if isinstance(error, NotTiny):
        return said
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"its own code raised {type(error).__name__}: {said[:90]} ({Path(place.filename).name}:{place.lineno})"


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


def true_maps(model: nn.Module, subject: Subject) -> Finder:
    """The maps of a model, and every module that ran with its class. None of ragged tensors, which no kernel that
    shows its parts takes."""
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
    within = 2e-3 if look.coarse else 1e-4
    left, others = list(truth.maps), list(truth.softmaxes)
    for call in trace:
        look.kinds[call.name] = call.kind
        weights = call.weights()
        match = next((m for m in left if alike(m.value, weights, within)), None)
        if match is None and weights.shape[-1] == 1:  # a single source has all the weight, and its product is skipped
            match = Map(weights, call.name, weights)
        if match is None:
            match = _before(weights, left, others)
            look.noted += bool(match and call.note)
            look.learned += bool(match and not call.note)
        if match is None:
            look.differing.append(f"{call.name} {tuple(call.shape)}")
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
    look.otherwise = [name for name in look.named if not any(_within(name, one.name) for one in left)]
    return look


def _before(weights: Tensor, left: list[Map], others: list[Tensor]) -> Map | None:
    """The map whose softmax these weights are, before the model did something else to it; or such a softmax of which
    the map is not known."""
    match = next((m for m in left if alike(m.softmax, weights)), None)
    if match is None and (other := next((t for t in others if alike(t, weights)), None)) is not None:
        others[:] = [t for t in others if t is not other]
        match = Map(other, "", other)
    return match


def _within(name: str, other: str) -> bool:
    """Whether one module is in the other."""
    return name == other or "" in (name, other) or name.startswith(f"{other}.") or other.startswith(f"{name}.")


def _other_attention(attending: list[str], ran: dict[str, str]) -> list[str]:
    """Modules that are called attention, by their class or by their own name, and ran, but made no map, nor did one
    in them or around them."""
    called = [name for name, kind in ran.items() if _called_attention(name, kind)]
    return [name for name in called if not any(_within(name, n) for n in attending)]


def _called_attention(name: str, kind: str) -> bool:
    own = re.fullmatch(r"(.*_)?(attention|attn)\d*", name.rpartition(".")[2].lower()) and kind not in vars(nn)
    return bool(own or re.search("(attention|attn)(?!.*output$)", kind.lower()))


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))


def _is_named(name: str, named: dict[str, str], root: str) -> bool:
    """Whether a module, one around it or one in it is named as missed."""
    if "." not in name and root in named:  # the model itself is named by its class
        return True
    return any(_within(name, n) for n in named)


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
