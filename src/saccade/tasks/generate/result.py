"""Result of a generator."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from saccade.data.film_files import write_film
from saccade.data.output import write_file
from saccade.errors import printable
from saccade.tasks.generate.film_settings import exact_frame_rate
from saccade.tasks.generate.settings import Settings


@dataclass(frozen=True)
class GeneratedPicture:
    """A picture and all that it depends on."""

    image: Image.Image
    settings: Settings

    @property
    def seed(self) -> int:
        """Seed of its noise."""
        return self.settings.seed

    def __str__(self) -> str:
        return f'"{printable(self.settings.prompt)}", seed {self.seed}, {self.image.width} x {self.image.height} pixels'

    def to_png(self) -> bytes:
        """A PNG with the settings in it, which `saccade generate --like` and other tools read."""
        content = io.BytesIO()
        self.image.save(content, "PNG", pnginfo=self.settings.png_info())
        return content.getvalue()

    def save(self, file: str | Path) -> None:
        """Write the PNG. Raises DataError where it cannot be written."""
        write_file(Path(file), self.to_png())

    def to_dict(self) -> dict[str, Any]:
        """For JSON, without the pixels."""
        return _to_dict(self.settings)

    def _repr_png_(self) -> bytes:
        return self.to_png()


@dataclass(frozen=True)
class GeneratedFilm:
    """A film and all that it depends on.

    Attributes:
        frames: of one size, the known ones included.
    """

    frames: list[Image.Image]
    settings: Settings

    @property
    def seed(self) -> int:
        """Seed of its noise."""
        return self.settings.seed

    @property
    def fps(self) -> float:
        """Frames a second."""
        return float(self.settings.film.fps) if self.settings.film else 1.0

    def __str__(self) -> str:
        first = self.frames[0]
        size = f"{len(self.frames)} frames of {first.width} x {first.height} pixels"
        return f'"{printable(self.settings.prompt)}", seed {self.seed}, {size}, {self.fps:g} a second'

    def save(self, file: str | Path) -> None:
        """Write an MP4, GIF or WebP by the suffix, or a folder of PNGs without one, with the settings in it. Raises as
        `saccade.data.film_files.write_film`."""
        write_film(Path(file), self.frames, exact_frame_rate(self.fps), str(self.settings))

    def to_dict(self) -> dict[str, Any]:
        """For JSON, without the pixels: num_frames as `generate` takes it, without the frames of a film that it goes on
        from; frames: how many it has."""
        num_frames = len(self.frames) if self.settings.film is None else self.settings.film.frames
        return {**_to_dict(self.settings), "num_frames": num_frames, "frames": len(self.frames), "fps": self.fps}


def _to_dict(settings: Settings) -> dict[str, Any]:
    sampling = settings.sampling
    return {
        "prompt": settings.prompt,
        "negative_prompt": settings.negative,
        "seed": settings.seed,
        "height": settings.size[0],
        "width": settings.size[1],
        "num_inference_steps": sampling.steps,
        "guidance_scale": sampling.guidance,
        "guidance_interval": list(sampling.interval),
        "sampler": settings.sampler,
        "model": settings.model,
        **_pictures(settings),
    }


def _pictures(settings: Settings) -> dict[str, Any]:
    """What the picture was painted from beside the prompt; the strength only of a picture to start from."""
    found: dict[str, Any] = {}
    image, style, sampling = settings.image, settings.style, settings.sampling
    if image is not None:
        start = {} if image.use == "source" else {"strength": image.strength}
        found |= {"image": image.name} | start | ({"source_prompt": image.caption} if image.caption else {})
        found["image_guidance_scale"] = sampling.image_guidance
    if style is not None:
        found |= {"style": style.name, "style_strength": style.strength}
        found["style_guidance_scale"] = sampling.style_guidance
    return found
