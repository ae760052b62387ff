"""A diffusion transformer in pixel space: what it paints attends to itself and to its sources.

A picture is a film of one frame: tokens lie on a grid of (frames, rows, columns), and every frame has its own time.
Patches are embedded through a bottleneck and the data themselves are predicted (Li & He 2025, JiT); captions act by
cross-attention and time by adaLN-single (Chen et al. 2024, PixArt-α).
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from saccade.errors import SaccadeError
from saccade.layers import NORMS, BlockConfig, DiTBlock, KeysValues, Modulation, NumberEmbed
from saccade.layers.modulation import modulate, over_tokens
from saccade.models.sources import PICTURE_SOURCES, CaptionSource, PictureSource, SourcePicture, SourceTokens
from saccade.models.text import TextEncoderConfig
from saccade.ops import WordBatch, grid_of, patchify, rotary_angles, unpatchify
from saccade.ops.positions import places

_BLOCK = {"width": 192, "heads": 6, "hidden": 384, "activation": "swiglu"}


class GeneratorConfig(BaseModel):
    """`depth` blocks of configuration `block` over patches of `patch` pixels, and the caption's encoder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    block: BlockConfig = BlockConfig.model_validate(_BLOCK)
    depth: int = Field(8, gt=0, le=1000)
    patch: int = Field(8, gt=0, le=256, description="pixels along each side of a patch")
    channels: int = Field(3, gt=0, le=64)
    bottleneck: int = Field(64, gt=0, le=65536, description="width to which patches are reduced first")
    text: TextEncoderConfig = TextEncoderConfig.model_validate({"max_words": 128})
    pictures: tuple[Literal["picture", "masked", "style"], ...] = Field(
        (), description="sources beside the caption, from `saccade.models.sources.PICTURE_SOURCES`"
    )
    contained_guidance: tuple[float, float] | None = Field(
        None, description="smallest and largest guidance scale that it contains, if it predicts over intervals"
    )
    late: int = Field(3, ge=0, le=1000, description="last blocks, which see the end of an interval")


