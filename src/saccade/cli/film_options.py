"""The options of `saccade generate` for films: how many frames, and the frames that are known."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.cli import console
from saccade.data.files import escape
from saccade.errors import UsageError, printable

if TYPE_CHECKING:
    from PIL import Image

    from saccade.cli.source_pictures import SourceImageOptions
    from saccade.tasks.generate.film import KnownFrames
    from saccade.tasks.generate.film_settings import FilmSettings
    from saccade.tasks.generate.image_to_image import SourceImage, SourceImages
    from saccade.tasks.generate.public_film import PublicFilmTask
    from saccade.tasks.generate.settings import Settings
    from saccade.tasks.generate.task import GenerateTask

    PaintsFilms = GenerateTask | PublicFilmTask

SUFFIXES = (".mp4", ".gif", ".webp")  # of `saccade.data.film_files`, which is slow to import


@dataclass(frozen=True)
class FilmOptions:
    """--frames, --fps, --film, --last and --like."""

    frames: int | None = None
    fps: float | None = None
    film: Path | None = None
    last: Path | None = None
    like: Path | None = None

    @property
    def files(self) -> list[Path]:
        """Those that are read, beside the settings."""
        return [file for file in (self.film, self.last) if file is not None]

    @property
    def is_film(self) -> bool:
        """Whether a film is to be painted: also where the settings are those of one."""
        like = self.like is not None and (self.like.suffix.lower() in SUFFIXES or self.like.is_dir())
        return self.film is not None or self.last is not None or (like if self.frames is None else self.frames > 1)

    def check(self, pictures: "SourceImageOptions", instead: str | None, grid: Path | None) -> None:
        """Raises UsageError for options that do not go together."""
        if not self.is_film:
            if self.fps is not None:
                raise UsageError("--fps is of a film: say how many frames it has, as in --frames 16")
            return
        if self.frames is None and self.like is None:
            option = "--film" if self.film is not None else "--last"
            raise UsageError(f"{option} goes with --frames: say how many are to be painted, as in --frames 16")
        if self.frames == 1 and self.last is not None:
            raise UsageError("--last goes with a film of more than one frame, as in --frames 16")
        others = {
            "--mask": pictures.mask is not None or pictures.mask_of is not None,
            "--strength": pictures.strength is not None,
            "--instead": instead is not None,
            "--invert": pictures.invert is not None,
            "--grid": grid is not None,
        }
        for option in (name for name, given in others.items() if given):
            raise UsageError(f"{option} is for pictures, and --frames paints a film: leave one of them out")
        if self.film is not None and (pictures.image is not None or self.last is not None):
            raise UsageError("a film goes on from --film, or begins with --image and ends with --last")
        if self.last is not None and pictures.image is None:
            raise UsageError("--last goes with --image, the first frame: give it too")

    def read_known_frames(
        self, base: "Settings | None", task: "PaintsFilms", originals: "SourceImages", options: dict[str, Any]
    ) -> "tuple[KnownFrames, dict[str, Any]]":
        """The known frames, and the options with the film's settings, and with its size where frames are known. Notes
        on the files are printed.

        Raises DataError where a file cannot be read, UsageError where `base` needs another."""
        from saccade.tasks.generate.film import KnownFrames
        from saccade.tasks.generate.film_settings import exact_frame_rate
        from saccade.tasks.generate.image_to_image import SourceImage

        before = None if base is None else base.film
        fps = self.fps if self.fps is not None or before is None else before.fps
        frames = self.frames if self.frames is not None or before is None else before.frames
        if frames is None:
            raise UsageError(f"{printable(self.like)} holds the settings of a picture: say --frames for a film")
        _check_needed(before, originals.image, self)
        height, width = options["height"], options["width"]
        if base is not None:
            height, width = base.size[0] if height is None else height, base.size[1] if width is None else width
        last = None if self.last is None else SourceImage.read(self.last)
        known = KnownFrames.of(originals.image, last)
        if self.film is not None:
            known, rate = read_frames_to_continue(
                self.film, None if fps is None else exact_frame_rate(fps), task, height, width
            )
            fps = float(rate)
            width, height = known.before[0].size
        else:
            height, width = task.fit_size(known, height, width)
        film = task.film_settings(frames, fps, known)
        _note_differences(before, film)
        return known, options | {"film": film, "height": height, "width": width}


def read_frames_to_continue(
    file: Path, rate: Fraction | None, task: "PaintsFilms", height: int | None, width: int | None
) -> "tuple[KnownFrames, Fraction]":
    """The frames of a film at the size at which it is painted, and at a rate, by default its own, with that rate.

    Raises DataError where it cannot be read, UsageError for more than 10,000 frames."""
    from saccade.data.film_frames import open_film, resample_frames
    from saccade.tasks.generate.film import KnownFrames
    from saccade.tasks.generate.film_settings import MAX_FRAMES, MAX_RATE
    from saccade.tasks.generate.image_to_image import SourceImage, resized

    frames: list[Image.Image] = []
    size, before = None, None
    with open_film(file) as film:
        rate = min(film.rate, Fraction(MAX_RATE)) if rate is None else rate
        for picture in resample_frames(film, rate):
            if len(frames) == MAX_FRAMES:
                raise UsageError(f"{escape(file)} has more than {MAX_FRAMES} frames: cut it, or give a lower --fps")
            if size is None:
                rows, columns = task.fit_size(KnownFrames.of(SourceImage(picture.image)), height, width)
                assert rows is not None
                assert columns is not None
                size = (rows, columns)
            # one that is shown again is not kept again: a film of two frames may last for hours
            frames.append(resized(picture.image, size) if picture is not before else frames[-1])
            before = picture
        console.print_stderr_notes(film.notes)
        first = frames[0]
        console.print_note(
            console.stderr(),
            f"{escape(file)}: {len(frames)} frame{'s' * (len(frames) > 1)} at {float(rate):g} a second, painted on at "
            f"{first.width} x {first.height} pixels",
        )
    return KnownFrames(tuple(frames), printable(file.name), film=True), rate


def _check_needed(before: Any, image: "SourceImage | None", options: FilmOptions) -> None:
    """Raises UsageError where settings are of frames that are not given."""
    if before is None:
        return
    needed = (
        ("first", "--image", image is not None),
        ("last", "--last", options.last is not None),
        ("before", "--film", options.film is not None),
    )
    for what, option, given in needed:
        reference = getattr(before, what)
        if reference is not None and not given:
            raise UsageError(
                f"the settings are of the film or picture {printable(reference.name)}, which they do not contain: give "
                f"it with {option}"
            )


def _note_differences(before: "FilmSettings | None", film: "FilmSettings") -> None:
    """Note where known frames are not those of the settings `before`."""
    for what in ("first", "last", "before"):
        expected, found = getattr(before, what, None), getattr(film, what)
        if expected is not None and found is not None and expected.digest != found.digest:
            console.print_note(
                console.stderr(),
                f"the settings are of {printable(expected.name)}, {expected.digest}; {printable(found.name)}, "
                f"{found.digest}, is another",
            )
