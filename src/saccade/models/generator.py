"""A diffusion transformer in pixel space: what it paints attends to itself and to its sources.

A picture is a film of one frame: tokens lie on a grid of (groups of frames, rows, columns), and every group has its own
time (Chen et al. 2024, Diffusion Forcing). Frames without noise are history: they see only one another, so that their
keys and values are computed once. The data themselves are predicted (Li & He 2025, JiT); captions act by
cross-attention and time by adaLN-single (Chen et al. 2024, PixArt-α).
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from saccade.errors import SaccadeError
from saccade.layers import (
    NORMS,
    BlockConfig,
    DiTBlock,
    FrameEmbed,
    FrameOutput,
    KeysValues,
    Modulation,
    PixelRefiner,
    ScalarEmbedding,
    TimestepEmbed,
)
from saccade.layers.modulation import modulate, repeat_over_tokens
from saccade.layers.refine import CELL
from saccade.models.source_encoders import PICTURE_SOURCES, CaptionSource, PictureInput, PictureSource, SourceTokens
from saccade.models.text import TextEncoderConfig
from saccade.ops import WordBatch, grid_of, rotary_angles
from saccade.ops.frames import count_frame_groups, group_times, repeat_per_frame
from saccade.ops.positions import rotary_sincos

_BLOCK = {"width": 192, "heads": 6, "hidden": 384, "activation": "swiglu"}


class GeneratorConfig(BaseModel):
    """`depth` blocks of configuration `block` over patches of `patch` pixels, and the caption's encoder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    block: BlockConfig = BlockConfig.model_validate(_BLOCK)
    depth: int = Field(8, gt=0, le=1000)
    patch: int = Field(8, gt=0, le=256, description="pixels along each side of a patch")
    channels: int = Field(3, gt=0, le=64)
    bottleneck: int = Field(0, ge=0, le=65536, description="width to which patches are reduced first; 0 for none")
    films: bool = Field(False, description="whether it paints films too")
    refine: int = Field(0, ge=0, le=1024, description="channels of the convolutions behind the blocks; 0 for none")
    text: TextEncoderConfig = TextEncoderConfig.model_validate({"max_words": 128})
    pictures: tuple[Literal["picture", "masked", "style"], ...] = Field(
        (), description="sources beside the caption, from `saccade.models.source_encoders.PICTURE_SOURCES`"
    )
    contained_guidance: tuple[float, float] | None = Field(
        None, description="smallest and largest guidance scale that it contains, if it predicts over intervals"
    )
    late: int = Field(3, ge=0, le=1000, description="last blocks, which see the end of an interval")

    @model_validator(mode="after")
    def _check_patch(self) -> "GeneratorConfig":
        if self.refine and self.patch % CELL:
            raise ValueError(f"patch {self.patch}: convolutions behind the blocks (refine) need a multiple of {CELL}")
        return self


class SourceKeysValues(NamedTuple):
    """What a generation attends to, computed once: keys and values for each block. mask: (b 1 1 m), as in
    `saccade.attend`. spans: of each source among the m tokens, by its name; "caption" is the first. past: the
    frames of a film that are known."""

    keys_values: tuple[KeysValues, ...]
    mask: Tensor
    spans: Mapping[str, slice]
    past: "PastKeysValues | None" = None

    def part(self, samples: slice) -> "SourceKeysValues":
        """Those of some of the samples."""
        past = None if self.past is None else PastKeysValues(_part(self.past.keys_values, samples), self.past.first)
        return SourceKeysValues(_part(self.keys_values, samples), self.mask[samples], self.spans, past)

    def followed_by(self, other: "SourceKeysValues") -> "SourceKeysValues":
        """Those of these samples, then of the others, with as many tokens."""
        past = None
        if self.past is not None and other.past is not None:
            past = PastKeysValues(_joined(self.past.keys_values, other.past.keys_values), self.past.first)
        keys_values = _joined(self.keys_values, other.keys_values)
        return SourceKeysValues(keys_values, torch.cat([self.mask, other.mask]), self.spans, past)

    def with_weights(self, weights: Float[Tensor, "b m"]) -> "SourceKeysValues":
        """The same, with the attention to each token multiplied by a weight from 0 before its weights are scaled to
        sum to 1: log w is added to its scores. Weights that are all 1 change nothing. m: of all tokens or the first
        ones; the others keep a weight of 1."""
        if bool((weights == 1).all()):
            return self
        weights = F.pad(weights, (0, self.mask.shape[-1] - weights.shape[1]), value=1.0)
        bias = weights.log()[:, None, None, :].masked_fill(~self.mask, -torch.inf)
        return self._replace(mask=bias)


