"""The pictures that `saccade generate` paints from: an image with its mask, and a style."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.cli import console
from saccade.data.files import escape
from saccade.errors import UsageError, printable

if TYPE_CHECKING:
    from saccade.tasks.generate.image import Original, Originals
    from saccade.tasks.generate.settings import Settings
    from saccade.tasks.generate.task import GenerateTask


@dataclass(frozen=True)
class SourceOptions:
    """--image, --mask, --strength, --style and --style-strength."""

    image: Path | None = None
    mask: Path | None = None
    strength: float | None = None
    style: Path | None = None
    style_strength: float | None = None

    @property
    def files(self) -> list[Path]:
        """Those that are read."""
        return [file for file in (self.image, self.mask, self.style) if file is not None]

    def check(self, instead: str | None, look: Path | None) -> None:
        """Raises UsageError for options that do not go together."""
        if self.image is None:
            for option, value in (("--mask", self.mask), ("--strength", self.strength)):
                if value is not None:
                    raise UsageError(f"{option} goes with --image: give the picture to start from")
        if self.style is None and self.style_strength is not None:
            raise UsageError("--style-strength goes with --style: give the picture whose style to take")
        if self.files and instead is not None:
            option = "--style" if self.image is None else "--image"
            raise UsageError(f"--instead changes a picture that is painted from noise: leave it or {option} out")
        if look is not None and self.strength == 0:
            raise UsageError("--strength 0 paints nothing, so that --look has nothing to show: use more")

    def read(self, base: "Settings | None") -> "Originals":
        """The pictures; notes on the files are printed. base: settings to paint again, which may be of pictures.

        Raises DataError where a file cannot be read or the mask does not fit, UsageError where `base` needs another."""
        from saccade.tasks.generate.image import Original, Originals

        self._check_base(base)
        image = None if self.image is None else Original.read(self.image, self.mask)
        style = None if self.style is None else Original.read(self.style)
        for original in filter(None, (image, style)):
            for note in original.notes:
                console.note(console.stderr(), note)
        if base is not None:
            _note_differences(base, image, style)
        return Originals(image, style)

    def _check_base(self, base: "Settings | None") -> None:
        if base is None:
            return
        before = base.image
        if before is not None and self.image is None:
            raise UsageError(
                f"the settings are of the picture {printable(before.name)}, which they do not contain: give it with "
                f"--image{' and its mask with --mask' if before.mask_digest else ''}"
            )
        if before is not None and before.mask_digest and self.mask is None:
            raise UsageError("the settings have a mask, which they do not contain: give it with --mask")
        if base.style is not None and self.style is None:
            raise UsageError(
                f"the settings take the style of {printable(base.style.name)}, which they do not contain: give it with "
                "--style"
            )
        if base.layout is not None and self.files:
            raise UsageError("the settings take the layout of another prompt, from noise: leave pictures or them out")

    def options(self, originals: "Originals", base: "Settings | None") -> dict[str, Any]:
        """Arguments of `GenerateTask.settings`: strengths that are not given are those of `base`."""
        strength, style_strength = self.strength, self.style_strength
        if strength is None and base is not None and base.image is not None and base.image.use == "start":
            strength = base.image.strength
        if style_strength is None:
            style_strength = base.style.strength if base is not None and base.style is not None else 1.0
        return {"originals": originals, "strength": strength, "style_strength": style_strength}


def fitted(
    task: "GenerateTask", original: "Original", base: "Settings | None", options: dict[str, Any]
) -> dict[str, Any]:
    """Options with the height and width at which a picture is painted from the image: those that are given, else those
    of `base` where it is of the same image, else about the size of training in its aspect."""
    height, width = options["height"], options["width"]
    if base is not None and base.image is not None and base.image.digest == original.digest:
        height, width = base.size[0] if height is None else height, base.size[1] if width is None else width
    height, width = original.fit(task.preprocess.size, task.model.config.patch, height, width)
    return options | {"height": height, "width": width}


def note_size(settings: "Settings", original: "Original") -> None:
    """Print at which size the image is painted if that is not its own."""
    height, width = settings.size
    if (width, height) != original.image.size:
        own = f"{escape(original.name)}, {original.image.width} x {original.image.height} pixels"
        console.note(console.stderr(), f"{own}, is painted at {width} x {height} pixels")


def _note_differences(base: "Settings", image: "Original | None", style: "Original | None") -> None:
    stderr = console.stderr()
    for verb, before, original in (("start from", base.image, image), ("take the style of", base.style, style)):
        if before is not None and original is not None and before.digest != original.digest:
            of = f"{printable(before.name)}, {before.digest}"
            console.note(
                stderr, f"the settings {verb} {of}; {escape(original.name)}, {original.digest}, is another picture"
            )
    if base.image is not None and image is not None and base.image.mask_digest != image.mask_digest:
        different = "the settings are of another mask" if base.image.mask_digest else "the settings have no mask"
        console.note(stderr, different)
