"""How much could flow from one token to another through all layers, if each edge carries as much as it attends."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens.trace.call import Call

EDGES = 2**18  # at most, times the tokens to which the flow is computed: minutes, not hours
UNIT = 2**30  # steps between a capacity of 0 and one of 1: the solver counts in 32-bit whole numbers


def flow(layers: Sequence[Call], tokens: Sequence[int]) -> Float[Tensor, "b n"]:
    """The maximum flow from a token of each picture after the last layer to each input token; see `Trace.flow`."""
    import numpy as np
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    b, _, n, _ = layers[0].shape
    edges = len(layers) * n * n
    if edges > EDGES:
        raise SaccadeError(
            f"attention flow through {len(layers)} layers of {n} tokens solves {n} problems of {edges} edges; it is "
            f"for small models, up to {EDGES} edges: choose fewer layers or a smaller picture, or use rollout"
        )
    # Node (layer, token): what a token of a layer attends to lies one layer before.
    after = np.arange(1, len(layers) + 1)[:, None, None] * n + np.arange(n)[None, :, None]
    before = np.arange(len(layers))[:, None, None] * n + np.arange(n)[None, None, :]
    place = tuple(np.broadcast_to(each, (len(layers), n, n)).ravel() for each in (after, before))
    maps = torch.stack([_mixed(call) for call in layers], dim=1)  # (b l n n)
    out = torch.zeros(b, n, dtype=torch.float64)
    for picture in range(b):
        capacity = (maps[picture] * UNIT).round().to(torch.int32).numpy().ravel()
        graph = csr_array((capacity, place), shape=((len(layers) + 1) * n,) * 2)
        graph.eliminate_zeros()
        for sink in range(n):
            found = maximum_flow(graph, len(layers) * n + tokens[picture], sink)
            out[picture, sink] = found.flow_value / UNIT
    return out.to(torch.promote_types(layers[0].q.dtype, torch.float32))


def _mixed(call: Call) -> Float[Tensor, "b n n"]:
    """½·mean over heads + ½·identity, its rows scaled to sum to 1, as for rollout."""
    mean = call.weights().mean(dim=1).cpu().double()
    mixed = mean + torch.eye(call.shape[2], dtype=mean.dtype)
    return mixed / mixed.sum(dim=-1, keepdim=True)
