"""Keep tensors of a running model: without a copy where that is safe, and never with a value that has changed."""

from torch import Tensor

from saccade.errors import SaccadeError


class SavedTensor:
    """A detached tensor that notices if somebody has written into it since it was kept.

    Queries and keys are fresh activations that hardly any model writes into afterwards; the exception is a cache of
    keys that the next step overwrites, which `save_tensors` recognises by its earlier writes. Nothing else is copied as
    a precaution: the version that PyTorch counts for each tensor is remembered, and compared when the tensor is used.
    Tensors made in inference mode have no version to compare: they are copied.
    """

    def __init__(self, tensor: Tensor, graph: bool = False) -> None:
        """graph: keep it in the graph that it is part of."""
        self._tensor = tensor.clone() if tensor.is_inference() else tensor if graph else tensor.detach()
        # Below autograd, within a dispatch mode, a detached tensor counts on its own.
        self._version = -1 if self._tensor.is_inference() else self._tensor._version

    def __getstate__(self) -> tuple[Tensor, bool]:
        return self._tensor, self._version >= 0 and self._tensor._version != self._version

    def __setstate__(self, state: tuple[Tensor, bool]) -> None:
        """A copy counts its own versions."""
        self._tensor, written = state
        self._version = -1 if self._tensor.is_inference() else self._tensor._version
        if written:
            self._version += 1

    @property
    def tensor(self) -> Tensor:
        """The tensor, also if it was written into since."""
        return self._tensor

    def value(self, what: str) -> Tensor:
        """The tensor. Raises SaccadeError, naming it as `what`, if it was written into after it was kept."""
        if self._version >= 0 and self._tensor._version != self._version:
            raise SaccadeError(
                f"{what} was overwritten in place after the attention call (a cache of keys does that), so what the "
                "call saw is gone: read the trace before the next step, or watch one step at a time"
            )
        return self._tensor


def save_tensors(*tensors: Tensor) -> list[SavedTensor]:
    """Keep the tensors of one attention call, copying only those that must be.

    A view of a larger storage (one projection for q, k and v, of which v is not wanted) would hold all of that
    storage in memory, so it is copied. So is what was written into before the call: a cache that will be written into
    again (static caches of keys).
    """
    wanted: dict[int, int] = {}
    for tensor in tensors:
        start = tensor.untyped_storage().data_ptr()
        wanted[start] = wanted.get(start, 0) + tensor.numel() * tensor.element_size()
    kept = []
    for tensor in tensors:
        storage = tensor.untyped_storage()
        larger = storage.nbytes() > wanted[storage.data_ptr()]
        copy = not tensor.is_inference() and (larger or tensor._version > 0)
        kept.append(SavedTensor(tensor.detach().clone() if copy else tensor))
    return kept
