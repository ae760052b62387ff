"""One attention call, kept as q, k and the log-sum-exp of its scores, and every view of it, computed on demand.

Row i of the map is exp(s q_i·K + mask_i − lse_i), so each view walks over tiles of target rows and holds O(m) numbers
a row and never the n x m map, which only `weights` makes.
"""

from collections.abc import Sequence
from functools import cached_property

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from saccade import ops
from saccade.errors import SaccadeError
from saccade.lens.attention.heads import CROSS_FRAME, share_one_source
from saccade.lens.dataflow.lineage import CallNode
from saccade.lens.dataflow.replay import Pair, layout
from saccade.lens.dataflow.windows import Windows
from saccade.lens.indices import Indices, indices, whole
from saccade.lens.notes import joined
from saccade.lens.trace.blocks import Block, block_of
from saccade.lens.trace.gradients import Gradient
from saccade.lens.trace.saved_tensor import SavedTensor, save_tensors
from saccade.lens.trace.tiles import TiledMap
from saccade.lens.trace.views import Distance, Entropy


class Call(TiledMap):
    """One attention call: its module (`name`), its `kind` and `shape`, and all that it attended to.

    name: dotted path of the innermost module that was running. kind: "self", "cross", "channels" for
    self-attention of channels, or "joint" for self-attention over sequences put together (text and image), whose
    `parts` are then slices by name. source_parts: the same of the
    sources alone, where queries of one sequence attend to several that were put together; empty if their order is not
    known; None if there is one sequence, or nothing is known of it. tokens_before: how many tokens the targets of
    cross-attention were made of, more than n where tokens were merged or left out. component: that of a pipeline,
    else "". run: which forward pass of it within the block, from 0. q (b h n k), k (b g m k), and v (b g m c) if it
    was kept: as the kernel saw them, in its dtype (under autocast not that of the model). mask: as given,
    broadcastable to (b h n m), or None. scale: factor of q·k. causal: target i saw sources 0 to i only. lengths: of the
    sequences that lie one after another in its tokens, each of which attends to itself only; None if there is one.
    note: what must be known to read it, "" as a rule.

    Views are computed in fp32 (fp64 for fp64 inputs) from those q and k, and are the weights before dropout. They are
    part of the graph if the call is differentiable (`watch(model, differentiable=True)`).
    """

    def __init__(
        self,
        name: str,
        kind: str,
        q: Shaped[Tensor, "b h n k"],
        k: Shaped[Tensor, "b g m k"],
        v: Shaped[Tensor, "b g m c"] | None = None,
        lse: Shaped[Tensor, "b h n"] | None = None,
        mask: Shaped[Tensor, "..."] | None = None,
        scale: float | None = None,
        causal: bool = False,
        run: int = 0,
        note: str = "",
        component: str = "",
        parts: dict[str, slice] | None = None,
        differentiable: bool = False,
        lengths: Sequence[int] | None = None,
    ) -> None:
        self.name, self._kind, self.causal, self.run, self._note = name, kind, causal, run, note
        self.component, self.parts, self.lengths = component, parts, None if lengths is None else tuple(lengths)
        self.source_parts: dict[str, slice] | None = None
        self.tokens_before = q.shape[2]
        self.node: CallNode | None = None  # what it was computed from, if that is known
        self.apart = ""  # why it does not follow the call before, of a trace that was saved
        self._windows: Windows | Sequence[Pair] | None = None
        self.scale = ops.default_scale(q) if scale is None else float(scale)
        self.shape = (q.shape[0], q.shape[1], q.shape[2], k.shape[2])
        given = [t for t in (q, k, v) if t is not None]
        self._q, self._k, *values = (
            [SavedTensor(t, graph=True) for t in given] if differentiable else save_tensors(*given)
        )
        self._v = values[0] if values else None
        self._mask = None if mask is None else SavedTensor(mask, graph=differentiable)
        self._lse = None if lse is None or differentiable else lse.detach()  # the kernel's is not in the graph
        self._graph = differentiable
        self._norm: tuple[Tensor, Tensor | None] | None = None
        self.gradient: Gradient | None = None  # dL/dO, if `watch(model, gradients=True)` waits for it

    @property
    def masked(self) -> bool:
        """Whether some targets may not attend to all sources, or a bias is added to their scores."""
        return self.mask is not None or self.causal or self.lengths is not None

    @property
    def kind(self) -> str:
        """ "self", "cross", "joint" or "channels"; "cross" also where all pictures attend to the sources of one of them
        (cross-frame attention)."""
        return "cross" if self._cross_frame else self._kind

    @property
    def note(self) -> str:
        """What must be known to read it, "" as a rule."""
        return joined(self._note, CROSS_FRAME) if self._cross_frame else self._note

    def add_note(self, note: str) -> None:
        """Note something else that must be known, once."""
        if note not in self._note:
            self._note = joined(self._note, note)

    @cached_property
    def _cross_frame(self) -> bool:
        """Found when it is first needed: it compares the keys of all pictures."""
        return self._kind == "self" and self.shape[0] > 1 and share_one_source(self._q.tensor, self._k.tensor)

    @property
    def v(self) -> Shaped[Tensor, "b g m c"] | None:
        """Values of the source, if `watch(model, values=True)` kept them."""
        return None if self._v is None else self._v.value(f"v of {self.name!r}")

    def __getstate__(self) -> dict:
        _ = self.windows  # found, from steps that cannot be copied
        return self.__dict__

    def __repr__(self) -> str:
        b, h, n, m = self.shape
        return f"Call({self.name!r}, {self.kind}, b={b} h={h} n={n} m={m})"

    # views

    def weights(self) -> Float[Tensor, "b h n m"]:
        """The whole map: 0 to 1, rows summing to 1 (to 0 for a target that may attend to nothing). n x m memory."""
        b, h, n, m = self.shape
        out = torch.empty(b, h, n, m, dtype=self._dtype, device=self.q.device)
        for rows, w in self.tiles():
            out[:, :, rows] = w
        return out

    def rows(self, idx: Indices) -> Float[Tensor, "b h i m"]:
        """What the targets `idx` attend to. Negative indices count from the end."""
        targets = indices(idx, self.shape[2], "target", self.name)
        return torch.cat([w for _, w in self.tiles(targets)], dim=2)

    def columns(self, idx: Indices) -> Float[Tensor, "b h n i"]:
        """How much every target attends to the sources `idx`. Negative indices count from the end."""
        sources = indices(idx, self.shape[3], "source", self.name).to(self.q.device)
        k = self.k[:, :, sources].to(self._dtype)
        every = torch.arange(self.shape[2], device=k.device)
        return torch.cat([self._exp(every[a:z], k, sources) for a, z in self._spans(len(every), len(sources))], dim=2)

    def received(self) -> Float[Tensor, "b h m"]:
        """How much attention each source gets: the mean of its column over all targets; 0 if there are none."""
        b, _, n, _ = self.shape
        return self.weighted_sum(self.q.new_full((b, n), 1 / max(n, 1), dtype=self._dtype))

    def entropy(self) -> Float[Tensor, "b h n"]:
        """Entropy of each target's weights in nats: 0 (one source) to log m (all sources alike)."""
        entropy = Entropy()
        self.walk(entropy)
        return entropy.value()

    def top(self, k: int) -> tuple[Float[Tensor, "b h n k"], Int[Tensor, "b h n k"]]:
        """The k largest weights of each target, largest first, and the sources they go to."""
        k = whole(k, f"top({k!r}) of {self.name!r}")
        if not 1 <= k <= self.shape[3]:
            raise SaccadeError(f"top({k}) of {self.name!r}: it has {self.shape[3]} sources, ask for 1 to that many")
        best = [w.topk(k, dim=-1) for _, w in self.tiles()]
        return torch.cat([t.values for t in best], dim=2), torch.cat([t.indices for t in best], dim=2)

    def block(self, targets: str, sources: str) -> Block:
        """A block of joint attention by the names of two `parts`: what the first attend to in the second. Raises
        SaccadeError if there are none of these names."""
        return block_of(self, targets, sources)

    def set_layout(self, windows: Windows | Sequence[Pair] | None) -> None:
        """Note `windows`, or how q and k were made of a feature map, from which they can be found: one pair of steps,
        or one for each of `lengths`."""
        self._windows = windows

    @property
    def windows(self) -> Windows | None:
        """Where the tokens of attention in windows lie in the pictures; None if it is not in windows, or that could
        not be found."""
        if self._windows is not None and not isinstance(self._windows, Windows):
            b, _, n, m = self.shape
            self._windows = layout(self._windows, b, n, m)
        return self._windows

    @property
    def steps(self) -> Sequence[Pair]:
        """By which q and k were made of a feature map, until `windows` are asked for; none if that is not known."""
        return () if self._windows is None or isinstance(self._windows, Windows) else self._windows

    def at(self, picture: int, row: int, column: int) -> Float[Tensor, "h y x"]:
        """What the token at a place of a picture attends to, on the grid of the picture: 0 outside its window.

        row, column: on the grid of the targets, which is coarser than that of the sources where queries were pooled.
        picture: of the batch; of patches given as one list (Qwen2.5-VL), the frame, counted over all pictures and
        films. It sums to less than 1 by what goes to padding. Raises SaccadeError if `windows` is None or has no such
        place.
        """
        if self.windows is None:
            raise SaccadeError(f"{self.name!r} has no windows that could be found: use rows(), which counts tokens")
        folded, token = self.windows.find(picture, row, column)
        return self.windows.row(folded, next(self.tiles(torch.tensor([token])))[1][folded, :, 0], picture)

    def distance(self, grid: tuple[int, int], prefix: int | None = None) -> Float[Tensor, "b h"]:
        """Mean attention distance of each head, in patches: the reach of its receptive field.

        The distance from a patch to what it attends to, weighted by attention, averaged over patches (Dosovitskiy
        et al. 2021, appendix D.7 and fig. 7; Raghu et al. 2021). Weights are renormalised over the patches; a patch
        that attends to none is left out; NaN for a head of which all are.

        grid: (rows, columns) of patches, row-major after the prefix. prefix: tokens before them (cls, registers);
        default n − rows·columns. Raises SaccadeError if the grid does not fit the call.
        """
        distance = self.distance_view(grid, prefix)
        self.walk(distance, targets=torch.arange(distance.first, self.shape[2]))
        return distance.value()

    def distance_view(self, grid: tuple[int, int], prefix: int | None = None) -> Distance:
        """`distance` as a part of a walk."""
        if self.kind == "channels":
            raise SaccadeError(f"distance of {self.name!r}: {self.note}")
        return Distance.of(self.name, self.shape, grid, prefix)
