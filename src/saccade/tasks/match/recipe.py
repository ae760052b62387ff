"""Options of the training of a matcher."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from saccade.errors import UsageError
from saccade.options import Options, progressive_size


class MatchRecipe(Options):
    """Model and training pairs. The defaults suit scenes of few objects."""

    model: str = "small/8"
    """Preset of the ViT encoder."""
    size: Annotated[int, Field(gt=0)] = 64
    """Side of the input in pixels."""
    width: Annotated[int, Field(gt=0)] = 128
    """Width of the space in which pictures and texts are compared."""
    text_width: Annotated[int, Field(gt=0, multiple_of=32)] = 128
    """Width of the text encoder and of the cross-attention head; a multiple of 32."""
    text_depth: Annotated[int, Field(gt=0)] = 2
    """Blocks of the text encoder."""
    hashed_words: Annotated[int, Field(ge=0, le=1_000_000)] = 1024
    """Rows of the table that gives each word a vector of its own, in addition to what is read from its bytes: words
    are learned sooner. 0 for none."""
    head_depth: Annotated[int, Field(gt=0)] = 2
    """Blocks of the cross-attention head."""
    captions: Annotated[int, Field(gt=0)] = 2
    """Captions of each picture that are true of it; of a caption set, drawn from those it has."""
    hard_captions: Annotated[int, Field(ge=0)] = 2
    """Captions of each picture with one colour, shape or relation changed; scenes only."""
    hard_negatives: Annotated[int, Field(ge=0)] = 2
    """Other pictures' captions that the head compares with each picture: those that come closest to being true; in a
    caption set, by the similarity of the towers."""
    random_negatives: Annotated[int, Field(ge=0)] = 2
    """Captions drawn at random from the batch that the head compares with each picture."""
    captioned: Path | None = None
    """Pictures with captions, without those that are held out by default, that take part in every batch of scenes; each
    is compared with their captions alone."""
    captioned_share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """Their share of the pictures of a batch."""
    hflip: bool = False
    """Flip the pictures of a caption set horizontally with probability 0.5: only if its captions do not tell left from
    right."""
    lock: bool = False
    """Keep the encoder's weights as they are (locked-image tuning, Zhai et al. 2022): steps are faster, and a
    pretrained encoder is not disturbed before the words have a meaning."""
    progressive_resize: bool = False
    """Train on pictures of half the size first, at a quarter of the cost, and increase to the full size."""
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Stochastic depth rate of the encoder's last block; it rises linearly from 0 at the first."""

    def check_applicable_options(self, scenes: bool) -> None:
        """Raises UsageError for an option that does not apply to scenes, or to caption sets, and has another value than
        its default."""
        names, data = (("hflip",), "scenes") if scenes else (("hard_captions", "captioned"), "a caption set")
        for name in names:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise UsageError(f"--{name.replace('_', '-')} does not apply to {data}: leave it out")

    def size_at(self, progress: float) -> int:
        """Side of the training pictures at a fraction of the run, 0 to 1: a half, three quarters, then full."""
        return progressive_size(self.size, progress) if self.progressive_resize else self.size
