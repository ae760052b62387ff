"""Sources that a generated picture attends to. Each is encoded once, sees only itself, and may be absent."""

from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from saccade.layers import RMSNorm
from saccade.models.text import TextEncoder, TextEncoderConfig
from saccade.ops import WordBatch, grid_of, patchify
from saccade.ops.positions import rotary_sincos


class SourceTokens(NamedTuple):
    """tokens of a source. mask: True where there is a token, False for padding; at least one a sample."""

    tokens: Float[Tensor, "b m d"]
    mask: Bool[Tensor, "b m"]


class CaptionSource(nn.Module):
    """One token per word. An absent caption is one learned token, "nothing" (Ho & Salimans 2022)."""

    def __init__(self, config: TextEncoderConfig):
        super().__init__()
        self.encoder = TextEncoder(config)
        self.nothing = nn.Parameter(nn.init.normal_(torch.empty(config.block.width), std=0.02))

    def forward(self, words: WordBatch, present: Bool[Tensor, "b"]) -> SourceTokens:
        """present: False where the caption is absent, whatever its words are."""
        return replace_absent(SourceTokens(self.encoder(words), words.word_mask), present, self.nothing)


class PictureInput(NamedTuple):
    """pixels: -1 to 1, and for `MaskedSource` the mask as the last channel. present: False where it is absent."""

    pixels: Float[Tensor, "b c y x"]
    present: Bool[Tensor, "b"]


class PictureSource(nn.Module):
    """A picture to make another one from, such as a sketch of it: one token a patch, with its place. An absent picture
    is one learned token."""

    channels: ClassVar[int] = 3

    def __init__(self, width: int, patch: int, eps: float):
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(patch**2 * self.channels, width)
        self.norm = RMSNorm(width, eps=eps)
        self.nothing = nn.Parameter(nn.init.normal_(torch.empty(width), std=0.02))

    def forward(self, picture: PictureInput) -> SourceTokens:
        """Raises SaccadeError for sides that are not multiples of the patch."""
        x = self.embed(patchify(picture.pixels, self.patch))
        x = self.norm(x + self.positions(picture.pixels, x))
        everywhere = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        return replace_absent(SourceTokens(x, everywhere), picture.present, self.nothing)

    def absent_tokens(self, b: int) -> SourceTokens:
        """The tokens of b samples without a picture."""
        tokens = self.nothing.expand(b, 1, -1)
        return SourceTokens(tokens, torch.ones(b, 1, dtype=torch.bool, device=tokens.device))

    def positions(self, pixels: Float[Tensor, "b c y x"], tokens: Float[Tensor, "b n d"]) -> Tensor:
        """To add to the tokens; broadcasts to their shape."""
        height, width = pixels.shape[-2:]
        grid = grid_of(height, width, self.patch)
        return rotary_sincos((1, *grid), tokens.shape[-1], device=tokens.device).to(tokens)


class MaskedSource(PictureSource):
    """A picture with a part to paint: its pixels are 0 there, and a last channel is 1 where they are known, else -1."""

    channels = 4


def masked_pixels(pixels: Float[Tensor, "b 3 y x"], known: Bool[Tensor, "b 1 y x"]) -> Float[Tensor, "b 4 y x"]:
    """What `MaskedSource` takes of a picture, -1 to 1, of which only a part is known."""
    return torch.cat([pixels * known, known.to(pixels.dtype) * 2 - 1], dim=1)


class StyleSource(PictureSource):
    """A picture whose style to take, not its content: its patches have no places."""

    def positions(self, pixels: Float[Tensor, "b c y x"], tokens: Float[Tensor, "b n d"]) -> Tensor:
        return tokens.new_zeros(())


PICTURE_SOURCES: dict[str, type[PictureSource]] = {
    "picture": PictureSource,
    "masked": MaskedSource,
    "style": StyleSource,
}


def replace_absent(source: SourceTokens, present: Bool[Tensor, "b"], nothing: Float[Tensor, "d"]) -> SourceTokens:
    """The tokens where a source is present; elsewhere the one token `nothing` (Ho & Salimans 2022)."""
    absent = ~present[:, None]
    first = torch.zeros_like(source.mask)
    first[:, 0] = True
    tokens = torch.where(absent[..., None], nothing.to(source.tokens.dtype), source.tokens)
    return SourceTokens(tokens, torch.where(absent, first, source.mask))
