"""What `saccade generate` checks before it paints: the model, the settings, and what the user should know."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade.cli import console
from saccade.cli.models import print_notes
from saccade.errors import UsageError

if TYPE_CHECKING:
    from saccade.tasks.generate.image_to_image import SourceImages
    from saccade.tasks.generate.public import PublicGenerateTask
    from saccade.tasks.generate.public_film import PublicFilmTask
    from saccade.tasks.generate.settings import Settings
    from saccade.tasks.generate.task import GenerateTask

    AnyGenerateTask = GenerateTask | PublicGenerateTask | PublicFilmTask


def load_generate_task(model: str, originals: "SourceImages") -> "AnyGenerateTask":
    """The generator, for the pictures that it is to paint from; notes on it are printed. Raises SaccadeError as
    `load_generator` does, and for a public pipeline that takes no image."""
    from saccade.tasks.generate.public import PublicGenerateTask
    from saccade.tasks.public_loading import load_generator

    task = load_generator(model)
    print_notes(task)
    return task.image_to_image_task(originals) if isinstance(task, PublicGenerateTask) else task


def check_picture_or_film(task: "AnyGenerateTask", film: bool) -> None:
    """Raises UsageError for a generator of pictures where a film is to be painted, and the reverse."""
    from saccade.tasks.generate.public_film import PublicFilmTask
    from saccade.tasks.generate.task import GenerateTask

    paints_films = isinstance(task, PublicFilmTask) or (isinstance(task, GenerateTask) and task.model.config.films)
    if film and not paints_films:
        raise UsageError(f"{task.name} paints pictures, not films: leave --frames out, or use another model")
    if not film and isinstance(task, PublicFilmTask):
        usual = task.default_frames
        raise UsageError(f"{task.name} makes films and no pictures: say how many frames, as in --frames {usual}")


def resolve_settings(
    task: "AnyGenerateTask", base: "Settings | None", sampling: dict[str, Any], others: dict[str, Any], precision: str
) -> "Settings":
    """The settings of the first picture: those that are not None, then those of `base`, then the defaults. Raises
    SaccadeError where they are out of range."""
    from dataclasses import replace

    from saccade.tasks.generate.task import GenerateTask

    start: dict[str, Any] = {}
    if base is not None:
        height, width = base.size
        start = {"prompt": base.prompt, "negative": base.negative, "seed": base.seed, "height": height, "width": width}
    layout = None if base is None else base.layout
    if layout is not None and not isinstance(task, GenerateTask):
        raise UsageError(f"the settings take the layout of another prompt, which {task.name} cannot: use another model")
    given = {name: value for name, value in sampling.items() if value is not None}
    options = start | {name: value for name, value in others.items() if value is not None}
    settings = task.settings(**options, sampling=replace(base.sampling if base else task.default_sampling, **given))
    if base is not None and base.film is not None and settings.film is None:
        raise UsageError("the settings are those of a film: say how many frames, 2 or more, as in --frames 16")
    return replace(settings, precision=precision, layout=layout or settings.layout)


def print_assumptions(task: "AnyGenerateTask", base: "Settings | None", settings: "Settings") -> list[str]:
    """Print what the user should know before pictures are painted. Returns the words that the model has never seen."""
    stderr = console.stderr()
    if base is not None and base.digest != task.digest:
        of = f"the model {base.model or 'that is not named'}, {base.digest or 'without a hash'}"
        console.print_note(
            stderr, f"the settings are of {of}; {task.name}, {task.digest}, paints another picture from them"
        )
    unknown = task.unknown_words(f"{settings.prompt} {settings.negative}")
    if unknown:
        words = ", ".join(f'"{word}"' for word in unknown)
        console.print_note(stderr, f"{task.name} was trained without {words}: it does not know what they look like")
    return unknown


def check_edits(instead: str | None, invert: str | None, keep_layout: bool, look: Path | None, n: int) -> None:
    """Raises UsageError for options that do not go together."""
    if instead is not None and not instead.strip():
        raise UsageError('--instead is empty: give another prompt, such as "a green star"')
    if keep_layout and instead is None and invert is None:
        raise UsageError("--keep-layout goes with --instead or --invert: give the words whose layout is to be kept")
    if look is not None and n > 1:
        raise UsageError(f"--look shows one picture or film, and --n {n} paints more: leave one of them out")
    if look is not None and instead is not None:
        raise UsageError("--look shows a picture of one prompt: leave it or --instead out")