class Sources(NamedTuple):
    """What a generation attends to, computed once: keys and values for each block. mask: (b 1 1 m), as in
    `saccade.attend`. spans: of each source among the m tokens, by its name; "caption" is the first."""

    keys_values: tuple[KeysValues, ...]
    mask: Tensor
    spans: Mapping[str, slice]

    def part(self, samples: slice) -> "Sources":
        """Those of some of the samples."""
        keys_values = tuple(KeysValues(each.keys[samples], each.values[samples]) for each in self.keys_values)
        return Sources(keys_values, self.mask[samples], self.spans)

    def followed_by(self, other: "Sources") -> "Sources":
        """Those of these samples, then of the others, with as many tokens."""
        pairs = zip(self.keys_values, other.keys_values, strict=True)
        keys_values = tuple(KeysValues(*(torch.cat(both) for both in zip(a, b, strict=True))) for a, b in pairs)
        return Sources(keys_values, torch.cat([self.mask, other.mask]), self.spans)

    def with_weights(self, weights: Float[Tensor, "b m"]) -> "Sources":
        """The same, with the attention to each token multiplied by a weight from 0 before its weights are scaled to
        sum to 1: log w is added to its scores. Weights that are all 1 change nothing. m: of all tokens or the first
        ones; the others keep a weight of 1."""
        if bool((weights == 1).all()):
            return self
        weights = F.pad(weights, (0, self.mask.shape[-1] - weights.shape[1]), value=1.0)
        bias = weights.log()[:, None, None, :].masked_fill(~self.mask, -torch.inf)
        return Sources(self.keys_values, bias, self.spans)


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
        self.embed = nn.Sequential(
            nn.Linear(pixels, config.bottleneck, bias=False), nn.Linear(config.bottleneck, width)
        )
        self.time = NumberEmbed(width)
        self.interval = NumberEmbed(width, zero=True)
        self.guidance = NumberEmbed(width, zero=True)
        self.modulation = Modulation(width)
        self.blocks = nn.ModuleList(DiTBlock(block, source_width) for _ in range(config.depth))
        self.final_norm = norm(width, eps=block.eps)
        self.final_modulation = Modulation(width, 2)
        self.out = nn.Linear(width, pixels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def tokenize(self, texts: Sequence[str]) -> WordBatch:
        """The texts as words, on the generator's device; limits and errors as in `saccade.ops.tokenize`."""
        return self.caption.encoder.tokenize(texts).to(self.out.bias.device)

    def encode(
        self, words: WordBatch, present: Bool[Tensor, "b"], pictures: Mapping[str, SourcePicture] | None = None
    ) -> Sources:
        """Keys and values of captions and pictures. present: False for captions to leave out. pictures: by their names
        in the configuration; those that are missing are absent."""
        pictures, b = pictures or {}, len(words)
        found = {"caption": self.caption(words, present)}
        for name, module in self.pictures.items():
            source = cast(PictureSource, module)
            found[name] = source(pictures[name]) if name in pictures else source.absent(b)
        return self.keys_values(found)

    def keys_values(self, sources: Mapping[str, SourceTokens]) -> Sources:
        """Keys and values, for each block, of the tokens of all sources together."""
        tokens = torch.cat([source.tokens for source in sources.values()], dim=1)
        mask = torch.cat([source.mask for source in sources.values()], dim=1)[:, None, None, :]
        ends = list(accumulate(source.tokens.shape[1] for source in sources.values()))
        spans = {name: slice(*each) for name, each in zip(sources, pairwise([0, *ends]), strict=True)}
        attentions = (cast(DiTBlock, block).cross_attention for block in self.blocks)
        return Sources(tuple(attention.keys_values(tokens) for attention in attentions), mask, spans)

    def forward(
        self,
        z: Float[Tensor, "b f c y x"],
        t: Float[Tensor, "b f"],
        words: WordBatch,
        present: Bool[Tensor, "b"],
        pictures: Mapping[str, SourcePicture] | None = None,
    ) -> Float[Tensor, "b f c y x"]:
        """`predict` with the sources that `encode` takes, for training."""
        return self.predict(z, t, self.encode(words, present, pictures))

    def predict(
        self,
        z: Float[Tensor, "b f c y x"],
        t: Float[Tensor, "b f"],
        sources: Sources,
        interval: Float[Tensor, "b f"] | None = None,
        guidance: Float[Tensor, "b f"] | None = None,
    ) -> Float[Tensor, "b f c y x"]:
        """The data, -1 to 1, of which z is the noised version at time t of each frame.

        interval: None predicts from the velocity at t; else the length of the interval from t over which the predicted
        velocity is the mean one (a flow map, for few steps). guidance: scale of the guidance that is contained in the
        prediction; None for none.

        Raises SaccadeError for pictures that are not a multiple of the patch.
        """
        frames, (rows, columns) = z.shape[1], self.grid(z)
        tokens = patchify(rearrange(z, "b f c y x -> (b f) c y x"), self.config.patch)
        x = self.embed(rearrange(tokens, "(b f) n p -> b (f n) p", f=frames))
        grid = (frames, rows, columns)
        x = x + places(grid, self.config.block.width, device=x.device).to(x)
        angles = rotary_angles(grid, self.config.block.width // self.config.block.heads, device=x.device)
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
            x = block(x, modulation, source, mask=sources.mask, angles=angles)
        shift, scale = over_tokens(self.final_modulation(late), x.shape[1]).chunk(2, dim=-1)
        pixels = self.out(modulate(self.final_norm(x), shift, scale))
        pictures = unpatchify(rearrange(pixels, "b (f n) p -> (b f) n p", f=frames), (rows, columns), self.config.patch)
        return rearrange(pictures, "(b f) c y x -> b f c y x", f=frames)

    def grid(self, z: Float[Tensor, "b f c y x"]) -> tuple[int, int]:
        """(rows, columns) of the patches of a frame. Raises SaccadeError for sizes that do not divide."""
        patch, (height, width) = self.config.patch, z.shape[-2:]
        if height % patch or width % patch:
            raise SaccadeError(f"a size of {width} x {height} pixels is not a multiple of {patch} on both sides")
        return grid_of(height, width, patch)
