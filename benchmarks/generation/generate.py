"""Seconds a picture: our generator and the PixArt transformer of diffusers of equal depth, width and tokens.

    python -m benchmarks.generation.generate --json-file generate.json
    python -m benchmarks.generation.generate --quick                          # shows that it works
    pip install --target FOLDER --no-deps diffusers                           # the peer, outside of the environment
    python -m benchmarks.generation.generate --packages FOLDER

On one core of a CPU, in processor seconds, in fp32, with random weights; eager, then with the blocks of both
compiled. All take turns in one run. Both models denoise the same noise in equal steps with classifier-free guidance,
two evaluations a step in one batch, by the same equations. The MLPs have equal numbers of weights: ours is a SwiGLU
of 8/3 of the width, PixArt's a GELU of 4 times the width.

The prompt's encoded words are given to both, so that no text encoder is timed. Ours computes their keys and values
once a picture, which is timed; diffusers once a step. PixArt is run with as many tokens as there are words, and with
the 120 tokens to which the pipeline of PixArt-alpha pads every prompt. In the rows "sources each step" ours reads the
prompt anew at every step, with its text encoder, and the pictures must be the same to 1e-5. In the rows "few steps"
ours takes 4 steps of the sampler mean-flow, with the guidance as an input: one evaluation a step.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, cast

import cyclopts
import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.common.machine import print_machine, write_json
from benchmarks.common.paired import Times, judged, measure, speedup
from saccade.models.generator import Generator, GeneratorConfig, SourceKeysValues
from saccade.models.source_encoders import SourceTokens
from saccade.tasks.generate.sample import Sampling, sample

OURS, EACH_STEP, FEW = "ours", "ours, sources each step", "ours, few steps"
PEER, PADDED, PADDED_TO = "PixArt", "PixArt, padded", 120
GUIDANCE, TOLERANCE = 3.0, 1e-5
FLOORS = {"ours / PixArt": 1.5, "few steps / PixArt": 12.0}
PROMPT = "a red star left of a blue ring, and a green cross below the blue ring"


@dataclass(frozen=True)
class Case:
    """A size of both models, and the pictures painted at once."""

    name: str
    width: int
    heads: int
    depth: int
    patch: int
    side: int
    batch: int
    steps: int = 25
    few: int = 4
    text_width: int = 128

    def ours(self) -> Generator:
        """Ours, with random values for the weights that start at 0."""
        block = {"width": self.width, "heads": self.heads, "hidden": self.width * 8 // 3, "activation": "swiglu"}
        text = {"block": {"width": self.text_width, "heads": 4, "hidden": 2 * self.text_width}, "depth": 2}
        config = {"block": block, "depth": self.depth, "patch": self.patch, "late": -(-self.depth // 3), "text": text}
        model = Generator(GeneratorConfig.model_validate({**config, "contained_guidance": (1.0, 5.0)})).eval()
        for parameter in model.parameters():
            if not parameter.any():
                nn.init.normal_(parameter, std=0.02)
        return model

    def peer(self, pixart: Any) -> nn.Module:
        """diffusers' model."""
        return pixart(
            num_attention_heads=self.heads,
            attention_head_dim=self.width // self.heads,
            in_channels=3,
            out_channels=3,
            num_layers=self.depth,
            cross_attention_dim=self.width,
            sample_size=self.side,
            patch_size=self.patch,
            caption_channels=self.text_width,
            use_additional_conditions=False,
        ).eval()


CASES = [
    Case("1 picture", 192, 6, 8, 8, 64, 1),
    Case("8 pictures", 192, 6, 8, 8, 64, 8),
]
QUICK = [Case("quick", 64, 2, 2, 8, 32, 2, steps=3, few=2)]


class SourcesEachStep:
    """A generator that encodes its prompts anew at every evaluation."""

    def __init__(self, model: Generator, prompts: list[str], present: Tensor):
        self.model, self.prompts, self.present, self.config = model, prompts, present, model.config

    def predict(self, z: Tensor, t: Tensor, sources: SourceKeysValues) -> Tensor:
        """`Generator.predict`."""
        return self.model.predict(z, t, self.model.encode(self.model.tokenize(self.prompts), self.present))


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
    pixart = find_peer(packages, "PixArtTransformer2DModel")
    cases = [case for case in (QUICK if quick else CASES) if only in case.name]
    modes = ["eager", "compiled"] if compiled and not quick else ["eager"]
    results = [run(case, mode, pixart, 3 if quick else repeats) for case in cases for mode in modes]
    write_json(json_file, {"cases": results})


def find_peer(packages: Path | None, name: str) -> Any | None:
    """A class of diffusers; None, with a message, where diffusers is not installed. packages: as of `main`."""
    if packages is not None:
        sys.path.append(str(packages))
    try:
        import diffusers
    except ImportError as error:
        print(f"diffusers cannot be imported ({error}): ours alone; see --packages")
        return None
    return getattr(diffusers, name)


