"""The pictures that `saccade generate` paints from: an image with its mask, and a style."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.cli import console
from saccade.data.files import escape
from saccade.errors import UsageError, printable

if TYPE_CHECKING:
    from PIL import Image

    from saccade.tasks.generate.image_to_image import SourceImage, SourceImages
    from saccade.tasks.generate.public import PublicGenerateTask
    from saccade.tasks.generate.public_film import PublicFilmTask
    from saccade.tasks.generate.settings import Settings
    from saccade.tasks.generate.task import GenerateTask

    AnyGenerateTask = GenerateTask | PublicGenerateTask | PublicFilmTask

SEGMENTER = "shapes"


@dataclass(frozen=True)
class SourceImageOptions:
    """--image, --mask, --mask-of, --segmenter, --strength, --style, --style-strength and --invert."""

    image: Path | None = None
    mask: Path | None = None
    mask_of: str | None = None
    segmenter: str | None = None
    strength: float | None = None
    style: Path | None = None
    style_strength: float | None = None
    invert: str | None = None

    @property
    def files(self) -> list[Path]:
        """Those that are read."""
        return [file for file in (self.image, self.mask, self.style) if file is not None]

    def check(self, instead: str | None, look: Path | None, n: int) -> None:
        """Raises UsageError for options that do not go together."""
        if self.image is None:
            starting = {"--mask": self.mask, "--mask-of": self.mask_of, "--strength": self.strength}
            for option, value in (starting | {"--invert": self.invert}).items():
                if value is not None:
                    raise UsageError(f"{option} goes with --image: give the picture to start from")
        if self.invert is not None:
            self._check_inversion(look, n)
        if self.mask is not None and self.mask_of is not None:
            raise UsageError("--mask and --mask-of both say what to paint: give one of them")
        if self.segmenter is not None and self.mask_of is None:
            raise UsageError('--segmenter goes with --mask-of: say what to paint, as in --mask-of "the star"')
        if self.style is None and self.style_strength is not None:
            raise UsageError("--style-strength goes with --style: give the picture whose style to take")
        if self.files and instead is not None:
            option = "--style" if self.image is None else "--image"
            raise UsageError(f"--instead changes a picture that is painted from noise: leave it or {option} out")
        if look is not None and self.strength == 0:
            raise UsageError("--strength 0 paints nothing, so that --look has nothing to show: use more")

    def _check_inversion(self, look: Path | None, n: int) -> None:
        if not (self.invert or "").strip():
            raise UsageError('--invert is empty: say what the picture of --image shows, such as "a red star"')
        others = {
            "--mask": self.mask is not None or self.mask_of is not None,
            "--style": self.style is not None,
            "--look": look is not None,
        }
        for option in (name for name, given in others.items() if given):
            raise UsageError(f"--invert changes a whole picture by words alone: leave it or {option} out")
        if n > 1:
            raise UsageError(f"--invert starts at the picture's own noise, and --n {n} pictures would be equal: use 1")

    def read_originals(self, base: "Settings | None") -> "SourceImages":
        """The pictures; notes on the files are printed. base: settings to paint again, which may be of pictures.

        Raises DataError where a file cannot be read or the mask does not fit, UsageError where `base` needs another."""
        from saccade.tasks.generate.image_to_image import SourceImage, SourceImages

        self._check_base(base)
        image = None if self.image is None else SourceImage.read(self.image, self._mask())
        style = None if self.style is None else SourceImage.read(self.style)
        for original in filter(None, (image, style)):
            console.print_stderr_notes(original.notes)
        if base is not None:
            _note_differences(base, image, style)
        return SourceImages(image, style)

    def _mask(self) -> "Path | Image.Image | None":
        """The mask's file, or the mask of what --mask-of names. Raises CheckpointError for a segmenter that is none."""
        if self.mask_of is None or self.image is None:
            return self.mask
        from saccade.errors import CheckpointError
        from saccade.tasks.generate.mask_words import mask_of
        from saccade.tasks.loading import load
        from saccade.tasks.segment.task import SegmentTask

        task = load(self.segmenter or SEGMENTER)
        if not isinstance(task, SegmentTask):
            raise CheckpointError(f"{self.segmenter} segments no pictures: a model that does is needed, as {SEGMENTER}")
        return mask_of(self.mask_of, self.image, task)

    def _check_base(self, base: "Settings | None") -> None:
        if base is None:
            return
        before = base.image
        if before is not None and self.image is None:
            raise UsageError(
                f"the settings are of the picture {printable(before.name)}, which they do not contain: give it with "
                f"--image{' and its mask with --mask' if before.mask_digest else ''}"
            )
        if before is not None and before.mask_digest and self.mask is None and self.mask_of is None:
            raise UsageError("the settings have a mask, which they do not contain: give it with --mask or --mask-of")
        if base.style is not None and self.style is None:
            raise UsageError(
                f"the settings take the style of {printable(base.style.name)}, which they do not contain: give it with "
                "--style"
            )
        inverted = before is not None and before.use == "inversion"
        if base.layout is not None and self.files and not inverted:
            raise UsageError("the settings take the layout of another prompt, from noise: leave pictures or them out")

    def settings_arguments(
        self, task: "AnyGenerateTask", originals: "SourceImages", base: "Settings | None"
    ) -> dict[str, Any]:
        """Arguments of `task.settings`: strengths, and a caption to invert under, that are not given are those of
        `base`. Raises UsageError where the model inverts no pictures."""
        from saccade.tasks.generate.task import GenerateTask

        strength, style_strength, caption = self.strength, self.style_strength, self.invert
        before = None if base is None else base.image
        if strength is None and before is not None and before.use != "source":
            strength = before.strength
        if caption is None and before is not None:
            caption = before.caption or None
        inverted = {} if caption is None else {"source_prompt": caption}
        if inverted and not isinstance(task, GenerateTask):
            raise UsageError(f"{task.name} inverts no pictures: use another model, or --strength in place of --invert")
        if style_strength is None:
            style_strength = base.style.strength if base is not None and base.style is not None else 1.0
        return {"originals": originals, "strength": strength, "style_strength": style_strength, **inverted}