class PastKeysValues(NamedTuple):
    """Frames of a film that are known. keys_values: of their tokens, for the self-attention of each block. first:
    number, from 0, of the first frame to paint."""

    keys_values: tuple[KeysValues, ...]
    first: int


class FilmClip(NamedTuple):
    """Frames, -1 to 1, that follow one another. first: number, from 0, of the first one in its film."""

    pixels: Float[Tensor, "b f c y x"]
    first: int = 0


def _part(keys_values: tuple[KeysValues, ...], samples: slice) -> tuple[KeysValues, ...]:
    return tuple(KeysValues(each.keys[samples], each.values[samples]) for each in keys_values)


def _joined(one: tuple[KeysValues, ...], other: tuple[KeysValues, ...]) -> tuple[KeysValues, ...]:
    """Of the samples of one, then of the other."""
    return tuple(KeysValues(*map(torch.cat, zip(a, b, strict=True))) for a, b in zip(one, other, strict=True))


class Generator(nn.Module):
    """Predict the data of noised pictures.

    sources = generator.encode(generator.tokenize(["a red star"]), torch.tensor([True]))   # once
    generator.predict(z, t, sources)                                                       # every step
    """

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config, block, norm = config, config.block, NORMS[config.block.norm]
        width, pixels = block.width, config.patch**2 * config.channels
        self.caption, source_width = CaptionSource(config.text), config.text.block.width
        self.pictures = nn.ModuleDict(
            {name: PICTURE_SOURCES[name](source_width, config.patch, block.eps) for name in config.pictures}
        )
        self.embed = FrameEmbed(pixels, config.patch, width, config.bottleneck, config.films)
        self.time = TimestepEmbed(width)
        self.interval = ScalarEmbedding(width)
        self.guidance = ScalarEmbedding(width)
        self.modulation = Modulation(width)
        self.blocks = nn.ModuleList(DiTBlock(block, source_width) for _ in range(config.depth))
        self.final_norm = norm(width, eps=block.eps)
        self.final_modulation = Modulation(width, 2)
        self.out = FrameOutput(pixels, config.patch, width, config.films)
        self.refine = PixelRefiner(config.channels, config.refine, width) if config.refine else None

    @property
    def device(self) -> torch.device:
        """Of the weights."""
        return self.caption.nothing.device

    def tokenize(self, texts: Sequence[str]) -> WordBatch:
        """The texts as words, on the generator's device; limits and errors as in `saccade.ops.tokenize`."""
        return self.caption.encoder.tokenize(texts).to(self.device)

    def encode(
        self, words: WordBatch, present: Bool[Tensor, "b"], pictures: Mapping[str, PictureInput] | None = None
    ) -> SourceKeysValues:
        """Keys and values of captions and pictures. present: False for captions to leave out. pictures: by their names
        in the configuration; those that are missing are absent."""
        pictures, b = pictures or {}, len(words)
        found = {"caption": self.caption(words, present)}
        for name, module in self.pictures.items():
            source = cast(PictureSource, module)
            found[name] = source(pictures[name]) if name in pictures else source.absent_tokens(b)
        return self.keys_values(found)

    def keys_values(self, sources: Mapping[str, SourceTokens]) -> SourceKeysValues:
        """Keys and values, for each block, of the tokens of all sources together."""
        tokens = torch.cat([source.tokens for source in sources.values()], dim=1)
        mask = torch.cat([source.mask for source in sources.values()], dim=1)[:, None, None, :]
        ends = list(accumulate(source.tokens.shape[1] for source in sources.values()))
        spans = {name: slice(*each) for name, each in zip(sources, pairwise([0, *ends]), strict=True)}
        attentions = (cast(DiTBlock, block).cross_attention for block in self.blocks)
        return SourceKeysValues(tuple(attention.keys_values(tokens) for attention in attentions), mask, spans)

    def forward(
        self,
        z: Float[Tensor, "b f c y x"],
        t: Float[Tensor, "b g"],
        words: WordBatch,
        present: Bool[Tensor, "b"],
        pictures: Mapping[str, PictureInput] | None = None,
        past: Sequence[FilmClip] = (),
        first: int = 0,
    ) -> Float[Tensor, "b f c y x"]:
        """`predict` with the sources that `encode` and `with_past` take, for training."""
        return self.predict(z, t, self.with_past(self.encode(words, present, pictures), past, first))

    def with_past(self, sources: SourceKeysValues, clips: Sequence[FilmClip], first: int) -> SourceKeysValues:
        """The sources of films of which some frames are known: those of the clips. first: number of the first frame to
        paint."""
        if not clips:
            return sources
        parts = [self._tokens(clip.pixels, clip.first) for clip in clips]
        x, angles = torch.cat([part.x for part in parts], dim=1), torch.cat([part.angles for part in parts])
        groups = sum(count_frame_groups(clip.pixels.shape[1]) for clip in clips)
        modulation = self.modulation(self.time(torch.ones(len(x), groups, device=x.device)))
        found: list[KeysValues] = []
        for module, source in zip(self.blocks, sources.keys_values, strict=True):
            block = cast(DiTBlock, module)
            found.append(block.past_keys_values(x, modulation, angles))
            if len(found) < len(self.blocks):
                x = block(x, modulation, source, mask=sources.mask, angles=angles)
        return sources._replace(past=PastKeysValues(tuple(found), first))

    def predict(
        self,
        z: Float[Tensor, "b f c y x"],
        t: Float[Tensor, "b g"],
        sources: SourceKeysValues,
        interval: Float[Tensor, "b g"] | None = None,
        guidance: Float[Tensor, "b g"] | None = None,
    ) -> Float[Tensor, "b f c y x"]:
        """The data, -1 to 1, of which z is the noised version at time t of each group of frames
        (`saccade.ops.frames`).

        interval: None predicts from the velocity at t; else the length of the interval from t over which the predicted
        velocity is the mean one (a flow map, for few steps). guidance: scale of the guidance that is contained in the
        prediction; None for none.

        Raises SaccadeError for pictures that are not a multiple of the patch, and for films if it paints none.
        """
        frames, grid, past = z.shape[1], self.grid(z), sources.past
        x, angles = self._tokens(z, 0 if past is None else past.first)
        condition = self.time(t)
        if guidance is not None:
            condition = condition + self.guidance(guidance / 10)
        late = condition if interval is None else condition + self.interval(interval)
        if interval is None:
            early = last = self.modulation(condition)
        else:  # in one call: a second one of the same module would begin another run for `saccade.watch`
            early, last = self.modulation(torch.cat([condition, late])).chunk(2)
        for i, (block, source) in enumerate(zip(self.blocks, sources.keys_values, strict=True)):
            modulation = early if i < self.config.depth - self.config.late else last
            known = None if past is None else past.keys_values[i]
            x = block(x, modulation, source, mask=sources.mask, angles=angles, past=known)
        shift, scale = repeat_over_tokens(self.final_modulation(late), x.shape[1]).chunk(2, dim=-1)
        x = modulate(self.final_norm(x), shift, scale)
        prediction = self.out(x, frames, grid)
        if self.refine is None:
            return prediction
        tokens = repeat_per_frame(rearrange(x, "b (g h w) d -> b g h w d", h=grid[0], w=grid[1]), frames)
        flat = (rearrange(each, "b f ... -> (b f) ...") for each in (prediction, z, tokens))
        return rearrange(self.refine(*flat), "(b f) c y x -> b f c y x", f=frames)

    def _tokens(self, z: Float[Tensor, "b f c y x"], first: int) -> "FrameTokens":
        """Of frames that begin with number `first`."""
        times = group_times(z.shape[1], first, z.device)
        grid, block = (len(times), *self.grid(z)), self.config.block
        x = self.embed(z)
        x = x + rotary_sincos(grid, block.width, device=x.device, times=times).to(x)
        return FrameTokens(x, rotary_angles(grid, block.width // block.heads, device=x.device, times=times))

    def grid(self, z: Float[Tensor, "b f c y x"]) -> tuple[int, int]:
        """(rows, columns) of the patches of a frame. Raises SaccadeError for sizes that do not divide."""
        patch, (height, width) = self.config.patch, z.shape[-2:]
        if height % patch or width % patch:
            raise SaccadeError(f"a size of {width} x {height} pixels is not a multiple of {patch} on both sides")
        return grid_of(height, width, patch)


class FrameTokens(NamedTuple):
    """Tokens of frames, with their rotary angles."""

    x: Float[Tensor, "b n d"]
    angles: Float[Tensor, "n half"]
