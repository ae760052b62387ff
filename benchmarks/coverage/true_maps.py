"""Every attention map of a model, found without the lens: each softmax over scores that then weighs values.

A dispatch mode sees the operations below autograd. Scores are a product of two activations (weights of the model are
no activations); a softmax of them is followed through whatever does not mix its numbers, until it enters a product
with other activations. Run it on a model with readable ("eager") attention: fused kernels are made to show their parts.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
PRODUCTS = {aten.bmm, aten.mm, aten.baddbmm, aten.addmm}
FUSED = {aten._scaled_dot_product_flash_attention_for_cpu}
SOFTMAX = {aten._softmax, aten._safe_softmax}
# What scores and weights go through without being mixed: other layouts, masks, scales, biases, dropout, clamping.
_PASSING = """
    _reshape_alias _to_copy _unsafe_view add add_ alias as_strided cat clamp clamp_max clamp_min clone constant_pad_nd
    contiguous copy_ detach div div_ expand flatten flip index index_put index_put_ index_select lift_fresh masked_fill
    masked_fill_ maximum minimum mul mul_ nan_to_num narrow native_dropout neg permute repeat reshape roll rsub scatter
    scatter_ select slice split split_with_sizes squeeze stack sub sub_ t tanh transpose unbind unfold unsqueeze view
    where
"""
PASSING = {getattr(aten, name) for name in _PASSING.split()}
TURNING = {aten.permute, aten.transpose, aten.t}  # of a map with as many targets as sources, no other weights


@dataclass(eq=False)
class Map:
    """One attention map as it entered the product with the values: (..., n, m), and the module that was running.

    softmax: as the softmax gave it, where the model then mixes heads, gates or drops."""

    value: Tensor
    name: str
    softmax: Tensor


@dataclass(eq=False)
class _Flowing:
    """What is known of a tensor. map: of which softmax it is the result; none for scores. turned: its axes are in
    another order, so that a square map looks like other weights."""

    tensor: Tensor  # kept, so that no other tensor takes its id
    map: Map | None
    turned: bool = False


class Finder(TorchDispatchMode):
    """While active, collects the maps of a model.

    softmaxes: all others that are large enough to be maps. Of attention whose scores or weights are mixed across heads
    by weights of the model, only these are known here: no product of two activations leads through them.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.maps: list[Map] = []
        self.softmaxes: list[Tensor] = []
        self.ran: dict[str, str] = {}  # modules that ran, and their classes
        self._stack: list[str] = []
        self._flowing: dict[int, _Flowing] = {}
        self._own = {p.untyped_storage().data_ptr() for p in model.parameters()}
        self._entered: set[int] = set()

    supports_higher_order_operators = True

    @classmethod
    def is_infra_mode(cls) -> bool:
        """Whether the mode is no part of what is computed: else FlexAttention, which traces itself, would refuse it."""
        return True

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if isinstance(func, torch._ops.HigherOrderOperator):
            return self._higher(func, args, kwargs or {})
        out = func(*args, **(kwargs or {}))
        packet = getattr(func, "overloadpacket", None)
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        if packet in FUSED:
            self._fused(*args, **(kwargs or {}))
        elif packet in PRODUCTS:
            self._product(given, out)
        elif packet in SOFTMAX:
            self._softmax(args, out)
        elif packet in PASSING:
            self._pass(packet, given, out)
        return out

    def _higher(self, func: Any, args: tuple, kwargs: dict) -> Any:
        """FlexAttention, by its definition: its functions say what becomes of the score of each pair of tokens."""
        with _disable_current_modes():
            if func.name() == "flex_attention":
                weights = flex_weights(*args, **kwargs)
                self.maps.append(Map(weights, self._stack[-1] if self._stack else "", weights))
            return func(*args, **kwargs)

    def _fused(
        self, query: Tensor, key: Tensor, value: Tensor, dropout: float = 0.0, causal: bool = False, **more
    ) -> None:
        """A fused kernel that the model insists on, by its definition."""
        mask, scale = more.get("attn_mask"), more.get("scale")
        with _disable_current_modes():
            scores = query.float() @ key.float().mT * (query.shape[-1] ** -0.5 if scale is None else scale)
            scores = scores if mask is None else scores + mask
            if causal:
                scores = scores.masked_fill(scores.new_ones(scores.shape[-2:]).triu(1).bool(), float("-inf"))
            weights = scores.softmax(-1)
        self.maps.append(Map(weights, self._stack[-1] if self._stack else "", weights))

    def _product(self, given: list[Tensor], out: Tensor) -> None:
        left, right = given[-2:]
        own = [t.untyped_storage().data_ptr() in self._own for t in (left, right)]
        for t in (left, right):
            known = self._flowing.get(id(t))
            if known is not None and known.map is not None and id(known.map) not in self._entered and not any(own):
                self._entered.add(id(known.map))
                known.map.name = self._stack[-1] if self._stack else ""
                self.maps.append(known.map)
        if not any(own):
            self._flowing[id(out)] = _Flowing(out, None)

    def _softmax(self, args: tuple, out: Tensor) -> None:
        scores, axis = args[:2]
        known = self._flowing.get(id(scores))
        laid = out.movedim(axis, -1)
        if known is not None and known.map is None:
            self._flowing[id(out)] = _Flowing(out, Map(laid, "", laid))
        if out.ndim > 2:
            self.softmaxes.append(laid)

    def _pass(self, packet: Any, given: list[Tensor], out: Any) -> None:
        known = next((self._flowing[id(t)] for t in given if id(t) in self._flowing), None)
        if known is None:
            return
        for t in tree_leaves(out):
            if isinstance(t, Tensor):
                entered = id(known.map) in self._entered  # what is done to it later, models return
                turned = known.turned or packet in TURNING
                if known.map is not None and not entered and not turned and self._changed(known.map, t):
                    known.map.value = t
                self._flowing[id(t)] = _Flowing(t, known.map, turned)

    @staticmethod
    def _changed(map: Map, t: Tensor) -> bool:
        """Whether weights of the same layout, or of fewer sources, came out."""
        same = t.ndim == map.value.ndim and t.shape[:-1] == map.value.shape[:-1] and t.shape[-1] <= map.value.shape[-1]
        return same and t.dtype.is_floating_point

    @contextmanager
    def following(self, model: nn.Module) -> Iterator["Finder"]:
        """Look while the block runs."""
        with ExitStack() as undo:
            for name, module in model.named_modules():
                undo.callback(module.register_forward_pre_hook(self._enter(name, type(module).__name__)).remove)
                undo.callback(module.register_forward_hook(self._leave, always_call=True).remove)
            fast = torch.backends.mha.get_fastpath_enabled()
            undo.callback(torch.backends.mha.set_fastpath_enabled, fast)
            torch.backends.mha.set_fastpath_enabled(False)
            undo.enter_context(sdpa_kernel(SDPBackend.MATH))
            undo.enter_context(self)
            yield self
        self._flowing.clear()

    def _enter(self, name: str, kind: str) -> Any:
        def enter(module: nn.Module, args: tuple) -> None:
            self.ran[name] = kind
            self._stack.append(name)

        return enter

    def _leave(self, module: nn.Module, args: tuple, output: Any) -> None:
        self._stack.pop()


