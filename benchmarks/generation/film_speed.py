"""Seconds a film: our generator and the LTX-Video transformer of diffusers of equal depth, width and tokens.

    python -m benchmarks.generation.film_speed --json-file film_speed.json
    python -m benchmarks.generation.film_speed --quick                        # shows that it works
    pip install --target FOLDER --no-deps diffusers                           # the peer, outside of the environment
    python -m benchmarks.generation.film_speed --packages FOLDER

On one core of a CPU, in processor seconds, in fp32, with random weights; eager, then with the blocks of both
compiled. All take turns in one run. A film of 16 frames is painted as 17: a first frame and 8 tubes of 2, each of
8 x 8 patches. LTX gets as many tokens of as many values, packed as its pipeline packs latents. Both denoise in equal
steps with classifier-free guidance, two evaluations a step in one batch. The MLPs have equal numbers of weights: ours
is a SwiGLU of 8/3 of the width, LTX's a GELU of 4 times the width. "refined" has the convolutions behind the blocks
too, as the bundled generator has.

The prompt's encoded words are given to both, so that no text encoder is timed. Ours computes their keys and values
once a film, which is timed; diffusers once a step. LTX is run with as many tokens as there are words, and with the 128
to which its pipeline pads every prompt.

The rows "going on" paint 8 frames after 9 that are known. Ours computes the keys and values of the known frames once;
in "past each step" it computes them anew at every step, and the frames must be the same to 1e-5.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import cyclopts
import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.common.machine import print_machine, write_json
from benchmarks.common.paired import measure
from benchmarks.generation.generate import GUIDANCE, find_peer, padding_to, parameters, report, report_difference
from saccade.models.generator import FilmClip, Generator, GeneratorConfig, SourceKeysValues
from saccade.models.source_encoders import SourceTokens
from saccade.ops.frames import TUBE, count_frame_groups
from saccade.tasks.generate.film import with_clips
from saccade.tasks.generate.sample import Sampling, sample

OURS, REFINED, PEER, PADDED = "ours", "ours, refined", "LTX", "LTX, padded"
GOING_ON, EACH_STEP = "ours, going on", "ours, going on, past each step"
PADDED_TO = 128  # words, in diffusers' LTXPipeline
FLOORS = {"ours / LTX": 1.5}
PROMPT = "a red star moving left and a blue ring growing"


@dataclass(frozen=True)
class FilmCase:
    """A size of both models, and the films painted at once."""

    name: str
    width: int
    heads: int
    depth: int
    patch: int = 8
    side: int = 64
    frames: int = 17
    known: int = 9
    batch: int = 1
    steps: int = 25
    text_width: int = 128
    refine: int = 32

    def ours(self, refine: int = 0) -> Generator:
        """Ours, with random values for the weights that start at 0."""
        block = {"width": self.width, "heads": self.heads, "hidden": self.width * 8 // 3, "activation": "swiglu"}
        text = {"block": {"width": self.text_width, "heads": 4, "hidden": 2 * self.text_width}, "depth": 2}
        config = {"block": block, "depth": self.depth, "patch": self.patch, "text": text, "films": True}
        model = Generator(GeneratorConfig.model_validate({**config, "late": 1, "refine": refine})).eval()
        for parameter in model.parameters():
            if not parameter.any():
                nn.init.normal_(parameter, std=0.02)
        return model

    def peer(self, ltx: Any) -> nn.Module:
        """diffusers' model, with the values of a tube as channels."""
        channels = 3 * TUBE * self.patch**2
        return ltx(
            in_channels=channels,
            out_channels=channels,
            num_attention_heads=self.heads,
            attention_head_dim=self.width // self.heads,
            cross_attention_dim=self.width,
            num_layers=self.depth,
            caption_channels=self.text_width,
        ).eval()

    def noise(self, frames: int) -> Float[Tensor, "b f c y x"]:
        """Of as many frames."""
        return torch.randn(self.batch, frames, 3, self.side, self.side)

    @property
    def grid(self) -> tuple[int, int, int]:
        """(groups of frames, rows, columns) of the tokens."""
        return count_frame_groups(self.frames), self.side // self.patch, self.side // self.patch


CASES = [FilmCase("1 film", 192, 6, 8), FilmCase("4 films", 192, 6, 8, batch=4)]
QUICK = [FilmCase("quick", 48, 2, 2, side=32, frames=5, known=3, batch=2, steps=2, refine=4)]


class PastEachStep:
    """A generator that computes the keys and values of known frames anew at every evaluation."""

    def __init__(self, model: Generator, clips: Sequence[FilmClip], first: int):
        self.model, self.clips, self.first = model, clips, first

    def predict(self, z: Tensor, t: Tensor, sources: SourceKeysValues) -> Tensor:
        """`Generator.predict`."""
        return self.model.predict(z, t, self.model.with_past(sources, self.clips, self.first))


