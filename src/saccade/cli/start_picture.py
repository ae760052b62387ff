"""The picture that `saccade generate` starts from, with its mask."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.cli import console
from saccade.data.files import escape
from saccade.errors import UsageError, printable

if TYPE_CHECKING:
    from saccade.tasks.generate.image import Original
    from saccade.tasks.generate.public import PublicGenerateTask
    from saccade.tasks.generate.settings import ImageSettings, Settings
    from saccade.tasks.generate.task import GenerateTask


@dataclass(frozen=True)
class StartOptions:
    """--image, --mask and --strength."""

    image: Path | None = None
    mask: Path | None = None
    strength: float | None = None

    @property
    def files(self) -> list[Path]:
        """Those that are read."""
        return [file for file in (self.image, self.mask) if file is not None]

    def check(self, instead: str | None, look: Path | None) -> None:
        """Raises UsageError for options that do not go together."""
        if self.image is None:
            for option, value in (("--mask", self.mask), ("--strength", self.strength)):
                if value is not None:
                    raise UsageError(f"{option} goes with --image: give the picture to start from")
        elif instead is not None:
            raise UsageError("--instead changes a picture that is painted from noise: leave it or --image out")
        if look is not None and self.strength == 0:
            raise UsageError("--strength 0 paints nothing, so that --look has nothing to show: use more")

    def read(self, base: "Settings | None") -> "Original | None":
        """The picture; notes on both files are printed. base: settings to paint again, which may be of a picture.

        Raises DataError where a file cannot be read or the mask does not fit, UsageError where `base` needs another."""
        from saccade.tasks.generate.image import Original

        before = None if base is None else base.image
        if self.image is None:
            if before is not None:
                raise UsageError(
                    f"the settings start from the picture {printable(before.name)}, which they do not contain: give it "
                    f"with --image{' and its mask with --mask' if before.mask_digest else ''}"
                )
            return None
        if before is not None and before.mask_digest and self.mask is None:
            raise UsageError("the settings have a mask, which they do not contain: give it with --mask")
        if base is not None and base.layout is not None:
            raise UsageError("the settings take the layout of another prompt, from noise: leave --image or them out")
        original = Original.read(self.image, self.mask)
        for note in original.notes:
            console.note(console.stderr(), note)
        if before is not None:
            _note_differences(before, original)
        return original

    def add_to(self, settings: "Settings", original: "Original", base: "Settings | None") -> "Settings":
        """Settings with the picture, and the strength of --strength, else of `base`; a note says at which size it is
        painted if that is not its own. Raises SaccadeError for a strength out of range."""
        before = None if base is None else base.image
        strength = before.strength if self.strength is None and before is not None else self.strength
        image = original.settings(strength)
        height, width = settings.size
        if (width, height) != original.image.size:
            own = f"{escape(original.name)}, {original.image.width} x {original.image.height} pixels"
            console.note(console.stderr(), f"{own}, is painted at {width} x {height} pixels")
        return replace(settings, image=image)


def fitted(
    task: "GenerateTask | PublicGenerateTask", original: "Original", base: "Settings | None", options: dict[str, Any]
) -> dict[str, Any]:
    """Options with the height and width at which the picture is painted: those that are given, else those of `base`
    where it is of the same picture, else about the size of training in the picture's aspect.

    Raises UsageError for other libraries' pipelines."""
    from saccade.tasks.generate.task import GenerateTask

    if not isinstance(task, GenerateTask):
        raise UsageError(f"{task.name} paints from text alone: leave out --image, or use a generator of saccade")
    height, width = options["height"], options["width"]
    if base is not None and base.image is not None and base.image.digest == original.digest:
        height, width = base.size[0] if height is None else height, base.size[1] if width is None else width
    height, width = original.fit(task.preprocess.size, task.model.config.patch, height, width)
    return options | {"height": height, "width": width}


def _note_differences(before: "ImageSettings", original: "Original") -> None:
    stderr = console.stderr()
    if before.digest != original.digest:
        of = f"{printable(before.name)}, {before.digest}"
        console.note(
            stderr, f"the settings start from {of}; {escape(original.name)}, {original.digest}, is another picture"
        )
    if before.mask_digest != original.mask_digest:
        console.note(stderr, "the settings are of another mask" if before.mask_digest else "the settings have no mask")