def flex_weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: Any,
    block_mask: tuple,
    scale: float,
    kernel_options: Any = None,
    score_buffers: tuple = (),
    mask_buffers: tuple = (),
) -> Tensor:
    """The weights (b h n m) of a call of FlexAttention, whose last part of the mask is its function."""
    groups = query.shape[1] // key.shape[1]
    scores = query.float() @ key.float().repeat_interleave(groups, dim=1).mT * scale
    places = torch.meshgrid(*[torch.arange(size) for size in scores.shape], indexing="ij")
    scores = score_mod(scores, *places, *score_buffers)
    allowed = block_mask[-1](*places, *mask_buffers)
    return scores.masked_fill(~allowed, float("-inf")).softmax(-1).nan_to_num(0.0)


def alike(one: Tensor, other: Tensor, within: float = 1e-4) -> bool:
    """Whether two maps (..., n, m) are equal, in whatever order the axes before m are laid out."""
    if one.numel() != other.numel() or one.shape[-1] != other.shape[-1]:
        return False
    flat = other.detach().double().reshape(-1, other.shape[-1])
    last = one.ndim - 1
    for axes in permutations(range(last)):
        laid = one.detach().double().permute(*axes, last).reshape(-1, one.shape[-1])
        if bool(((laid - flat).abs() <= within).all()):
            return True
    return False