@torch.no_grad()
def run(case: Case, mode: str, pixart: Any | None, repeats: int) -> dict[str, Any]:
    """All ways of one case, printed and returned for JSON."""
    ours = case.ours()
    prompts = [PROMPT] * case.batch + ["-"] * case.batch
    present = torch.tensor([True] * case.batch + [False] * case.batch)
    caption = ours.caption(ours.tokenize(prompts), present)
    prompt = SourceTokens(caption.tokens[: case.batch], caption.mask[: case.batch])
    noise = torch.randn(case.batch, 1, 3, case.side, case.side)
    each_step = cast(Generator, SourcesEachStep(ours, prompts, present))
    many, few = Sampling(case.steps, GUIDANCE), Sampling(case.few, GUIDANCE, sampler="mean-flow")
    ways: dict[str, Callable[[], Tensor]] = {
        OURS: lambda: sample(ours, noise, ours.keys_values({"caption": caption}), many),
        EACH_STEP: lambda: sample(each_step, noise, ours.keys_values({"caption": caption}), many),
        FEW: lambda: sample(ours, noise, ours.keys_values({"caption": prompt}), few),
    }
    sizes, blocks = {OURS: parameters(ours.blocks)}, list(ours.blocks)
    if pixart is not None:
        peer = case.peer(pixart)
        sizes[PEER] = parameters(cast(nn.Module, peer.transformer_blocks))
        blocks += list(cast(nn.ModuleList, peer.transformer_blocks))
        ways[PEER] = lambda: sample_peer(peer, noise, caption, case.steps)
        ways[PADDED] = lambda: sample_peer(peer, noise, padding_to(caption, PADDED_TO), case.steps)
    if mode == "compiled":
        for block in blocks:
            block.compile()
    apart = float((ways[OURS]() - ways[EACH_STEP]()).abs().max())
    times = measure(ways, repeats, clock=time.process_time)
    words = caption.tokens.shape[1]
    print(f"\n## {case.name} of {case.side} px, {words} words, {mode}; weights of the blocks: {sizes}")
    found = report(times, pairs(PEER in times), FLOORS, case.batch, "picture")
    found |= report_difference("sources computed once and at each step", apart)
    return {"case": asdict(case), "mode": mode, "weights": sizes, **found}


def padding_to(source: SourceTokens, tokens: int) -> SourceTokens:
    """The source with padding, which is masked."""
    more = tokens - source.tokens.shape[1]
    return SourceTokens(nn.functional.pad(source.tokens, (0, 0, 0, more)), nn.functional.pad(source.mask, (0, more)))


def sample_peer(
    model: Any, noise: Float[Tensor, "b 1 c y x"], caption: SourceTokens, steps: int
) -> Float[Tensor, "b c y x"]:
    """Euler steps with classifier-free guidance, as diffusers' pipelines do them; the model predicts the velocity."""
    z = noise[:, 0]
    times = torch.linspace(0, 1, steps + 1)
    for t, until in pairwise(times):
        at = (1000 * t).expand(len(caption.tokens))
        pair = torch.cat([z, z])
        both = model(pair, caption.tokens, at, encoder_attention_mask=caption.mask, return_dict=False)
        positive, negative = both[0].chunk(2)
        z = z + (until - t) * (negative + GUIDANCE * (positive - negative))
    return z


def report(
    times: Times, ways: Iterable[tuple[str, str, str]], floors: Mapping[str, float], batch: int, unit: str
) -> dict[str, Any]:
    """Print the seconds of a unit, `batch` of which are made at once, and the ratios; return both. ways: titles, faster
    and slower ways. floors: of ratios, by their titles."""
    for name, seconds in times.items():
        print(f"  {name:32} {median(seconds) / batch:9.4f} s a {unit}")
    ratios = {title: speedup(times, way, baseline) for title, way, baseline in ways}
    aims = {title: f"at least {floors[title]:g}" if title in floors else "" for title in ratios}
    for title, ratio in ratios.items():
        print(f"  {title:34} {ratio}  {judged(ratio, aims[title])}")
    return {"seconds": times, "ratios": {title: ratio.to_dict(aims[title]) for title, ratio in ratios.items()}}


def report_difference(what: str, apart: float) -> dict[str, float]:
    """Print whether two ways gave the same, and return the largest difference for JSON."""
    verdict = "equal" if apart <= TOLERANCE else "NOT EQUAL"
    print(f"  {what}: {verdict}, largest difference {apart:.1e}")
    return {"largest difference": apart}


def pairs(with_peer: bool) -> Iterator[tuple[str, str, str]]:
    """Titles, faster and slower ways of the ratios."""
    if with_peer:
        yield "ours / PixArt", OURS, PEER
        yield "ours / PixArt, padded", OURS, PADDED
        yield "few steps / PixArt", FEW, PEER
        yield "few steps / PixArt, padded", FEW, PADDED
    yield "once / each step", OURS, EACH_STEP
    yield "few steps / ours", FEW, OURS


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


if __name__ == "__main__":
    cyclopts.run(main)
