"""Pictures with captions as the data of a task: `--data photos/`."""

from typing import TypeVar

from saccade.data.captions import CaptionSet, caption_splits
from saccade.ops import tokenize
from saccade.options import DataOptions

Captioned = TypeVar("Captioned", bound=CaptionSet)


def captioned_splits(options: DataOptions, seed: int, max_words: int) -> tuple[CaptionSet, CaptionSet]:
    """Captioned pictures to train on and to validate on, with the captions that have at most `max_words` words; notes
    of the sets say how many others there are.

    Raises DataError for data without captions, and as `caption_splits` does."""
    assert options.data is not None
    train, val = caption_splits(options.data, options.val, options.val_fraction, seed, options.on_error)
    return without_long_captions(train, max_words), without_long_captions(val, max_words)


def without_long_captions(dataset: Captioned, max_words: int) -> Captioned:
    """The set without captions of more than `max_words` words. They are noted, because a run that has too few pictures
    left ends before it prints what it skipped."""
    readable = dataset.readable_captions(lambda text: tokenize([text], max_words))
    reasons = list(readable.skipped.values())[len(dataset.skipped) :]
    if reasons:
        pictures = len(dataset) - len(readable)
        lost = f", with {pictures} of {len(dataset)} pictures, which have no other" if pictures else ""
        note = f"{len(reasons)} captions of {dataset.title} that the model cannot read are left out{lost}: {reasons[0]}"
        readable.notes = [*readable.notes, note]
    return readable
