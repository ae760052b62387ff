"""What operations do to places: those that move numbers, mix the channels of tokens, pool and convolve."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from saccade.lens.dataflow.operation import tensors
from saccade.studio.places.sliding import find_grid_region, slide_windows
from saccade.studio.places.table import PlaceTable
from saccade.studio.places.tensor_places import NOWHERE, PADDING, Grids, is_constant

Rule = Callable[[PlaceTable, tuple, dict, Any], Tensor | None]


def _of(table: PlaceTable, t: Any) -> Int[Tensor, "..."]:
    """The places of an argument: nowhere in all of it where it is not followed."""
    found = table.places(t) if isinstance(t, Tensor) else None
    return torch.full(t.shape, NOWHERE, dtype=torch.int32) if found is None else found


def _kept(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> Tensor | None:
    """Each token by itself, and no number leaves its place."""
    places = table.places(args[0])
    return places if places is not None and places.shape == out.shape else None


def propagate_pointwise(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> Tensor | None:
    """Of several tensors: the place that one has, where others have none; of nested grids the finer one."""
    merged: Tensor | None = None
    for t in tensors(args, kwargs):
        places = table.places(t)
        if places is None:
            continue
        places = places.expand(out.shape)
        merged = places if merged is None else _merged(table.grids, merged, places)
    return merged


def _merged(grids: Grids, a: Tensor, b: Tensor) -> Tensor:
    if a.data_ptr() == b.data_ptr() and a.stride() == b.stride():
        return a
    one, none = torch.where(a < 0, b, a), torch.tensor(NOWHERE, dtype=torch.int32)
    differ = (a >= 0) & (b >= 0) & (a != b)
    if not bool(differ.any()):
        return one
    sizes = [grids.decode(x[differ]) for x in (a, b)]
    if sizes[0] is None or sizes[1] is None or sizes[0][2] == sizes[1][2]:
        return torch.where(differ, none, one)
    (rows, columns), (others, more) = sizes[0][2], sizes[1][2]
    if rows >= others and columns >= more:
        return torch.where(differ, a, one)
    return torch.where(differ, b, one) if rows <= others and columns <= more else torch.where(differ, none, one)


def _again(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor, func: Any) -> Tensor | None:
    """An operation that only moves numbers, done to their places."""
    moved = func(_of(table, args[0]), *_on_cpu(args[1:]), **_on_cpu(kwargs))
    return moved if moved.shape == out.shape else None


def _on_cpu(given: Any) -> Any:
    if isinstance(given, Tensor):
        return given.cpu()
    if isinstance(given, dict):
        return {key: _on_cpu(each) for key, each in given.items()}
    return type(given)(_on_cpu(each) for each in given) if isinstance(given, (list, tuple)) else given


def _moving(name: str) -> Rule:
    func = getattr(torch.ops.aten, name)
    return lambda table, args, kwargs, out: _again(table, args, kwargs, out, func)


def _in_float(name: str) -> Rule:
    func = getattr(torch.ops.aten, name)

    def rule(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> Tensor | None:
        moved = func((_of(table, args[0]) + 1).double(), *args[1:], **kwargs)  # padding of 0 is nowhere
        return moved.round().to(torch.int32) - 1 if moved.shape == out.shape else None

    return rule


def _pad(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> Tensor:
    return torch.constant_pad_nd(_of(table, args[0]), args[1], PADDING)


def _copied(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> Tensor:
    return _of(table, args[1]).expand(out.shape)


def _scattered(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> Tensor:
    """Pictures that are put among the tokens of a text."""
    target, mask, source = args
    return _of(table, target).expand(out.shape).masked_scatter(mask.cpu().expand(out.shape), _of(table, source))


def _lost(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> None:
    return None


def _joined(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> Tensor:
    parts = [_of(table, t) for t in args[0] if t.shape != (0,)]
    return torch.cat(parts, *args[1:], **kwargs)


def _stacked(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> Tensor:
    return torch.stack([_of(table, t) for t in args[0]], *args[1:], **kwargs)


def _index(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> Tensor | None:
    return _again(table, args, kwargs, out, torch.ops.aten.index)


def propagate_index_put(table: PlaceTable, args: tuple) -> None:
    """Write places where the operation writes values."""
    target, where, values = args[:3]
    places = _of(table, target).clone()
    torch.ops.aten.index_put_(places, _on_cpu(where), _of(table, values).to(torch.int32))
    table.shadow.put(target, places)


def _reduced(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> Tensor | None:
    """A mean, a sum or a largest one: the place of all, or the cell of a coarser grid in which all lie."""
    places = table.places(args[0])
    if places is None:
        return None
    dim = kwargs.get("dim", next((a for a in args[1:] if isinstance(a, (list, tuple, int)) and a is not True), None))
    if dim is None or isinstance(dim, bool):
        return None
    dims = sorted({d % places.ndim for d in ([dim] if isinstance(dim, int) else dim)}) or list(range(places.ndim))
    found = _contracted(table.grids, places, dims)
    return found.view(out.shape) if found.numel() == out.numel() else None


def _contracted(grids: Grids, places: Tensor, dims: Sequence[int]) -> Tensor:
    if is_constant(places, dims):
        for dim in reversed(dims):
            places = places.select(dim, 0)
        return places.contiguous()
    rest = [d for d in range(places.ndim) if d not in dims]
    return grids.coarser(places.permute(*rest, *dims).flatten(len(rest)))


def _product(table: PlaceTable, a: Tensor, b: Tensor) -> Tensor | None:
    """Of a matrix product (... n k) (... k m): the places of the rows of a, else of the columns of b."""
    rows, columns = table.places(a), table.places(b)
    above = None if rows is None else _contracted(table.grids, rows, [rows.ndim - 1])
    beside = None if columns is None else _contracted(table.grids, columns, [columns.ndim - 2])
    if above is not None and beside is not None and above.ndim > 1:
        table.record_product(above, beside)
    if above is not None and bool((above >= 0).any()):
        if columns is not None and above.ndim > 1 and is_constant(columns, [columns.ndim - 1]):
            table.record_product(above, columns[..., 0], weights=True)
        return above[..., :, None].expand(*above.shape, b.shape[-1])
    if beside is not None and bool((beside >= 0).any()):
        return beside[..., None, :].expand(*beside.shape[:-1], a.shape[-2], beside.shape[-1])
    return None


def _matmul(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> Tensor | None:
    return _product(table, args[0], args[1])


def _addmm(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> Tensor | None:
    return _product(table, args[1], args[2])


def _linear(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> Tensor | None:
    return _product(table, args[0], args[1].mT)


def _attention(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> Tensor | None:
    """A fused kernel: outputs lie where the queries do."""
    places = table.places(args[0])
    if places is None:
        return None
    return _contracted(table.grids, places, [places.ndim - 1])[..., None].expand(out.shape)


def _both(given: Sequence[int]) -> list[int]:
    """Settings of rows and columns."""
    return [*given, *given][-2:] if len(given) == 1 else list(given)[-2:]


def _convolution(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> Tensor | None:
    given, weight, _, stride, padding, dilation, transposed = args[:7]
    places = table.places(given)
    if places is None:
        return None
    channels = _contracted(table.grids, places, [1])[:, None]
    frame = find_grid_region(table, channels) if given.ndim >= 4 else None
    if frame is None:
        same = all(s == 1 for s in stride) and given.shape[2:] == out.shape[2:]
        if not same and out.shape[2:].numel() == 1 and weight.shape[2:] == given.shape[2:]:  # patches one by one
            return (
                _contracted(table.grids, places, range(1, places.ndim))
                .view(-1, *[1] * (out.ndim - 1))
                .expand(out.shape)
            )
        return channels.expand(out.shape) if same else None
    if transposed:
        return frame.codes(table, out)
    settings = (_both(each) for each in (weight.shape[2:], stride, padding, dilation))
    return slide_windows(table, frame, out, list(zip(*settings, strict=True)))


def _pooled(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> Tensor | None:
    """Pooling of a whole feature map by windows."""
    given, size, stride, padding = (*args[:4], *([], 0)[len(args[2:4]) :])[:4]
    places = table.places(given)
    frame = None if places is None or places.ndim < 4 else find_grid_region(table, places)
    if frame is None:
        return None
    sizes = _both([size] if isinstance(size, int) else size)
    settings = [sizes, _both(stride) if stride else sizes, _both([padding] if isinstance(padding, int) else padding)]
    return slide_windows(table, frame, out, list(zip(*settings, [1, 1], strict=True)))


def _resized(table: PlaceTable, args: tuple, kwargs: dict, out: Tensor) -> Tensor | None:
    """Resizing of a whole feature map."""
    places = table.places(args[0])
    if places is None or places.ndim < 4:
        return None
    frame = find_grid_region(table, places)
    if frame is not None and frame.sides == tuple((0, n) for n in places.shape[-2:]):
        return frame.codes(table, out)
    return places if places.shape == out.shape else None


RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("clone", "_to_copy", "contiguous", "_softmax", "_safe_softmax", "_log_softmax", "native_layer_norm",
         "native_group_norm", "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training",
         "cudnn_batch_norm", "_batch_norm_with_update", "_fused_rms_norm", "native_dropout",
         "_native_multi_head_attention", "_transformer_encoder_layer_fwd", "masked_fill", "lift_fresh", "hardswish",
         "hardsigmoid", "hardtanh", "leaky_relu", "elu", "gelu", "silu", "mish", "softplus", "prelu", "_prelu_kernel",
         "relu6"),
        _kept,
    ),
    **{name: _moving(name) for name in ("roll", "flip", "repeat", "index_select", "gather", "_unsafe_view", "reshape",
                                        "_reshape_copy", "permute_copy", "view_copy", "slice_copy", "unfold_copy",
                                        "expand_copy", "rot90")},
    **{name: _in_float(name) for name in ("im2col", "pixel_shuffle", "pixel_unshuffle", "reflection_pad2d",
                                          "replication_pad2d", "channel_shuffle")},
    "constant_pad_nd": _pad,
    "copy": _copied,
    "masked_scatter": _scattered,
    **dict.fromkeys(("fill", "zero", "normal", "uniform", "bernoulli", "random"), _lost),
    "cat": _joined,
    "stack": _stacked,
    "index": _index,
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "logsumexp", "linalg_vector_norm", "norm", "var",
                     "std", "prod", "var_mean"), _reduced),
    **dict.fromkeys(("mm", "bmm", "matmul"), _matmul),
    **dict.fromkeys(("addmm", "baddbmm", "_addmm_activation"), _addmm),
    "linear": _linear,
    **dict.fromkeys(("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention",
                     "_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention",
                     "_scaled_dot_product_fused_attention_overrideable", "scaled_dot_product_attention"), _attention),
    "convolution": _convolution,
    **dict.fromkeys(("max_pool2d_with_indices", "avg_pool2d", "max_pool3d_with_indices", "avg_pool3d"), _pooled),
    **dict.fromkeys(("adaptive_avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d", "upsample_bilinear2d",
                     "upsample_nearest2d", "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa",
                     "_upsample_nearest_exact2d"), _resized),
}  # fmt: skip
