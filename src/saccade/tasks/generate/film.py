"""Painting films: windows of frames, each of which goes on from the frames before it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from saccade.data.images import Source, read_image
from saccade.errors import DataError, SaccadeError
from saccade.models.generator import FilmClip, Generator, SourceKeysValues
from saccade.ops.frames import TUBE
from saccade.tasks.generate.film_settings import FilmSettings, FrameReference
from saccade.tasks.generate.image_to_image import SourceImage, digest_of, pixels_of
from saccade.tasks.generate.sample import Callback, GuidanceTerm, Observer, Sampling, offset_callback, sample

WINDOW = 17  # frames that are painted or known at once, unless the generator's card says otherwise
HISTORY = 9  # of them, at most, are known where a film goes on


@dataclass(frozen=True, eq=False)
class KnownFrames:
    """Frames of a film that are given.

    Attributes:
        before: from the first frame on, in order; a film that is gone on from, or a picture.
        name: of the film or picture, for display.
        film: whether they are a film, all of whose frames come before the new ones.
        last: the picture that is the last frame.
    """

    before: tuple[Image.Image, ...] = ()
    name: str = ""
    film: bool = False
    last: SourceImage | None = None

    @classmethod
    def of(cls, image: SourceImage | None, last: SourceImage | None = None) -> "KnownFrames":
        """The first and the last frame. Raises SaccadeError for a last frame alone."""
        if last is not None and image is None:
            raise SaccadeError("a last frame goes with a first one: give an image too")
        before = () if image is None else (image.image,)
        return cls(before, "" if image is None else image.file, last=last)

    def settings(self, frames: int, fps: float) -> FilmSettings:
        """Of a film with these frames. Raises SaccadeError where they are out of range."""
        reference = FrameReference(self.name, self.digest) if self.before else None
        last = None if self.last is None else FrameReference(self.last.file, self.last.digest)
        return FilmSettings(frames, fps, None if self.film else reference, last, reference if self.film else None)

    def check(self, settings: FilmSettings) -> None:
        """Raises SaccadeError unless the settings are of these frames."""
        own = self.settings(settings.frames, settings.fps)
        for what in ("first", "last", "before"):
            expected, found = getattr(settings, what), getattr(own, what)
            if (None if expected is None else expected.digest) != (None if found is None else found.digest):
                given = "none is given" if found is None else f"{found.name} ({found.digest}) is given"
                of = "none" if expected is None else f"{expected.name} ({expected.digest})"
                title = {"first": "first frame", "last": "last frame", "before": "film before"}[what]
                raise SaccadeError(f"the settings have the {title} {of}, and {given}: give the same one")

    def fit_size(
        self, trained: tuple[int, int], patch: int, height: int | None = None, width: int | None = None
    ) -> tuple[int | None, int | None]:
        """(height, width) at which a film with these frames is painted, as `SourceImage.fit_size` gives it; as given
        without any."""
        if not self.before:
            return height, width
        return SourceImage(self.before[-1]).fit_size(trained, patch, height, width)

    @cached_property
    def digest(self) -> str:
        """A short hash of the pixels of the frames before."""
        return digest_of(self.before)

    def tensors(self, size: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor | None]:
        """The frames before, (f c y x), -1 to 1, and the last one, at a size (height, width)."""
        frames = [pixels_of(image, size) for image in self.before]
        before = torch.stack(frames) if frames else torch.empty(0, 3, *size)
        last = None if self.last is None else pixels_of(self.last.image, size)[None]
        return before.to(device), None if last is None else last.to(device)


def known_frames(
    image: SourceImage | None, last: SourceImage | None, video: Sequence[Source] | None, edited: bool
) -> KnownFrames:
    """The frames that a film begins or ends with. edited: whether there is a mask or a strength.

    Raises SaccadeError for what films do not take, or not together, and DataError for frames that cannot be read or
    have several sizes."""
    if edited:
        raise SaccadeError("a film takes no mask and no strength: an image is its first frame")
    if video is not None:
        if image is not None or last is not None:
            raise SaccadeError("a film goes on from another film or begins with an image: give one of them")
        return KnownFrames(_read_frames(video), "film", film=True)
    return KnownFrames.of(image, last)


def _read_frames(video: Sequence[Source]) -> tuple[Image.Image, ...]:
    if isinstance(video, str | bytes | Path | Image.Image):
        raise DataError(
            f"video is a {type(video).__name__}; a list of frames expected, as "
            "saccade.data.film_frames.read_film(path).frames is"
        )
    frames = tuple(read_image(frame, name=f"frame {i} of the film").image for i, frame in enumerate(video))
    if not frames:
        raise SaccadeError("the film to go on from has no frames; 1 or more expected")
    sizes = list(dict.fromkeys(frame.size for frame in frames))
    if len(sizes) > 1:
        found = " and ".join(f"{width}x{height}" for width, height in sizes[:2])
        raise DataError(f"the frames of the film to go on from have sizes of {found}; one size expected")
    return frames


class FrameWindow(NamedTuple):
    """Frames to paint at once. history: how many of the frames before them are known. frames: how many are painted.
    kept: how many of these are part of the film: tubes come in twos."""

    history: int
    frames: int
    kept: int


def frame_windows(known: int, frames: int, most: int = WINDOW) -> Iterator[FrameWindow]:
    """The windows in which `frames` frames are painted after `known` ones. most: frames of a window."""
    while frames:
        history = _odd(min(known, HISTORY, most - TUBE))
        room = most - history
        painted = min(room, frames + (frames + history + 1) % TUBE)
        kept = min(painted, frames)
        yield FrameWindow(history, painted, kept)
        known, frames = known + kept, frames - kept


@dataclass
class FilmNoise:
    """Noise of films painted together, each from a generator of its own, drawn window by window.

    Attributes:
        seeds: of the films.
        shape: (c, y, x) of a frame.
    """

    seeds: Sequence[int]
    shape: tuple[int, ...]
    device: torch.device
    generators: list[torch.Generator] = field(init=False)

    def __post_init__(self) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in self.seeds]

    def __call__(self, frames: int) -> Float[Tensor, "b f c y x"]:
        drawn = [torch.randn(frames, *self.shape, generator=generator) for generator in self.generators]
        return torch.stack(drawn).to(self.device)


def paint_film(
    model: Generator,
    noise: FilmNoise,
    sources: SourceKeysValues,
    sampling: Sampling,
    settings: FilmSettings,
    known: tuple[Float[Tensor, "f c y x"], Float[Tensor, "1 c y x"] | None],
    terms: Sequence[GuidanceTerm],
    callback: Callback | None = None,
    observe: Observer | None = None,
    most: int = WINDOW,
) -> Float[Tensor, "b f c y x"]:
    """Films of equal settings, with the known frames in their places. sources: as `sample` takes them. known: as
    `KnownFrames.tensors` gives them. most: frames of a window."""
    before, last = known
    plan = plan_windows(settings, len(before), last is not None, most)
    total, n = sampling.steps * len(plan), len(noise.seeds)
    end = [] if last is None else [last.expand(n, *last.shape)]
    parts = [before.expand(n, *before.shape)]
    recent = parts[0][:, -HISTORY:]  # a window needs no more, and a long film is joined once
    for i, window in enumerate(plan):
        clips = [FilmClip(frames, settings.frames - 1) for frames in end]
        if window.history:
            clips.insert(0, FilmClip(recent[:, recent.shape[1] - window.history :]))
        past = with_clips(model, sources, clips, window.history, len(terms))
        report = offset_callback(callback, i * sampling.steps, total)
        painted = sample(model, noise(window.frames), past, sampling, report, observe, terms=terms)
        parts.append(painted[:, : window.kept])
        recent = torch.cat([recent, parts[-1]], dim=1)[:, -HISTORY:]
    return torch.cat([*parts, *end], dim=1)


def with_clips(
    model: Generator, sources: SourceKeysValues, clips: Sequence[FilmClip], first: int, terms: int
) -> SourceKeysValues:
    """The sources of each of the terms, with the same known frames."""
    repeated = [FilmClip(clip.pixels.repeat(terms, 1, 1, 1, 1), clip.first) for clip in clips]
    with torch.no_grad():
        return model.with_past(sources, repeated, first)


def count_windows(settings: FilmSettings, known: int, most: int = WINDOW) -> int:
    """How many windows a film is painted in. known: frames before."""
    return len(plan_windows(settings, known, settings.last is not None, most))


def plan_windows(settings: FilmSettings, known: int, has_last: bool, most: int = WINDOW) -> list[FrameWindow]:
    """The windows that a film is painted in. known: frames before. has_last: whether the last frame is known too.

    Raises SaccadeError for more frames than a window has from a first to a last one."""
    if has_last:
        between = settings.frames - 2
        if settings.frames > most:
            raise SaccadeError(
                f"{settings.frames} frames from a first to a last one were requested; at most {most} expected"
            )
        return [FrameWindow(1, between + between % TUBE, between)] if between else []
    new = settings.frames - (known if settings.first is not None else 0)
    return list(frame_windows(known, new, most))


def _odd(n: int) -> int:
    """The largest odd number up to n; 0 for 0."""
    return n - 1 + n % TUBE if n else 0
