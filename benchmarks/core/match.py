"""Pictures and texts embedded per second: our matcher and transformers' CLIP of equal size.

    python -m benchmarks.core.match --json-file match.json

On one core of a CPU, in processor seconds, with random weights. Both have towers of the same number of layers, width,
heads, MLP, patch and image size; they embed the same pictures and the same captions of drawn scenes, and take turns in
one run. Ours is what `saccade train match` trains: its preset of the picture encoder, and a text encoder that reads
words from their bytes.

A text is timed from the sentence to its vector, its tokenizer included. CLIP's tokenizer (BPE of the library
`tokenizers`) is trained on these very captions, so that it cuts them into few tokens, and texts are padded to the
longest of their batch and no further: the fewest tokens that CLIP can have. bf16 is autocast over fp32 weights.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cyclopts
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

from benchmarks.common.machine import print_machine, write_json
from benchmarks.common.paired import Times, judged, measure, speedup
from saccade.data.scenes import Scenes, sample_caption
from saccade.data.scenes.random_stream import RandomStream
from saccade.models import Matcher, MatcherConfig, preset
from saccade.models.matcher import unit_vectors

OURS, PEER = "ours", "CLIP"
AIM = "at least 1"
VOCABULARY = 49408  # of OpenAI's CLIP; a lookup, so that its size costs no time


@dataclass(frozen=True)
class Tower:
    """The same of both models."""

    width: int
    heads: int
    depth: int
    hidden: int

    @property
    def ours(self) -> dict[str, int]:
        return {"width": self.width, "heads": self.heads, "hidden": self.hidden}

    @property
    def clip(self) -> dict[str, int]:
        return {
            "hidden_size": self.width,
            "num_attention_heads": self.heads,
            "num_hidden_layers": self.depth,
            "intermediate_size": self.hidden,
        }


@dataclass(frozen=True)
class Case:
    """Two towers and what they embed at once."""

    name: str
    picture: Tower
    text: Tower
    side: int
    patch: int
    pictures: int
    texts: int

    @property
    def grid(self) -> int:
        return self.side // self.patch


CASES = [
    Case("small/8 at 64", Tower(192, 3, 6, 384), Tower(128, 4, 2, 256), 64, 8, 64, 256),
    Case("ViT-B/32 at 224", Tower(768, 12, 12, 3072), Tower(512, 8, 12, 2048), 224, 32, 8, 64),
]
QUICK = [Case("quick", Tower(48, 2, 2, 64), Tower(32, 2, 2, 64), 32, 8, 4, 8)]


def main(*, repeats: int = 15, quick: bool = False, only: str = "", json_file: Path | None = None) -> None:
    """Time and compare.

    Parameters
    ----------
    repeats
        Turns that each way gets, after two that are not counted.
    quick
        Tiny models and three turns, to prove that the script works. Its figures mean nothing.
    only
        Run the cases with this in their names.
    json_file
        Write all figures there.
    """
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print_machine()
    cases = [case for case in (QUICK if quick else CASES) if only in case.name]
    results = [run(case, 3 if quick else repeats) for case in cases]
    write_json(json_file, {"cases": results})


@torch.no_grad()
def run(case: Case, repeats: int) -> dict[str, Any]:
    """All comparisons of one case, printed as they come, returned for JSON."""
    texts = sentences(case.texts)
    ours, clip, tokenizer = our_matcher(case), clip_model(case), clip_tokenizer(texts)
    print(f"\n## {case.name}: {case.pictures} pictures of {case.grid**2} patches, {case.texts} texts at once")
    print(f"  parameters of the picture and text blocks: ours {parameters(ours)}, CLIP {parameters(clip)}")
    pixels = torch.randn(case.pictures, 3, case.side, case.side)
    ids = tokenizer.encode_batch(texts)
    print(f"  tokens of the longest text: ours {ours.tokenize(texts).word_mask.shape[1]}, CLIP {len(ids[0].ids)}")
    ways: dict[str, dict[str, Callable[[], Tensor]]] = {
        "pictures": {
            OURS: lambda: ours.encode_pictures(pixels).vector,
            PEER: lambda: unit_vectors(clip.get_image_features(pixel_values=pixels).pooler_output),
        },
        "texts": {
            OURS: lambda: ours.encode_texts(ours.tokenize(texts)).vector,
            PEER: lambda: clip_texts(clip, tokenizer, texts),
        },
    }
    groups = []
    for precision in ("fp32", "bf16"):
        for what, pair in ways.items():
            with precision_of(precision):
                times = measure(pair, repeats, warmup=2, clock=time.process_time)
            groups.append(report(what, precision, times, getattr(case, what)))
    return {"case": asdict(case), "timings": groups}


def sentences(count: int) -> list[str]:
    """English captions of drawn scenes of one to three objects."""
    scenes = Scenes(count, size=64, objects=(1, 3), seed=0)
    return [sample_caption(scenes.scene(i).description, RandomStream(i), "en").text for i in range(count)]


def our_matcher(case: Case) -> Matcher:
    grid = (case.grid, case.grid)
    vit = preset("small", depth=case.picture.depth, block=case.picture.ours, patch=case.patch, window=2 * case.patch,
                 grid=grid)  # fmt: skip
    text = {"block": case.text.ours, "depth": case.text.depth}
    return Matcher(MatcherConfig.model_validate({"vit": vit, "text": text, "width": 128})).eval()


def clip_model(case: Case) -> CLIPModel:
    vision = {**case.picture.clip, "image_size": case.side, "patch_size": case.patch}
    text = {**case.text.clip, "vocab_size": VOCABULARY, "max_position_embeddings": 77, "bos_token_id": 0,
            "eos_token_id": 1, "pad_token_id": 1}  # fmt: skip
    return CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=128)).eval()


def clip_tokenizer(texts: list[str]) -> Tokenizer:
    """Byte-level BPE as CLIP's, of these texts."""
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(texts, trainers.BpeTrainer(special_tokens=["<s>", "</s>"], show_progress=False))
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    made.enable_padding(pad_id=1, pad_token="</s>")
    return made


def clip_texts(clip: CLIPModel, tokenizer: Tokenizer, texts: list[str]) -> Tensor:
    encoded = tokenizer.encode_batch(texts)
    ids = torch.tensor([each.ids for each in encoded])
    mask = torch.tensor([each.attention_mask for each in encoded])
    return unit_vectors(clip.get_text_features(input_ids=ids, attention_mask=mask).pooler_output)


def parameters(model: Any) -> str:
    """Of the blocks of both towers, in millions."""
    towers: tuple[nn.Module, ...]
    if isinstance(model, Matcher):
        towers = model.vit.blocks, model.text.blocks
    else:
        towers = model.vision_model.encoder, model.text_model.encoder
    return " + ".join(f"{sum(p.numel() for p in tower.parameters()) / 1e6:.2f} M" for tower in towers)


def precision_of(name: str) -> AbstractContextManager[object]:
    return torch.autocast("cpu", torch.bfloat16) if name == "bf16" else nullcontext()


def report(what: str, precision: str, times: Times, count: int) -> dict[str, Any]:
    """Print the times of one group and their ratio; return both."""
    print(f"\n{what}, {precision}")
    for name, seconds in times.items():
        print(f"  {name:6} {median(seconds) * 1e3:9.1f} ms  {count / median(seconds):9.1f} {what}/s")
    found = speedup(times, OURS, PEER)
    print(f"  ours / CLIP  {found}  {judged(found, AIM)}")
    return {"what": what, "precision": precision, "seconds": times, "ours / CLIP": found.to_dict(AIM)}


if __name__ == "__main__":
    cyclopts.run(main)
