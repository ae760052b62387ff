"""Which tokens of a joint sequence came from where: follows tensors that were put together along the token axis.

A model that lets a text and an image attend jointly (SD3, Flux: Esser et al. 2024, section 4) concatenates them first.
From there on the parts are followed through every operation that leaves each token in its place. An operation that
is not known to do so ends it: then nothing is said about the parts, and never something wrong.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from saccade.lens.dataflow.operation import Operation
from saccade.lens.dataflow.tensor_map import TensorMap

Origin = frozenset[int]
ELSEWHERE: Origin = frozenset({-1})  # from no input: learned tokens (registers), a cache

JOINING = {"cat", "concat", "concatenate"}
RESHAPING = {"view", "reshape", "flatten", "unflatten", "view_as_complex", "view_as_real", "unsqueeze", "squeeze"}
CUTTING = {
    "__getitem__", "chunk", "split", "split_with_sizes", "tensor_split", "narrow", "unbind", "select", "transpose",
    "permute", "swapaxes", "swapdims", "movedim", "moveaxis", "expand", "expand_as", "detach", "view", "__get__",
}  # fmt: skip
# Each token of the result depends on the same token of the arguments only.
TOKENWISE = {
    "add", "__add__", "__radd__", "__iadd__", "sub", "__sub__", "__rsub__", "subtract", "mul", "__mul__", "__rmul__",
    "__imul__", "multiply", "div", "__truediv__", "true_divide", "neg", "__neg__", "pow", "__pow__", "square", "sqrt",
    "rsqrt", "exp", "sin", "cos", "addcmul", "clamp", "clip", "nan_to_num", "where", "lerp",
    "to", "type", "type_as", "float", "half", "bfloat16", "double", "contiguous", "clone", "dropout",
    "linear", "layer_norm", "rms_norm", "normalize", "mean", "sum", "norm", "vector_norm",
    "gelu", "silu", "relu", "tanh", "sigmoid", "softplus", "leaky_relu", "mish",
}  # fmt: skip
OF_THE_LAST_AXES = {"linear": 1, "normalize": 1}  # how many axes from the end they mix; others are looked up


@dataclass(frozen=True)
class Parts:
    """What lies along one axis of a tensor, counted from the end: runs of tokens and where each came from."""

    axis: int
    runs: tuple[tuple[int, Origin], ...]

    @property
    def length(self) -> int:
        return sum(length for length, _ in self.runs)

    def with_origins(self, others: Iterable[Origin]) -> "Parts":
        """The same with more origins for every run."""
        more: Origin = frozenset().union(*others)
        return Parts(self.axis, tuple((length, origin | more) for length, origin in self.runs))

    def cut(self, start: int, length: int) -> tuple[tuple[int, Origin], ...]:
        """The runs of the tokens from `start` on."""
        runs, at = [], 0
        for size, origin in self.runs:
            inside = min(at + size, start + length) - max(at, start)
            if inside > 0:
                runs.append((inside, origin))
            at += size
        return tuple(runs)


class JointSequences:
    """The parts of every tensor of which they are known.

    of: the origins of tensors, as `Origins` follows them; corrected here for what is cut out of a joint tensor.
    """

    def __init__(self, of: TensorMap[Origin]) -> None:
        self._of = of
        self._parts: TensorMap[Parts] = TensorMap()

    def __getitem__(self, t: Tensor) -> Parts | None:
        return self._parts.get(t)

    def follow(self, op: Operation) -> None:
        """Note one operation."""
        if op.name in JOINING and isinstance(op.out, Tensor):
            self._set(op.out, self._cat(op.given, op.args, op.kwargs, op.out))
        elif self._parts.entries and any(t in self._parts for t in op.given):
            self._carry(op)

    def attention(self, q: Tensor, out: Any) -> None:
        """The result of attention has a token for each query, in their order."""
        parts = self._parts.get(q)
        if parts is not None and isinstance(out, Tensor) and out.shape[:-1] == q.shape[:-1] and parts.axis < -1:
            self._parts[out] = parts

    def _set(self, t: Tensor, parts: Parts | None) -> None:
        if parts is None or t.ndim < -parts.axis or t.shape[parts.axis] != parts.length:
            self._parts.pop(t, None)  # written into in place
        elif len({origin for _, origin in parts.runs}) > 1:
            self._parts[t] = parts
        else:
            self._of[t] = parts.runs[0][1]  # one part alone: what else the joint tensor came from is not in it

    def _cat(self, given: list[Tensor], args: tuple, kwargs: dict, out: Tensor) -> Parts | None:
        dim = kwargs.get("dim", kwargs.get("axis", args[1] if len(args) > 1 else 0))
        axis = dim if dim < 0 else dim - out.ndim
        given = [t for t in given if t.ndim == out.ndim]  # PyTorch lets an empty tensor of one axis be with any others
        known = [self._parts.get(t) for t in given]
        if any(p is not None and p.axis != axis for p in known):
            return self._together(given) if None not in known else None  # along another axis
        runs: list[tuple[int, Origin]] = []
        for t, parts in zip(given, known, strict=True):
            runs += [(t.shape[axis], self._of.get(t, frozenset()))] if parts is None else parts.runs
        runs = [(length, origin or ELSEWHERE) for length, origin in runs if length]
        if axis == -1 or out.ndim < 3 or not runs or all(origin == ELSEWHERE for _, origin in runs):
            return None
        return Parts(axis, tuple(runs))

    def _together(self, given: Iterable[Tensor]) -> Parts | None:
        """The parts of a result that takes each token of it from the same token of all the arguments."""
        known = [self._parts[t] for t in given if t in self._parts]
        first = known[0]
        if any(p.axis != first.axis or [n for n, _ in p.runs] != [n for n, _ in first.runs] for p in known):
            return None
        alike = zip(*(p.runs for p in known), strict=True)
        runs = tuple((run[0][0], frozenset[int]().union(*(origin for _, origin in run))) for run in alike)
        plain = [self._of[t] for t in given if t not in self._parts and t in self._of]
        return Parts(first.axis, runs).with_origins(plain)

    def _carry(self, op: Operation) -> None:
        name, given, args, kwargs = op.name, op.given, op.args, op.kwargs
        source, parts = given[0], self._parts.get(given[0])
        if op.out is None and not self._still(parts, args):
            self._parts.pop(source, None)
        for t in op.results:
            found = None
            if name in RESHAPING and parts is not None:
                found = _reshaped(parts, source, t)
            if name in CUTTING and parts is not None and found is None:
                found = _viewed(parts, source, t)
            if name.removesuffix("_") in TOKENWISE or name in TOKENWISE:
                found = self._tokenwise(name.removesuffix("_") if name[:2] != "__" else name, given, args, kwargs, t)
            elif name == "stack":
                found = self._stacked(given, args, kwargs, t)
            self._set(t, found)

    def _still(self, parts: Parts | None, args: tuple) -> bool:
        """Whether x[...] = y leaves every run of x what it was: y came from where those it replaces did."""
        if parts is None or len(args) != 3 or not isinstance(args[2], Tensor):
            return parts is not None and len(args) == 3
        x, place, y = args
        into, given = _viewed(parts, x, x[place]), self._parts.get(y)
        if into is None:
            return False
        runs = [(length, self._of.get(y)) for length, _ in into.runs] if given is None else list(given.runs)
        return runs == list(into.runs)

    def _tokenwise(self, name: str, given: list[Tensor], args: tuple, kwargs: dict, out: Tensor) -> Parts | None:
        parts = self._together(given)
        if parts is None or out.ndim < -parts.axis or out.ndim != max(t.ndim for t in given if t in self._parts):
            return None
        mixes = OF_THE_LAST_AXES.get(name, 0)
        if name in ("layer_norm", "rms_norm"):
            mixes = len(kwargs.get("normalized_shape", args[1] if len(args) > 1 else ()))
        if name == "normalize" and kwargs.get("dim", args[2] if len(args) > 2 else 1) not in (-1, out.ndim - 1):
            return None
        return parts if mixes < -parts.axis else None

    def _stacked(self, given: list[Tensor], args: tuple, kwargs: dict, out: Tensor) -> Parts | None:
        if any(t not in self._parts for t in given):
            return None
        parts, dim = self._together(given), kwargs.get("dim", args[1] if len(args) > 1 else 0)
        if parts is None:
            return None
        dim = dim if dim < 0 else dim - out.ndim
        return Parts(parts.axis - (dim > parts.axis - 1), parts.runs)


def slices(parts: Parts, names: Mapping[int, str]) -> dict[str, slice] | None:
    """Each part by the name of the one input that it alone came from; None if that is not so, or if there is one part.

    names: of the inputs by number. What all parts came from (a time step) is left out. Tokens that came from no input
    are "other", "other 2", ....
    """
    shared = frozenset.intersection(*(origin for _, origin in parts.runs if origin != ELSEWHERE))
    found: dict[str, slice] = {}
    start, last, others = 0, "", 0
    for length, origin in parts.runs:
        own = origin - shared
        if origin == ELSEWHERE:
            others += last[:5] != "other"
            name = "other" if others == 1 else f"other {others}"
        else:
            name = names.get(next(iter(own)), "") if len(own) == 1 else ""
        if not name or (name in found and name != last):
            return None
        found[name] = slice(found[name].start if name in found else start, start + length)
        start, last = start + length, name
    return found if len(found) > 1 else None


def _reshaped(parts: Parts, source: Tensor, out: Tensor) -> Parts | None:
    """After a change of shape that leaves the elements in their order: the axis of as many, after as many."""
    before = source.shape[: source.ndim + parts.axis].numel()
    for i, size in enumerate(out.shape):
        if size == parts.length and out.shape[:i].numel() == before:
            return Parts(i - out.ndim, parts.runs)
    return None


def _viewed(parts: Parts, source: Tensor, out: Tensor) -> Parts | None:
    """After axes changed their places or some was cut, in a view of the same memory: the axis of the same stride."""
    if out.untyped_storage().data_ptr() != source.untyped_storage().data_ptr() or out.dtype != source.dtype:
        return None
    stride = source.stride(parts.axis)
    axes = [i for i in range(out.ndim) if out.stride(i) == stride and out.shape[i] > 1]
    if not stride or len(axes) != 1:
        return None
    (axis,), length = axes, out.shape[axes[0]]
    if length == parts.length:
        return Parts(axis - out.ndim, parts.runs)
    start = (out.storage_offset() - source.storage_offset()) // stride  # the rest was cut from axes inside
    if start < 0 or start + length > parts.length:
        return None
    return Parts(axis - out.ndim, parts.cut(start, length))
