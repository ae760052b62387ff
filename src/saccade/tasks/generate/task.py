"""A trained generator."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from PIL import Image
from pydantic import BaseModel
from torch import Tensor, nn

from saccade.data.images import Source
from saccade.errors import SaccadeError
from saccade.models.generator import Generator, GeneratorConfig, SourceKeysValues
from saccade.ops import WordBatch, split_words
from saccade.tasks.generate.base import NoPredictMixin, chunk_settings, first_seed, repeat_with_seeds
from saccade.tasks.generate.conditioning import encode_conditions, tokenize_prompts
from saccade.tasks.generate.film import KnownFrames, known_frames
from saccade.tasks.generate.film_settings import RATE, FilmSettings
from saccade.tasks.generate.generate_films import check_film, frames_per_window, generate_films
from saccade.tasks.generate.image_to_image import SourceImage, SourceImages, to_images
from saccade.tasks.generate.inversion import check_inversion, inverted_start
from saccade.tasks.generate.prompt import parse_prompt
from saccade.tasks.generate.result import GeneratedFilm, GeneratedPicture
from saccade.tasks.generate.sample import (
    Callback,
    Observer,
    Sampler,
    Sampling,
    check_finite,
    check_sampler,
    offset_callback,
    sample,
)
from saccade.tasks.generate.sampling_start import SamplingStart, seeded_noise
from saccade.tasks.generate.settings import Layout, Settings
from saccade.tasks.generate.sizes import check_size, max_batch_size
from saccade.tasks.saved import TrainedTask

BATCH = 16  # pictures that are painted at once


@dataclass
class GenerateTask(NoPredictMixin, TrainedTask):
    """A generator; `save` and `GenerateTask.open` for its folder."""

    model: Generator

    kind: ClassVar[str] = "generate"
    network: ClassVar[type[nn.Module]] = Generator
    network_config: ClassVar[type[BaseModel]] = GeneratorConfig

    def generate(
        self,
        prompt: str,
        *,
        negative_prompt: str = "",
        n: int = 1,
        seed: int | None = None,
        num_inference_steps: int = 25,
        guidance_scale: float | None = None,
        guidance_interval: tuple[float, float] = (0.0, 1.0),
        sampler: Sampler = "euler",
        height: int | None = None,
        width: int | None = None,
        image: Source | None = None,
        mask_image: Source | None = None,
        strength: float | None = None,
        source_prompt: str | None = None,
        image_guidance_scale: float = 1.0,
        style_image: Source | None = None,
        style_strength: float = 1.0,
        style_guidance_scale: float = 1.0,
        num_frames: int = 1,
        fps: float | None = None,
        last_image: Source | None = None,
        video: Sequence[Image.Image] | None = None,
        callback: Callback | None = None,
    ) -> list[GeneratedPicture] | list[GeneratedFilm]:
        """Paint `n` pictures, or films, of a prompt.

        Args:
            prompt: what to paint; words may have weights, as in "a (red:1.5) star" (`saccade.tasks.generate.prompt`).
                It may be empty where the generator attends to an image or a style.
            negative_prompt: what to move away from; takes effect with a guidance_scale other than 1.
            seed: of the first picture, 0 to 2^63 - 1; picture i has seed + i. Default: drawn at random. The noise is
                drawn on the CPU, for each picture alone, so that a picture does not depend on n.
            num_inference_steps, guidance_scale, guidance_interval, sampler, image_guidance_scale, style_guidance_scale:
                see `saccade.tasks.generate.sample.Sampling`. Default of the guidance_scale: that of the model's card,
                else 3.
            height, width: in pixels, multiples of the patch; default: those of training, with an image about their area
                in its aspect.
            image: a picture to paint from: a sketch, a map of classes, a grey or a small picture, or one to be changed
                as the prompt says, for generators that were trained to attend to it; with a strength, or for other
                generators, a picture to start from.
            mask_image: of its size: white pixels are painted and the others kept exactly, in the image's own size.
            strength: how much of the image is painted anew, 0 to 1: all steps are spent from its noised version at time
                1 - strength. Default for generators that do not attend to images: 0.6, or 1 with a mask.
            source_prompt: what the image shows: it is inverted under this caption, by default the negative prompt too,
                and painted with the prompt from there, with the attention to words that it has under the caption.
            style_image: a picture whose style to take; a generator that was not trained for it borrows the keys and
                values of its patches (`saccade.tasks.generate.borrowed_style`).
            style_strength: factor of the attention to the style, 0 to 100.
            num_frames: more than 1 for films, in which an image is the first frame.
            fps: frames a second of films, 0.1 to 240; default: 8.
            last_image: of a film with an image: the last frame.
            video: frames of a film to go on from; the results hold them too, and then num_frames new ones.
            callback: called after each step as callback(steps done, steps in all).

        Raises:
            DataError: a prompt that is empty or too long, or with wrong weights; images that cannot be read or that do
                not fit.
            SaccadeError: values out of range.
        """
        guidance = (image_guidance_scale, style_guidance_scale)
        scale = self.default_sampling.guidance if guidance_scale is None else guidance_scale
        sampling = Sampling(num_inference_steps, scale, guidance_interval, sampler, *guidance)
        if image is None and not (mask_image is strength is source_prompt is None):
            raise SaccadeError("a mask_image, a strength or a source_prompt goes with an image: give it too")
        originals = SourceImages(
            None if image is None else SourceImage.read(image, mask_image),
            None if style_image is None else SourceImage.read(style_image),
        )
        film, known = None, KnownFrames()
        if num_frames != 1 or last_image is not None or video is not None:
            last = None if last_image is None else SourceImage.read(last_image)
            known = known_frames(originals.image, last, video, not (mask_image is strength is source_prompt is None))
            film = self.film_settings(num_frames, fps, known)
            height, width = self.fit_size(known, height, width)
            originals = SourceImages(style=originals.style)
        if originals.image is not None:
            height, width = originals.image.fit_size(self.preprocess.size, self.model.config.patch, height, width)
        settings = self.settings(
            prompt,
            negative_prompt or source_prompt or "",
            seed,
            sampling,
            height,
            width,
            originals,
            strength,
            style_strength,
            film,
            source_prompt,
        )
        if film is None:
            if fps is not None:
                raise SaccadeError("fps is of a film: give num_frames too")
            from saccade.tasks.generate.prompt_to_prompt import paint

            return list(paint(self, repeat_with_seeds(settings, n), callback, originals))
        return list(self.generate_films(repeat_with_seeds(settings, n), known, originals, callback))

    def film_settings(
        self, frames: int | None = None, fps: float | None = None, known: KnownFrames | None = None
    ) -> FilmSettings:
        """Of a film with the known frames; default: one frame fewer than in training, an even number, 8 a second.

        Raises SaccadeError where they are out of range."""
        frames = frames_per_window(self) - 1 if frames is None else frames
        return (known or KnownFrames()).settings(frames, RATE if fps is None else fps)

    def fit_size(
        self, known: KnownFrames, height: int | None = None, width: int | None = None
    ) -> tuple[int | None, int | None]:
        """(height, width) at which a film with known frames is painted: about the size of training in their aspect, or
        the given sides; as given without any."""
        return known.fit_size(self.preprocess.size, self.model.config.patch, height, width)

    def generate_films(
        self,
        settings: Sequence[Settings],
        known: KnownFrames | None = None,
        originals: SourceImages | None = None,
        callback: Callback | None = None,
    ) -> Iterator[GeneratedFilm]:
        """`saccade.tasks.generate.generate_films.generate_films` with this model."""
        return generate_films(self, settings, known, originals, callback)

    def settings(
        self,
        prompt: str,
        negative: str = "",
        seed: int | None = None,
        sampling: Sampling | None = None,
        height: int | None = None,
        width: int | None = None,
        originals: SourceImages | None = None,
        strength: float | None = None,
        style_strength: float = 1.0,
        film: FilmSettings | None = None,
        source_prompt: str | None = None,
    ) -> Settings:
        """The settings of one picture or film, checked. Raises as `generate` does."""
        given, known = originals or SourceImages(), self.model.config.pictures
        seed = first_seed(seed)
        usual = self.preprocess.size
        size = (usual[0] if height is None else height, usual[1] if width is None else width)
        check_size(size, self.model.config.patch)
        image = None if given.image is None else given.image.image_settings(strength, known, source_prompt)
        style = None if given.style is None else given.style.style_settings(style_strength, known)
        sampling = sampling or self.default_sampling
        check_sampler(self.model, sampling, bool(negative.strip()))
        settings = Settings(prompt, seed, size, negative, sampling, self.name, self.digest)
        layout = None if source_prompt is None else Layout(source_prompt)
        settings = replace(settings, image=image, style=style, film=film, layout=layout)
        if source_prompt is not None:
            check_inversion(settings)
        if film is not None:
            check_film(self, settings)
        self.tokenize_prompts([settings])
        return settings

    def generate_all(
        self,
        settings: Sequence[Settings],
        callback: Callback | None = None,
        batch: int = BATCH,
        observe: Observer | None = None,
        originals: SourceImages | None = None,
        inverted: SamplingStart | None = None,
        sources: SourceKeysValues | None = None,
    ) -> Iterator[GeneratedPicture]:
        """A picture for each of the settings, in order; those that follow one another with equal size, sampling, image
        and style are painted together, at most `batch` at once, and fewer large ones. observe: as in `sample.sample`.
        originals: the pictures of settings with an image or a style; SaccadeError is raised if they are others.
        inverted, sources: what `inverted_start` and `encode_conditions` gave for the settings, if they were called
            before."""
        model, patch = self.model.eval(), self.model.config.patch
        runs = list(chunk_settings(settings, _shared, lambda each: min(batch, max_batch_size(each.size, patch))))
        total, done = sum(run[0].total_steps if inverted is None else run[0].sampling.steps for run in runs), 0
        for chunk in runs:
            channels, device = model.config.channels, model.device
            noise = torch.stack([seeded_noise(each.seed, channels, each.size) for each in chunk]).to(device)
            first, own = chunk[0], (originals or SourceImages()).select_for(chunk[0])
            given = self.pictures(first, own)
            terms, start = (
                first.sampling.guidance_terms(tuple(given)),
                inverted or own.sampling_start(first, noise.device),
            )
            if own.image is not None and first.inverted and inverted is None:
                start = inverted_start(self, first, own, offset_callback(callback, done, total))
                done += first.sampling.steps
            report = offset_callback(callback, done, total)
            if first.style is not None and first.style.use == "borrow":
                from saccade.tasks.generate.borrowed_style import paint_in_style

                pixels = paint_in_style(self, noise, chunk, own, report)
            else:
                found = sources or self.encode(chunk, given)
                pixels = sample(model, noise, found, first.sampling, report, observe, start, terms)
            done += first.sampling.steps
            check_finite(pixels)
            for each, picture in zip(chunk, to_images(pixels[:, 0]), strict=True):
                yield GeneratedPicture(picture if own.image is None else own.image.finish(picture), each)

    def pictures(self, settings: Settings, originals: SourceImages | None) -> dict[str, Float[Tensor, "1 c y x"]]:
        """What the generator attends to beside the prompt, by the names of its sources. originals: as `generate_all`
        takes them."""
        own = (originals or SourceImages()).select_for(settings)
        return own.pixels(settings, self.model.config.patch, self.preprocess.size, self.model.device)

    def encode(
        self, settings: Sequence[Settings], pictures: Mapping[str, Float[Tensor, "1 c y x"]] | None = None
    ) -> SourceKeysValues:
        """`saccade.tasks.generate.conditioning.encode_conditions` with this model."""
        return encode_conditions(self.model, settings, pictures)

    def tokenize_prompts(
        self, settings: Sequence[Settings]
    ) -> tuple[WordBatch, Bool[Tensor, "texts"], Float[Tensor, "texts m"]]:
        """`saccade.tasks.generate.conditioning.tokenize_prompts` with this model."""
        return tokenize_prompts(self.model, settings)

    @property
    def default_sampling(self) -> Sampling:
        """How pictures are painted unless a call says otherwise, by the card's guidance if it names one.

        Raises SaccadeError where that is no number or out of range."""
        guidance = self.card.get("guidance", Sampling.guidance)
        if not isinstance(guidance, int | float):
            raise SaccadeError(f"the card of {self.name} has the guidance {guidance!r}; a number expected")
        return Sampling(guidance=float(guidance))

    def unknown_words(self, prompt: str) -> list[str]:
        """Words of a prompt that the training captions did not hold; none if they were not recorded."""
        known = set(self.card.get("words", []))
        words = [word.text for word in split_words(parse_prompt(prompt).text)]
        return [word for word in dict.fromkeys(words) if known and word not in known and word.lower() not in known]

    @cached_property
    def digest(self) -> str:
        """A short hash of the weights."""
        found = hashlib.sha256()
        for name, value in sorted(self.model.state_dict().items()):
            found.update(name.encode())
            found.update(value.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()[:10]


def _shared(settings: Settings) -> tuple[object, ...]:
    """What pictures that are painted together have in common."""
    return settings.size, settings.sampling, settings.image, settings.style
