"""What scores are given, looked at before anything is computed: wrong pictures, maps and numbers are named."""

from collections.abc import Sequence

from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens.indices import whole

SEEDS = 2**31  # PyTorch's generator reads 32 bits, and the random maps have their own


def count(value: object, what: str) -> int:
    """A whole number from 1 on. Raises SaccadeError, naming it as `what`, for anything else."""
    number = whole(value, f"{value!r} {what}")
    if number < 1:
        raise SaccadeError(f"{number} {what}; expected 1 or more")
    return number


def check_seed(seed: object) -> None:
    """Raises SaccadeError unless it is a whole number that a generator takes."""
    if not 0 <= whole(seed, f"the seed {seed!r}") < SEEDS:
        raise SaccadeError(f"the seed {seed!r}; expected a whole number from 0 to {SEEDS - 1}")


def check_numbers(given: object, what: str, axes: str) -> None:
    """Raises SaccadeError, naming it as `what`, unless it is a tensor of real, finite numbers with these axes, of
    which none is empty. axes: their names, such as "y x"."""
    check_axes(given, what, axes)
    assert isinstance(given, Tensor)
    if given.is_complex():
        raise SaccadeError(f"{what} has numbers of {given.dtype}; expected real ones")
    if not given.isfinite().all():
        raise SaccadeError(f"{what} is not finite: it holds {_worst(given)}")


def check_axes(given: object, what: str, axes: str) -> None:
    """The same of its axes alone."""
    if not isinstance(given, Tensor):
        raise SaccadeError(f"{what} is a {type(given).__name__}; expected a tensor ({axes})")
    if given.ndim != len(axes.split()):
        raise SaccadeError(f"{what} has the shape {tuple(given.shape)}; expected ({axes})")
    if not given.numel():
        raise SaccadeError(f"{what} is empty: its shape is {tuple(given.shape)}; expected ({axes}), none of them 0")


def check_logits(logits: object, pictures: int) -> None:
    """Raises SaccadeError unless a model gave finite logits (pictures, classes)."""
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != pictures or not logits.shape[1]:
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise SaccadeError(
            f"the model gave {found}; expected logits ({pictures}, classes): give a function that returns them, "
            "such as lambda x: model(x).logits"
        )
    if not logits.isfinite().all():
        raise SaccadeError(f"the model gave logits that are not finite: {_worst(logits)} among {tuple(logits.shape)}")


def check_classes(classes: Tensor, there: int) -> None:
    """Raises SaccadeError for the number of a class that a model does not have."""
    wrong = sorted({int(c) for c in classes if not 0 <= int(c) < there})
    if wrong:
        raise SaccadeError(f"class {wrong[0]} is not there: the model gives {there} classes, 0 to {there - 1}")


def check_pairs(maps: Sequence[Tensor], masks: Sequence[Tensor]) -> None:
    """Raises SaccadeError unless there are as many maps as masks."""
    for given, what in ((maps, "maps"), (masks, "masks")):
        if not isinstance(given, (Sequence, Tensor)):
            raise SaccadeError(f"{what} are a {type(given).__name__}; expected a sequence of tensors, one a picture")
    if len(maps) != len(masks):
        raise SaccadeError(f"there are maps of {len(maps)} pictures and masks of {len(masks)}; expected the same")


def _worst(given: Tensor) -> str:
    bad = given[~given.isfinite()]
    return f"{len(bad)} numbers such as {float(bad[0])}" if len(bad) > 1 else str(float(bad[0]))
