"""How large a painted picture may be, and how many are painted at once."""

from saccade.errors import SaccadeError

MAX_TOKENS = 4096  # of a picture
MAX_BATCH_TOKENS = 16384  # of the pictures that are painted at once


def max_batch_size(size: tuple[int, int], patch: int) -> int:
    """How many pictures of (height, width) pixels are painted at once, at least 1. patch: side in pixels."""
    tokens = size[0] // patch * (size[1] // patch)
    return max(1, MAX_BATCH_TOKENS // tokens)


def check_size(size: tuple[int, int], patch: int) -> None:
    """Raises SaccadeError for a (height, width) that is not whole patches, or too many of them."""
    height, width = size
    if height < patch or width < patch or height % patch or width % patch:
        raise SaccadeError(f"a size of {width} x {height} pixels: multiples of {patch}, from {patch} on, are expected")
    if height // patch * (width // patch) > MAX_TOKENS:
        raise SaccadeError(
            f"a size of {width} x {height} pixels has more than {MAX_TOKENS} patches of {patch}: use a smaller one"
        )
