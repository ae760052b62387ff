"""A generation of a public pipeline with the attention to its prompt: where each word acts, by step, layer and head.

U-Nets and PixArt attend to the text by cross-attention, whose weights over all tokens sum to 1. SD3 and Flux attend to
picture and text jointly: the weights of a patch over the tokens of the text sum to less than 1, and the rest goes to
the picture. Tokens that are no word (begin, end, padding) are counted in both.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.checkpoints.pipelines import denoiser, quiet_diffusers
from saccade.errors import SaccadeError
from saccade.lens import Call, watch
from saccade.ops import split_words
from saccade.tasks.generate.image_to_image import SourceImages
from saccade.tasks.generate.prompt import parse_prompt
from saccade.tasks.generate.public import PublicGenerateTask
from saccade.tasks.generate.public_model import PublicModel
from saccade.tasks.generate.result import GeneratedPicture
from saccade.tasks.generate.sample import Callback
from saccade.tasks.generate.settings import Settings

# The tokenizers of the text that the network attends to, in the order of its tokens. Of pipelines for
# pictures only those whose batch ends with the prompt and whose network reads no tokens of a picture beside its own.
TOKENIZERS: Mapping[str, tuple[str, ...]] = {
    "StableDiffusionPipeline": ("tokenizer",),
    "StableDiffusionImg2ImgPipeline": ("tokenizer",),
    "StableDiffusionInpaintPipeline": ("tokenizer",),
    "StableDiffusionControlNetPipeline": ("tokenizer",),
    "StableDiffusionXLPipeline": ("tokenizer_2",),  # the first one, which refiners lack, splits words alike
    "StableDiffusionXLImg2ImgPipeline": ("tokenizer_2",),
    "StableDiffusionXLInpaintPipeline": ("tokenizer_2",),
    "StableDiffusionXLControlNetPipeline": ("tokenizer_2",),
    "LatentConsistencyModelPipeline": ("tokenizer",),
    "LatentConsistencyModelImg2ImgPipeline": ("tokenizer",),
    "StableDiffusion3Pipeline": ("tokenizer", "tokenizer_3"),
    "StableDiffusion3Img2ImgPipeline": ("tokenizer", "tokenizer_3"),
    "StableDiffusion3InpaintPipeline": ("tokenizer", "tokenizer_3"),
    "FluxPipeline": ("tokenizer_2",),
    "FluxImg2ImgPipeline": ("tokenizer_2",),
    "FluxInpaintPipeline": ("tokenizer_2",),
    "PixArtAlphaPipeline": ("tokenizer",),
    "PixArtSigmaPipeline": ("tokenizer",),
    "WanPipeline": ("tokenizer",),
    "WanImageToVideoPipeline": ("tokenizer",),
    "LTXPipeline": ("tokenizer",),
    "LTXImageToVideoPipeline": ("tokenizer",),
    "CogVideoXPipeline": ("tokenizer",),
    "CogVideoXImageToVideoPipeline": ("tokenizer",),
}


@dataclass(frozen=True)
class PipelineTrace:
    """A picture that a pipeline painted under watch.

    Attributes:
        words: of the prompt, in order.
        tokens: of each word, among those of the text; none where it lies beyond what the text encoders take.
        layers: names of the attention layers that read the text.
        calls: of each evaluation of the network with the prompt, one a layer.
        grid: (rows, columns) of the finest layer.
    """

    picture: GeneratedPicture
    words: list[str]
    tokens: list[list[int]]
    layers: list[str]
    calls: list[list[Call]]
    grid: tuple[int, int]

    def word_maps(self, evaluation: int, layer: int) -> Float[Tensor, "h m y x"]:
        """How much each patch attends to each word: the sum over the word's tokens. y x: the layer's own grid.

        Raises SaccadeError for an evaluation or layer that there is not, and for a layer of another grid."""
        if not (0 <= evaluation < len(self.calls) and 0 <= layer < len(self.layers)):
            raise SaccadeError(
                f"evaluation {evaluation}, layer {layer}: there are {len(self.calls)} evaluations and "
                f"{len(self.layers)} layers, from 0"
            )
        call = self.calls[evaluation][layer]
        text = call.parts["text"] if call.parts else slice(0, call.shape[3])
        image = call.parts["image"] if call.parts else slice(0, call.shape[2])
        places = [text.start + token for each in self.tokens for token in each]
        columns = iter(call.columns(places)[-1, :, image].unbind(dim=-1))  # the last of the batch has the prompt
        zero = call.q.new_zeros(call.shape[1], image.stop - image.start)
        maps = [sum((next(columns) for _ in each), start=zero) for each in self.tokens]
        return torch.stack(maps, dim=1).unflatten(-1, _grid(call, zero.shape[1], self.grid))


def trace_pipeline(
    task: PublicGenerateTask,
    settings: Settings,
    layers: str = "*",
    callback: Callback | None = None,
    originals: SourceImages | None = None,
) -> PipelineTrace:
    """Paint a picture, the same as `task.generate_all`, and keep queries and keys of the layers that read the text.

    layers: pattern of their names, such as "*.up_blocks.*"; fewer take less memory. originals: as in `generate_all`.

    Raises SaccadeError for a pipeline that is not in TOKENIZERS, where no layer of the pattern reads the text, and as
    `task.generate` does.
    """
    words, tokens = prompt_tokens(task, settings.prompt)
    component = "unet" if denoiser(task.model) is getattr(task.model, "unet", None) else "transformer"
    with watch(task.model, only=f"{component}.*") as trace:
        [picture] = task.generate_all([settings], callback, originals=originals)
    if trace.missed:
        name, why = next(iter(trace.missed.items()))
        raise SaccadeError(f"{task.name}: the attention of {name} could not be seen: {why}")
    read = [call for call in trace[layers] if _reads_text(call)]
    names = list(dict.fromkeys(call.name for call in read))
    if not read:
        raise SaccadeError(f"no layer of {task.name} that matches {layers!r} attends to the text")
    runs = {run: [call for call in read if call.run == run] for run in sorted({call.run for call in read})}
    _check_text(task, read)
    if any([call.name for call in calls] != names for calls in runs.values()):
        raise SaccadeError(f"{task.name}: its layers are not called once in each evaluation; words cannot be mapped")
    return PipelineTrace(
        picture, words, tokens, names, _with_prompt(task, settings, list(runs.values())), _finest(task, settings)
    )


def _reads_text(call: Call) -> bool:
    """Of several calls of a layer the first: an IP adapter attends to the style in another, after the text."""
    first = call.name.partition("#")[2] in ("", "1")
    return first and (call.kind == "cross" or (call.parts is not None and {"image", "text"} <= {*call.parts}))


def _check_text(task: PublicGenerateTask, calls: Sequence[Call]) -> None:
    """Raises SaccadeError where a call reads another number of tokens than the tokenizers give."""
    names = TOKENIZERS[type(task.model).__name__]
    expected = sum(task.text_tokens(getattr(task.model, name)) for name in names)
    for call in calls:
        text = call.parts["text"] if call.parts else slice(0, call.shape[3])
        if text.stop - text.start != expected:
            raise SaccadeError(
                f"{call.name} reads {text.stop - text.start} tokens, and {expected} are expected of the text: words "
                "cannot be mapped"
            )


def prompt_tokens(task: PublicModel, prompt: str) -> tuple[list[str], list[list[int]]]:
    """The words of a prompt, and the tokens of each among those of the text that the network attends to.

    Raises SaccadeError for a pipeline that is not in TOKENIZERS."""
    kind = type(task.model).__name__
    if kind not in TOKENIZERS:
        raise SaccadeError(
            f"{task.name} is a {kind}: how its text is laid out is not known here, only that of {', '.join(TOKENIZERS)}"
        )
    text = parse_prompt(prompt).text
    if hasattr(task.model, "_text_preprocessing"):  # PixArt lower-cases
        text = task.model._text_preprocessing(text, clean_caption=False)[0]
    if clean := getattr(sys.modules[type(task.model).__module__], "prompt_clean", None):  # Wan joins spaces
        text = clean(text)
    words = split_words(text)
    tokens: list[list[int]] = [[] for _ in words]
    start = 0
    for name in TOKENIZERS[kind]:
        tokenizer = getattr(task.model, name)
        most = task.text_tokens(tokenizer)
        if tokenizer is not None:
            for i, (a, z) in enumerate(_spans(task, tokenizer, text, most)):
                for word, places in zip(words, tokens, strict=True):
                    if a < word.stop and z > word.start:
                        places.append(start + i)
        start += most
    return [word.text for word in words], tokens


def _spans(task: PublicModel, tokenizer: Any, text: str, most: int) -> Sequence[tuple[int, int]]:
    """Of each token in the text; empty for special ones."""
    with quiet_diffusers(task.name):
        return tokenizer(text, truncation=True, max_length=most, return_offsets_mapping=True)["offset_mapping"]


def _with_prompt(task: PublicGenerateTask, settings: Settings, runs: list[list[Call]]) -> list[list[Call]]:
    """The runs that read the prompt: with a negative prompt, Flux makes a run for each, the prompt's first."""
    apart = task.guidance.argument == "true_cfg_scale" and settings.sampling.guidance > 1
    return runs[::2] if apart else runs


def _finest(task: PublicGenerateTask, settings: Settings) -> tuple[int, int]:
    height, width = (side // task.pixels_per_token for side in settings.size)
    return height, width


def _grid(call: Call, n: int, grid: tuple[int, int]) -> tuple[int, int]:
    """The grid of a layer: the finest, halved as often as its number of patches says."""
    rows, columns = grid
    while rows * columns > n and rows * columns > 1:
        rows, columns = -(-rows // 2), -(-columns // 2)
    if rows * columns != n:
        raise SaccadeError(
            f"{call.name} has {n} patches, which are not {grid[0]} x {grid[1]} nor that halved: the pipeline paints in "
            "another size, and resizes"
        )
    return rows, columns
