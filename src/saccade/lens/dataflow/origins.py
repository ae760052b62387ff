"""Where queries and keys come from, to distinguish self-attention from cross-attention of equal lengths."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from saccade.lens.dataflow.operation import Operation, tensors
from saccade.lens.dataflow.parts import JointSequences, Parts
from saccade.lens.dataflow.tensor_map import TensorMap

LEARNED = frozenset([-1])
HOLDERS = (nn.Embedding, nn.ParameterList, nn.ParameterDict)  # modules that only hold parameters of the one around


class Origins:
    """Which of a module's inputs each tensor was computed from, while the module runs."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        numbers: dict[tuple, int] = {}
        self._of: TensorMap[frozenset[int]] = TensorMap()
        self.inputs: dict[int, int] = {}  # number of an origin -> index of the first input that has it
        self._joint = JointSequences(self._of)
        for i, t in enumerate(inputs):
            number = numbers.setdefault(address(t), len(numbers))
            self.inputs.setdefault(number, i)
            self._of[t] = frozenset([number])

    def follow(self, op: Operation) -> None:
        """Note one operation: what it returns comes from all that its arguments come from."""
        found = [self._of[t] for t in op.given if t in self._of]
        if not found:
            return
        union = frozenset().union(*found)
        for t in op.changed:
            self._of[t] = union
        self._joint.follow(op)

    def attention(self, q: Tensor, out: Any) -> None:
        """Note one attention call: each token of the result is that of its query, whatever it attended to."""
        if q in self._of and isinstance(out, Tensor):
            self._of[out] = self._of[q]
            self._joint.attention(q, out)

    def parts(self, q: Tensor, k: Tensor, axis: int = -2) -> Parts | None:
        """What queries (... n k) and keys were put together from along their tokens; None if that is not known, or
        not the same for both. axis: of the tokens in k."""
        parts, others = self._joint[q], self._joint[k]
        if parts is None or others is None or parts.axis != -2 or others.axis != axis:
            return None
        return parts if [n for n, _ in parts.runs] == [n for n, _ in others.runs] else None

    def sources(self, q: Tensor, k: Tensor, axis: int = -2) -> Parts | None:
        """What keys were put together from along their tokens, for queries of something else; of no length where it is
        known only that the keys come from what the queries come from and from more."""
        parts = self._joint[k]
        if parts is not None and parts.axis == axis:
            return parts
        one, other = self._of.get(q, frozenset()), self._of.get(k, frozenset())
        return Parts(axis, ()) if one and one < other and q.shape[-2] != k.shape[axis] else None

    def only(self, t: Tensor) -> int | None:
        """The index of the input that a tensor alone came from."""
        found = self._of.get(t, frozenset())
        return self.inputs.get(next(iter(found))) if len(found) == 1 else None

    def alike(self, q: Tensor, k: Tensor) -> bool:
        """Whether q and k come from the same inputs: one may have fewer than the other (a position added to q
        only), but not each some that the other lacks, nor one none at all (learned queries)."""
        one, other = self._of.get(q, frozenset()), self._of.get(k, frozenset())
        return bool(one) == bool(other) and (one <= other or other <= one)


class LatentQueryOrigins(Origins):
    """The same for a module with one input and learned tensors of its own, which may be its queries (a latent array, an
    attention pool). Only what the module itself does is followed; what modules inside it return comes from all that
    they were given."""

    def __init__(self, inputs: Sequence[Tensor], learned: Sequence[Tensor]) -> None:
        super().__init__(inputs)
        for t in learned:
            self._of[t] = LEARNED

    def follow(self, op: Operation) -> None:
        self._note([t for t in op.given if t in self._of], op.changed)

    def returned(self, inputs: Sequence[Tensor], within: Origins | None, out: Any) -> None:
        """A module inside it was given `inputs` and returned `out`. within: what is known inside of that, where each
        token of the result of attention is that of its query."""
        for t in tensors((out,)):
            known = None if within is None else within._of.get(t)
            given = [i for i in inputs if known is None or (within is not None and within._of[i] <= known)]
            if all(i in self._of for i in given):
                self._note(given, [t])

    def _note(self, given: Sequence[Tensor], changed: Sequence[Tensor]) -> None:
        if given:
            union = frozenset().union(*(self._of[t] for t in given))
            for t in changed:
                self._of[t] = union

    def parts(self, q: Tensor, k: Tensor, axis: int = -2) -> Parts | None:
        return None

    def sources(self, q: Tensor, k: Tensor, axis: int = -2) -> Parts | None:
        return None

    def alike(self, q: Tensor, k: Tensor) -> bool:
        """Unless it is known that one of them comes from learned tensors alone and the other not."""
        one, other = self._origin(q), self._origin(k)
        return one is None or other is None or one <= other or other <= one

    def _origin(self, t: Tensor) -> frozenset[int] | None:
        """Also of a view that a module inside made."""
        if t in self._of:
            return self._of[t]
        found = {origin for other, origin in self._of.items() if memory(other) == memory(t)}
        return found.pop() if len(found) == 1 else None


def learned_tokens(module: nn.Module) -> list[tuple[nn.Module, str]]:
    """Where a module keeps parameters of its own that can be tokens: the holder and the name. Those of embeddings and
    lists of parameters count as its own."""
    holders = [module, *(child for child in module._modules.values() if isinstance(child, HOLDERS))]
    every = [(holder, name, p) for holder in holders for name, p in holder._parameters.items() if p is not None]
    return [(holder, name) for holder, name, p in every if p.ndim >= 2 and p.is_floating_point()]


def token_inputs(args: tuple, kwargs: dict) -> list[Tensor]:
    """The inputs of a module that can be tokens or feature maps: real numbers on two axes or more."""
    every = (*args, *kwargs.values())
    with torch._C.DisableTorchFunction():
        return [t for t in every if isinstance(t, Tensor) and t.ndim >= 2 and t.is_floating_point()]


def address(t: Tensor) -> tuple:
    """Equal for two tensors that show the same memory in the same way."""
    try:
        return t.data_ptr(), tuple(t.shape), t.stride(), t.dtype
    except RuntimeError:  # no memory of its own: within a torch.func transform, fake, nested
        return (id(t),)


def memory(t: Tensor) -> int:
    """Equal for two views of the same memory."""
    try:
        return t.untyped_storage().data_ptr()
    except RuntimeError:
        return id(t)