def fit_size_to_source(
    task: "AnyGenerateTask",
    originals: "SourceImages",
    base: "Settings | None",
    options: dict[str, Any],
) -> dict[str, Any]:
    """Options of a picture that is painted from others, which may have no prompt, and has the height and width that
    are given, else those of `base` where it is of the same image, else about the size of training, or a pipeline's
    own, in the aspect of the image."""
    from saccade.tasks.generate.public import PublicGenerateTask
    from saccade.tasks.generate.public_film import PublicFilmTask

    original = originals.image
    if options["prompt"] is None and base is None:
        options = options | {"prompt": ""}
    if original is None or isinstance(task, PublicFilmTask):  # the image of a film is its first frame
        return options
    height, width = options["height"], options["width"]
    if base is not None and base.image is not None and base.image.digest == original.digest:
        height, width = base.size[0] if height is None else height, base.size[1] if width is None else width
    if isinstance(task, PublicGenerateTask):
        height, width = task.fit_size(original, height, width)
    else:
        height, width = original.fit_size(task.preprocess.size, task.model.config.patch, height, width)
    return options | {"height": height, "width": width}


def note_size(settings: "Settings", original: "SourceImage") -> None:
    """Print at which size the image is painted if that is not its own."""
    height, width = settings.size
    if (width, height) != original.image.size:
        own = f"{escape(original.name)}, {original.image.width} x {original.image.height} pixels"
        console.print_note(console.stderr(), f"{own}, is painted at {width} x {height} pixels")


def note_steps(task: "PublicGenerateTask", settings: "Settings") -> None:
    """Print how many steps a strength spends in a public pipeline."""
    image, steps = settings.image, settings.sampling.steps
    if image is not None and image.use == "start":
        kind = type(task.model).__name__
        spent = f"a strength of {image.strength:g} spends {task.spent_steps(settings)} of {steps} steps"
        console.print_note(console.stderr(), f"{kind}: {spent}")


def _note_differences(base: "Settings", image: "SourceImage | None", style: "SourceImage | None") -> None:
    stderr = console.stderr()
    for verb, before, original in (("start from", base.image, image), ("take the style of", base.style, style)):
        if before is not None and original is not None and before.digest != original.digest:
            of = f"{printable(before.name)}, {before.digest}"
            console.print_note(
                stderr, f"the settings {verb} {of}; {escape(original.name)}, {original.digest}, is another picture"
            )
    if base.image is not None and image is not None and base.image.mask_digest != image.mask_digest:
        different = "the settings are of another mask" if base.image.mask_digest else "the settings have no mask"
        console.print_note(stderr, different)