def main(
    *,
    repeats: int = 7,
    quick: bool = False,
    only: str = "",
    compiled: bool = True,
    packages: Path | None = None,
    json_file: Path | None = None,
) -> None:
    """Time and compare.

    Parameters
    ----------
    repeats
        Turns that each way gets, after one that is not counted.
    quick
        Tiny models, eager, and three turns, to show that it works. Its figures mean nothing.
    only
        Run the cases with this in their names.
    compiled
        Compare the models with compiled blocks too.
    packages
        A folder in which diffusers lies, if it is not installed.
    json_file
        Write all figures there.
    """
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print_machine()
    ltx = find_peer(packages, "LTXVideoTransformer3DModel")
    cases = [case for case in (QUICK if quick else CASES) if only in case.name]
    modes = ["eager", "compiled"] if compiled and not quick else ["eager"]
    results = [run(case, mode, ltx, 3 if quick else repeats) for case in cases for mode in modes]
    write_json(json_file, {"cases": results})


@torch.no_grad()
def run(case: FilmCase, mode: str, ltx: Any | None, repeats: int) -> dict[str, Any]:
    """All ways of one case, printed and returned for JSON."""
    ours, refined = case.ours(), case.ours(case.refine)
    present = torch.tensor([True] * case.batch + [False] * case.batch)
    caption = ours.caption(ours.tokenize([PROMPT] * case.batch + ["-"] * case.batch), present)
    many, noise = Sampling(case.steps, GUIDANCE), case.noise(case.frames)
    ways: dict[str, Callable[[], Tensor]] = {
        OURS: lambda: sample(ours, noise, ours.keys_values({"caption": caption}), many),
        REFINED: lambda: sample(refined, noise, refined.keys_values({"caption": caption}), many),
        **going_on(case, ours, caption, many),
    }
    sizes, blocks = {OURS: parameters(ours.blocks)}, [*ours.blocks, *refined.blocks]
    if ltx is not None:
        peer = case.peer(ltx)
        peer_blocks = cast(nn.ModuleList, peer.transformer_blocks)
        sizes[PEER], blocks = parameters(peer_blocks), [*blocks, *peer_blocks]
        ways[PEER] = lambda: sample_peer(peer, case, caption)
        ways[PADDED] = lambda: sample_peer(peer, case, padding_to(caption, PADDED_TO))
    if mode == "compiled":
        for block in blocks:
            block.compile()
    apart = float((ways[GOING_ON]() - ways[EACH_STEP]()).abs().max())
    times = measure(ways, repeats, clock=time.process_time)
    tokens, words = case.grid[0] * case.grid[1] * case.grid[2], caption.tokens.shape[1]
    print(f"\n## {case.name}, {tokens} tokens, {words} words, {mode}; weights of the blocks: {sizes}")
    found = report(times, pairs(PEER in times), FLOORS, case.batch, "film")
    found |= report_difference("past computed once and at each step", apart)
    return {"case": asdict(case), "mode": mode, "weights": sizes, **found}


def going_on(
    case: FilmCase, model: Generator, caption: SourceTokens, sampling: Sampling
) -> dict[str, Callable[[], Tensor]]:
    """The rest of a film of which the first frames are known, with their keys and values computed once, and at every
    step."""
    clip, noise = FilmClip(case.noise(case.known).clamp(-1, 1)), case.noise(case.frames - case.known)
    terms = len(caption.tokens) // case.batch
    repeated = FilmClip(clip.pixels.repeat(terms, 1, 1, 1, 1))
    each_step = cast(Generator, PastEachStep(model, [repeated], case.known))

    def cached() -> Tensor:
        sources = model.keys_values({"caption": caption})
        return sample(model, noise, with_clips(model, sources, [clip], case.known, terms), sampling)

    return {
        GOING_ON: cached,
        EACH_STEP: lambda: sample(each_step, noise, model.keys_values({"caption": caption}), sampling),
    }


def sample_peer(model: Any, case: FilmCase, caption: SourceTokens) -> Float[Tensor, "b n v"]:
    """Euler steps with classifier-free guidance, as diffusers' pipelines do them; the model predicts the velocity of
    packed latents."""
    (groups, rows, columns), values = case.grid, 3 * TUBE * case.patch**2
    z = torch.randn(case.batch, groups * rows * columns, values)
    for t, until in pairwise(torch.linspace(0, 1, case.steps + 1)):
        both = model(
            torch.cat([z, z]),
            caption.tokens,
            (1000 * t).expand(len(caption.tokens)),
            caption.mask,
            num_frames=groups,
            height=rows,
            width=columns,
            rope_interpolation_scale=(1.0, 1.0, 1.0),
            return_dict=False,
        )
        positive, negative = both[0].chunk(2)
        z = z + (until - t) * (negative + GUIDANCE * (positive - negative))
    return z


def pairs(with_peer: bool) -> Iterator[tuple[str, str, str]]:
    """Titles, faster and slower ways of the ratios."""
    if with_peer:
        yield "ours / LTX", OURS, PEER
        yield "ours / LTX, padded", OURS, PADDED
        yield "refined / LTX", REFINED, PEER
        yield "refined / LTX, padded", REFINED, PADDED
    yield "past once / each step", GOING_ON, EACH_STEP


if __name__ == "__main__":
    cyclopts.run(main)
