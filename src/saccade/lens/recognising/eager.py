"""Recognise attention that is computed as separate operations, by following what becomes of q·k until it meets values.

A product of two tensors may be the scores of an attention. What is done to it is followed in `Scores`; at a softmax it
is decided, and checked, what its weights are (`resolve`); when those are multiplied with values, it was an attention.
Nothing that the model computes is touched: all this is computed separately, on detached tensors.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.nn import Parameter

from saccade.errors import in_one_line
from saccade.lens.dataflow.call_origin import CallOrigin
from saccade.lens.dataflow.operation import Operation, name_of
from saccade.lens.modes import hidden_no_grad
from saccade.lens.modules.frame import Frame
from saccade.lens.recognising import patterns, scoring
from saccade.lens.recognising.products import Product, reason_unknown, weights_product
from saccade.lens.recognising.propagation import READING, Propagation
from saccade.lens.recognising.resolve import ResolvedSoftmax, resolve, why_unfollowed
from saccade.lens.recognising.scoring import may_be_scores, version_of
from saccade.lens.recognising.softmax_weights import (
    LOST,
    Weights,
    shown_name,
)
from saccade.lens.recognising.writes import written_tensors


class Recogniser(Propagation):
    """Follows the operations of one thread.

    missed: called with the reason. origin: says where q and k come from, by them, whether they have the same length,
    and the axis of k along which the sources lie. heads: how many there are where batch and heads are one axis, if that
    is known. frames: the running modules, of which the last may say how many heads it has. context: the context in
    which it computes (`hidden_no_grad`, or `hidden`, which keeps gradients).
    """

    def __init__(
        self,
        missed: Callable[[str], None],
        origin: Callable[[Tensor, Tensor, bool, int | None], CallOrigin],
        heads: Callable[[], int | None] = lambda: None,
        frames: Sequence[Frame] = (),
        context: Callable[[], AbstractContextManager] = hidden_no_grad,
    ) -> None:
        super().__init__(missed, context)
        self._find_origin, self._heads, self._frames = origin, heads, frames

    def product(self, op: Operation) -> list[Product] | None:
        """The products of weights with values that an operation, done or not yet, is: one for each softmax whose
        weights were put together, as a rule one; none if they are missed. None if it is no such product."""
        if op.does not in PRODUCTS or not self._weights.entries:
            return None
        args, kwargs = patterns.all_positional(op.args, op.kwargs)
        if op.does == "linear" and not (
            patterns.is_product_of_activations(args, kwargs) and self._is_resolved(args[0])
        ):
            return None
        if (given := patterns.operands(op.does, args, kwargs)) is None:
            return None
        a, b, of_a, of_b, made = given
        if a in self._weights:
            return self._products_of(op, given)
        return self._products_of(op, (b, a, of_b, of_a, made)) if b in self._weights else None

    def weights(self, t: Tensor) -> Weights | None:
        """What a tensor of weights is, if it is one that is followed."""
        return self._weights.get(t)

    def merged(self, t: Tensor) -> tuple[int, int] | None:
        """The two axes, (batch, heads) as a rule, that were merged into the first of a tensor, if so."""
        return self._merged.get(t)

    @property
    def follows(self) -> bool:
        """Whether any tensor is followed."""
        return bool(self._scores.entries or self._weights.entries or self._merged.entries or self._noise.entries)

    def follow(self, op: Operation) -> list[Product]:
        """Look at one operation that was just done. Returns what `product` does."""
        self._note_writes(op)
        found = self.product(op)
        if found is None:
            self._note(op)
        return found or []

    def note(self, op: Operation, is_product: bool) -> None:
        """The same for one of which it is known whether it is a product of weights with values."""
        self._note_writes(op)
        if not is_product:
            self._note(op)

    def _note_writes(self, op: Operation) -> None:
        if self._scores.entries or self._weights.entries:
            for t in written_tensors(op, op.does in READING):
                self._written(t, op.out)

    def _note(self, op: Operation) -> None:
        does, args, kwargs, out = op.does, op.args, op.kwargs, op.out
        if does not in (None, "where"):
            args, kwargs = patterns.all_positional(args, kwargs)
        if does == "linear" and not patterns.is_product_of_activations(args, kwargs):
            does = None
        if does in STARTS:
            if isinstance(out, Tensor) and not out.is_nested:
                with self._context():
                    STARTS[does](self, op, args, kwargs, out)
            return
        if does == "reshape":
            self._note_merged(args[0], out)
        if does == "noise":
            self._noise[out] = 1
        if does != "blank" and self.follows:
            self._propagate(does, op, op.given, args, kwargs, out)

    # where scores, weights and calls begin

    def _matmul(self, op: Operation, args: tuple, kwargs: dict, out: Tensor) -> None:
        if given := patterns.operands(op.does or "", args, kwargs):
            self._scored(op, *given[:2], out)

    def _baddbmm(self, op: Operation, args: tuple, kwargs: dict, out: Tensor) -> None:
        given = dict(zip(("input", "batch1", "batch2"), args, strict=False)) | kwargs
        beta, alpha, term = given.get("beta", 1), float(given.get("alpha", 1)), given["input"]
        self._scored(op, given["batch1"], given["batch2"], out, alpha)
        if beta and term is not out and out in self._scores:
            self._put(out, self._scores[out][0].plus(term if beta == 1 else term * beta))

    def _scored(self, op: Operation, a: Tensor, b: Tensor, out: Tensor, scale: float = 1.0) -> None:
        if self._surely_scores(a) or self._surely_scores(b):
            self._miss_exponentials(a, b)
            self._propagate("matmul", op, (a, b), (a, b), {}, out)
        elif may_be_scores(a, b, out):
            q, k = a.unsqueeze(-2), b.mT.unsqueeze(-3)
            q, k = (t[(None,) * (out.ndim + 1 - t.ndim)] for t in (q, k))
            self._start((a, b), a.shape[-2] == b.shape[-1], q, k, "b" * (out.ndim - 2) + "ts", out, scale, -1)

    def _einsum(self, op: Operation, args: tuple, kwargs: dict, out: Tensor) -> None:
        parsed = patterns.einsum_of(args)
        if parsed is None or self._surely_scores(parsed[0]) or self._surely_scores(parsed[1]):
            self._miss_exponentials(*(parsed or ())[:2])
            self._propagate("einsum", op, op.given, args, kwargs, out)
            return
        a, b, of_a, of_b, of_out = parsed
        for w, own in ((a, of_a), (b, of_b)):
            if w in self._weights:
                self._mixed(op.func, w, own, of_out, out)
                return
        if (lettered := patterns.roles_of(of_a, of_b, of_out)) and may_be_scores(a, b, out):
            roles, width = lettered
            target, source = (of_out[roles.index(role)] for role in "ts")
            alike = a.shape[of_a.index(target)] == b.shape[of_b.index(source)]
            q, k = (
                patterns.einsum_operand_axes(a, of_a, of_out, width),
                patterns.einsum_operand_axes(b, of_b, of_out, width),
            )
            self._start((a, b), alike, q, k, roles, out)

    def _start(
        self, given: tuple[Tensor, Tensor], alike: bool, q: Tensor, k: Tensor, roles: str, out: Tensor, scale=1.0,
        axis: int | None = None,
    ) -> None:  # fmt: skip
        scores = scoring.scores_of(q, k, roles, out, self._find_origin(*given, alike, axis), scale)
        if min(t.ndim for t in given) == 2 or "b" not in roles:
            scores = replace(scores, ambiguous=True)
        merged = next((self._merged[t] for t in given if t in self._merged), None)
        self._put(out, replace(scores, heads=merged) if merged and out.ndim == 3 else scores)

    def _softmax(self, op: Operation, args: tuple, kwargs: dict, out: Tensor) -> None:
        given = args[0]
        axis = patterns.softmax_axis(args, kwargs, out.ndim)
        resolved: ResolvedSoftmax | str
        if isinstance(given, Tensor) and given in self._scores and axis is not None:
            resolved = resolve(self._get(given), given, out, axis, self._heads(), self._frames)
            if isinstance(resolved, ResolvedSoftmax):
                resolved.node = out.grad_fn
        elif out.ndim >= 3:
            resolved = why_unfollowed(out)
        else:  # a classifier's
            return
        if kwargs.get("out") is not None:
            resolved = f"softmax of {tuple(out.shape)} written into another tensor"
        self._set_weights(out, Weights(tuple(out.shape), axis, resolved))

    def _gumbel(self, op: Operation, args: tuple, kwargs: dict, out: Tensor) -> None:
        given = args[0] if args else kwargs.get("logits")
        if given is not None and self._surely_scores(given):
            why = f"gumbel_softmax of scores {tuple(out.shape)}, to which it adds noise that is not known"
            self._set_weights(out, Weights(tuple(out.shape), kwargs.get("dim", -1) % out.ndim, why))

    def _linear(self, op: Operation, args: tuple, kwargs: dict, out: Tensor) -> None:
        x, weight = patterns.two_operands(args, kwargs, "weight")
        if x.ndim == 2 and x not in self._weights:
            self._scored(op, x, weight.mT, out)
        else:
            self._propagate(None, op, op.given, args, kwargs, out)

    def _miss_exponentials(self, *given: Any) -> None:
        """Scores that went through exp, and are multiplied with something."""
        for t in given:
            scores = self._scores[t][0] if isinstance(t, Tensor) and self._surely_scores(t) else None
            if scores is not None and scores.why.removesuffix("_").endswith((" exp", " log_softmax", " exp2")):
                self._missed(f"softmax of scores {scores.shape} written out as an exponential, which is not followed")

    def _mixed(self, func: Callable, w: Tensor, own: str, made: str, out: Tensor) -> None:
        """An einsum of weights that is no product with values: mixed over heads, for instance."""
        known = self._weights[w]
        if known.axis is not None and own[known.axis] in made:
            axis, changed = made.index(own[known.axis]), known.changed or shown_name(func)
            self._set_weights(out, Weights(tuple(out.shape), axis, known.resolved, changed, known.dropped, (LOST,)))

    def _is_resolved(self, x: Tensor) -> bool:
        known = self._weights.get(x)
        return known is not None and known.softmax is not None

    def _products_of(self, op: Operation, given: patterns.Operands) -> list[Product] | None:
        """Weights are multiplied with something: this is an attention if it is over their sources."""
        w, values, own, theirs, made = given
        known = self._weights[w]
        if values in self._weights:
            self._missed(f"weights of its softmax of {known.shape} are multiplied with weights of a softmax")
            return []
        if version_of(w) != known.version:
            known = replace(known, changed=known.changed or "a write into them")
        summed = [i for i, letter in enumerate(own) if letter in theirs and letter not in made]
        kept = known.axis is not None and own[known.axis] in made
        if not summed or (kept and op.does == "einsum"):  # mixed in another way, over heads for instance
            return None
        others = [replace(other, axis=known.axis, changed=known.changed, undo=(LOST,)) for other in known.others]
        whole = [replace(other, shape=known.shape) for other in others] + [known]
        reasons = [reason_unknown(each, summed[0]) for each in whole]
        for why in filter(None, reasons):
            self._missed(why)
        known_ones = [each for each, why in zip(whole, reasons, strict=True) if not why]
        return [weights_product(op.func, op.args, op.kwargs, given, each) for each in known_ones]


STARTS: dict[str | None, Callable] = {
    "matmul": Recogniser._matmul,
    "rmatmul": Recogniser._matmul,
    "baddbmm": Recogniser._baddbmm,
    "einsum": Recogniser._einsum,
    "softmax": Recogniser._softmax,
    "gumbel": Recogniser._gumbel,
    "linear": Recogniser._linear,
}
BEGINNINGS = {*STARTS, "reshape", "noise"}  # what is looked at even where nothing is followed yet
PRODUCTS = {"matmul", "rmatmul", "baddbmm", "einsum", "linear"}


def may_begin_attention(op: Operation) -> bool:
    """Whether an operation is to be looked at even where nothing is followed yet."""
    does, args = op.does, op.args
    if does not in BEGINNINGS:
        return False
    if does == "linear":  # no layer with weights
        return not (len(args) > 1 and isinstance(args[1], Parameter))
    if does == "reshape":  # that may merge batch and heads
        known = bool(args) and isinstance(args[0], Tensor) and isinstance(op.out, Tensor)
        return not (known and args[0].ndim <= op.out.ndim)
    return True


def not_followed(func: Callable, error: Exception) -> str:
    """Why something is missed: an operation on tensors of a kind that nobody foresaw."""
    return f"what {name_of(func)} did could not be followed: {in_one_line(error)}"
