"""Pictures with captions as the data of a task: `--data photos/`."""

from saccade.data.captions import CaptionSet, caption_splits
from saccade.ops import tokenize
from saccade.options import DataOptions


def captioned_splits(options: DataOptions, seed: int, max_words: int) -> tuple[CaptionSet, CaptionSet]:
    """Captioned pictures to train on and to validate on, with the captions that have at most `max_words` words.

    Raises DataError for data without captions, and as `caption_splits` does."""
    assert options.data is not None
    train, val = caption_splits(options.data, options.val, options.val_fraction, seed, options.on_error)
    train, val = (part.readable_captions(lambda text: tokenize([text], max_words)) for part in (train, val))
    return train, val
