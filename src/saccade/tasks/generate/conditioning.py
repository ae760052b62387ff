"""What a generator attends to: prompts with weights, and pictures."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from saccade.errors import DataError, SaccadeError
from saccade.models.generator import Generator, SourceKeysValues
from saccade.models.source_encoders import PictureInput
from saccade.ops import WordBatch
from saccade.tasks.generate.prompt import parse_prompt, word_weights
from saccade.tasks.generate.sample import GuidanceTerm
from saccade.tasks.generate.settings import Settings


@torch.no_grad()
def encode_conditions(
    model: Generator, settings: Sequence[Settings], pictures: Mapping[str, Float[Tensor, "1 c y x"]] | None = None
) -> SourceKeysValues:
    """Keys and values, for each block, of what each of the terms of the sampling attends to. settings: of pictures
    that are painted together. pictures: the other sources."""
    pictures, n = pictures or {}, len(settings)
    terms = settings[0].sampling.guidance_terms(tuple(pictures))
    texts = [each.prompt if term.prompt else each.negative for term in terms for each in settings]
    words, present, weights = _words(model, texts)
    given = {
        name: PictureInput(pixels.expand(len(texts), -1, -1, -1), _present(name, terms, n).to(pixels.device))
        for name, pixels in pictures.items()
    }
    sources = model.encode(words, present, given)
    if "style" in pictures and settings[0].style is not None:
        weights = F.pad(weights, (0, sources.mask.shape[-1] - weights.shape[1]), value=1.0)
        weights[:, sources.spans["style"]] = settings[0].style.strength
    return sources.with_weights(weights)


def tokenize_prompts(
    model: Generator, settings: Sequence[Settings]
) -> tuple[WordBatch, Bool[Tensor, "texts"], Float[Tensor, "texts m"]]:
    """The words of the prompts, then of the negative prompts; False for absent texts; the words' weights.

    Raises DataError for a prompt that is empty or too long, or with wrong weights, SaccadeError for guidance by
    pictures that are no sources."""
    found = _words(model, [each.prompt for each in settings] + [each.negative for each in settings])
    for each, present in zip(settings, found[1], strict=False):
        _check_guidance(each)
        if not present and not _has_pictures(each):
            empty = "has no words" if each.prompt.strip() else "is empty"
            raise DataError(f'the prompt {empty}: say what to paint, as in "a red star"')
    return found


def _check_guidance(settings: Settings) -> None:
    sampling, image, style = settings.sampling, settings.image, settings.style
    if sampling.image_guidance != 1 and (image is None or image.use != "source"):
        raise SaccadeError(
            f"an image guidance of {sampling.image_guidance:g} has no effect here: it goes with an image that the "
            "generator was trained to attend to, without a strength; leave it out"
        )
    if sampling.style_guidance != 1 and (style is None or style.use != "source"):
        raise SaccadeError(
            f"a style guidance of {sampling.style_guidance:g} has no effect here: it goes with a style that the "
            "generator was trained to take; leave it out"
        )


def _has_pictures(settings: Settings) -> bool:
    """Whether there is something to attend to beside the prompt."""
    film = settings.film
    known = film is not None and (film.first is not None or film.before is not None)
    return known or settings.style is not None or (settings.image is not None and settings.image.use == "source")


def _words(model: Generator, texts: Sequence[str]) -> tuple[WordBatch, Bool[Tensor, "texts"], Float[Tensor, "texts m"]]:
    prompts = [parse_prompt(text) for text in texts]
    present = torch.tensor([bool(prompt.text.strip()) for prompt in prompts])
    # An absent text is one token, whatever it is made of.
    words = model.tokenize([prompt.text if prompt.text.strip() else "-" for prompt in prompts])
    device = words.index.device
    return words, present.to(device), word_weights(words, prompts).to(device)


def _present(name: str, terms: Sequence[GuidanceTerm], n: int) -> Bool[Tensor, "b"]:
    """Which of the n samples of each term have a source."""
    return torch.tensor([name in term.pictures for term in terms]).repeat_interleave(n)
