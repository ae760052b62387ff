"""`saccade generate`: pictures painted from a text."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from saccade.cli.console import DeviceName, Json, Precision, int_range
from saccade.cli.film_options import FilmOptions
from saccade.cli.generate_settings import (
    check_edits,
    check_picture_or_film,
    load_generate_task,
    print_assumptions,
    resolve_settings,
)
from saccade.cli.interrupt import import_torch
from saccade.cli.picture_files import OutputFiles, print_generated
from saccade.cli.source_pictures import SourceImageOptions, fit_size_to_source, note_size, note_steps
from saccade.errors import UsageError

if TYPE_CHECKING:
    from saccade.device import Device
    from saccade.tasks.generate.film import KnownFrames
    from saccade.tasks.generate.image_to_image import SourceImages
    from saccade.tasks.generate.public import PublicGenerateTask
    from saccade.tasks.generate.public_film import PublicFilmTask
    from saccade.tasks.generate.result import GeneratedFilm, GeneratedPicture
    from saccade.tasks.generate.settings import Settings
    from saccade.tasks.generate.task import GenerateTask

    AnyGenerateTask = GenerateTask | PublicGenerateTask | PublicFilmTask


def generate(
    prompt: str | None = None,
    *,
    model: str = "painter",
    negative: str | None = None,
    steps: Annotated[int | None, int_range(1, 1000)] = None,
    guidance: Annotated[float | None, Parameter(validator=validators.Number(gte=0, lte=100))] = None,
    guidance_interval: Annotated[tuple[float, float] | None, Parameter(negative=())] = None,
    sampler: Literal["euler", "heun", "mean-flow"] | None = None,
    seed: Annotated[int | None, int_range(0)] = None,
    n: Annotated[int, int_range(1, name="--n")] = 1,
    height: Annotated[int | None, int_range(1)] = None,
    width: Annotated[int | None, int_range(1)] = None,
    image: Path | None = None,
    strength: Annotated[float | None, Parameter(validator=validators.Number(gte=0, lte=1))] = None,
    mask: Path | None = None,
    mask_of: str | None = None,
    segmenter: str | None = None,
    image_guidance: Annotated[float | None, Parameter(validator=validators.Number(gte=0, lte=100))] = None,
    invert: str | None = None,
    style: Path | None = None,
    frames: Annotated[int | None, int_range(1, 10000)] = None,
    fps: Annotated[float | None, Parameter(validator=validators.Number(gte=0.1, lte=240))] = None,
    film: Path | None = None,
    last: Path | None = None,
    style_strength: Annotated[float | None, Parameter(validator=validators.Number(gte=0, lte=100))] = None,
    style_guidance: Annotated[float | None, Parameter(validator=validators.Number(gte=0, lte=100))] = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    grid: Path | None = None,
    like: Path | None = None,
    instead: str | None = None,
    keep_layout: Annotated[bool, Parameter(negative=())] = False,
    look: Path | None = None,
    device: DeviceName = "auto",
    precision: Precision | None = None,
    as_json: Json = False,
) -> None:
    """Paint pictures or films from a text, a picture, or the style of one.

    The settings are written into each file, as the text that other tools read and write too, and --like paints it again
    from them.

    Examples:

        saccade generate "a red star left of a blue ring"

        saccade generate "a (red:1.5) star" --n 9 --seed 7 --out stars/ --grid stars.png

        saccade generate --like generated.png --steps 50

        saccade generate "a red star left of a blue ring" --look look.html

        saccade generate "a red star left of a blue ring" --instead "a green star left of a blue ring" --keep-layout

        saccade generate "a green star" --image photo.png --strength 0.4

        saccade generate "a green star" --image photo.png --mask hole.png

        saccade generate "make the star green" --image photo.png

        saccade generate "a blue star" --image photo.png --invert "a red star"

        saccade generate --image photo.png --style drawing.png

        saccade generate "a red star moving left" --frames 16

        saccade generate "a red star moving left" --image first.png --frames 16 --out film.gif

        saccade generate "a red star moving left" --film start.mp4 --frames 32

    Parameters
    ----------
    prompt
        What to paint. (red:1.5) gives words more weight, (red:0.5) less; (red) is 1.1, [red] is 1 / 1.1, and \\( is a
        plain bracket. A weight multiplies the attention to the word.
    model
        A generator: the name of a bundled one, a folder (a run's too), or a pipeline of diffusers: diffusers:FOLDER or
        hf:owner/name.
    negative
        What to move away from; it takes effect where --guidance is not 1.
    steps
        Steps from noise to picture; more are slower and more exact. Default: 25.
    guidance
        How closely to follow the prompt: 1 for no guidance, 0 to ignore it. Default: the model's own.
    guidance_interval
        First and last time, from noise at 0 to the picture at 1, of the steps that are guided. Default: 0 1.
    sampler
        euler; heun, which evaluates the model twice a step; mean-flow, for a few steps of a generator that was trained
        for it. Default: euler.
    seed
        Of the first picture; the others have the numbers after it. A seed gives the same picture whatever --n is.
        Default: drawn at random.
    n
        How many pictures.
    height
        In pixels, as width: multiples of the model's patch. Default: the size of its training, with --image about its
        area in the picture's aspect.
    width
        As height.
    image
        Picture to paint from: a sketch, a map of classes, a grey or a small picture, or one to change as the prompt
        says, where the model was trained so. With --strength, or another model, the picture to start from instead of
        noise.
    strength
        With --image: start from it, and how much of it is painted anew. 0 gives the picture back, 1 starts from noise;
        all steps are spent in between. Default for models that were not trained on pictures to paint from: 0.6, or 1
        with --mask. Pipelines of diffusers spend about this share of the steps, and have a default of their own.
    mask
        With --image: a picture of its size that is white where to paint. All other pixels are kept exactly, and the
        result has the size of the picture. Greys from 50 % on are white.
    mask_of
        In place of --mask: what to paint, in words that name classes of a segmenter, such as "the star".
    segmenter
        With --mask-of: a model that segments pictures. Default: shapes.
    image_guidance
        How closely to follow --image: 1 for no guidance. Default: 1, or the pipeline's own.
    invert
        What --image shows. The picture is followed back to the noise that it would be painted from under these words,
        and painted from there with the prompt: what the new words do not change changes less than with --strength, of
        which 1 is the default here. The words are the negative prompt too, unless --negative is given; the seed has no
        effect.
    style
        Picture whose style to take. A model that was not trained for it borrows the keys and values of its patches.
    frames
        More than 1 for a film, with --image as its first frame. Default: 1, a picture.
    fps
        Frames a second of a film. Default: 8, or those of --film.
    film
        Film to go on from: the result holds it too, at the size of painting, then as many new frames as --frames says.
    last
        With --image and --frames: a picture for the last frame; the film between is painted.
    style_strength
        Factor of the attention to the style: 0 hides it. Default: 1.
    style_guidance
        How closely to follow --style: 1 for no guidance. Default: 1.
    out
        PNG to write; with --n, a folder for 0.png, 1.png and so on. Default: generated.png, or the folder generated,
        with a number where there is one already. A film is an MP4, GIF or WebP by the suffix, or a folder of PNGs
        without one; with --n, a folder of MP4s. Default: generated.mp4.
    grid
        PNG for all pictures on one sheet.
    like
        PNG or film whose settings are used; options that are given beside it replace them.
    instead
        Another prompt to paint in place of the first, from the same noise and with the first one's attention to words
        in most of the steps: what the same words describe changes less than by painting anew (prompt-to-prompt).
    keep_layout
        With --instead or --invert: also keep the first one's attention between patches in the first steps, which holds
        the layout.
    look
        HTML page to write: where each word acts on the picture, at every step, layer and head; of a film, in every
        frame, with where its places look.
    device
        Where to compute.
    precision
        fp32; bf16; or auto: bf16 where the processor is measured to be faster in it, which changes the last digits.
        Default: fp32.
    as_json
        As JSON: the settings and the path of each picture.
    """
    beginning = SourceImageOptions(image, mask, mask_of, segmenter, strength, style, style_strength, invert)
    moving = FilmOptions(frames, fps, film, last, like)
    given = [*beginning.files, *moving.files]
    if prompt is None and like is None and not given:
        raise UsageError('no prompt was given: say what to paint, as in saccade generate "a red star"')
    if prompt is not None and not prompt.strip() and not given:
        raise UsageError('the prompt is empty: say what to paint, as in "a red star"')
    check_edits(instead, invert, keep_layout, look, n)
    beginning.check(instead, look, n)
    moving.check(beginning, instead, grid)
    files = OutputFiles.from_options(out, grid, n, [*([] if like is None else [like]), *given], look, moving.is_film)
    import_torch()
    from dataclasses import replace

    from saccade.device import init_device
    from saccade.tasks.generate.base import repeat_with_seeds
    from saccade.tasks.generate.image_to_image import SourceImages
    from saccade.tasks.generate.prompt_to_prompt import replace_prompt
    from saccade.tasks.generate.public import PublicGenerateTask
    from saccade.tasks.generate.settings import Settings

    base = None if like is None else Settings.from_metadata(like)
    originals = beginning.read_originals(base)
    task = load_generate_task(model, originals)
    check_picture_or_film(task, moving.is_film)
    place = init_device(device, precision or (base.precision if base else "fp32"))
    task.model.to(place.device)
    sampling = {"steps": steps, "guidance": guidance, "interval": guidance_interval, "sampler": sampler}
    sampling |= {"image_guidance": image_guidance, "style_guidance": style_guidance}
    negative = invert if negative is None else negative
    others = {"prompt": prompt, "negative": negative, "seed": seed, "height": height, "width": width}
    known = None
    if moving.is_film:
        assert not isinstance(task, PublicGenerateTask)
        known, others = moving.read_known_frames(base, task, originals, others)
        originals = SourceImages(style=originals.style)
    if beginning.files:
        others = fit_size_to_source(task, originals, base, others) | beginning.settings_arguments(task, originals, base)
    settings = resolve_settings(task, base, sampling, others, "bf16" if place.bf16 else "fp32")
    files.check_rate(settings)
    if originals.image is not None:
        note_size(settings, originals.image)
        if isinstance(task, PublicGenerateTask):
            note_steps(task, settings)
    if instead is not None:
        settings = replace_prompt(settings, instead, keep_layout)
    elif invert is not None:
        settings = replace_prompt(replace(settings, prompt=invert), settings.prompt, keep_layout)
    unknown = print_assumptions(task, base, settings)
    try:
        for picture in _painted(task, repeat_with_seeds(settings, n), place, look, originals, known):
            files.write(picture)
    except KeyboardInterrupt:
        print_generated(files, n, unknown, as_json)
        raise
    print_generated(files, n, unknown, as_json)


def _painted(
    task: "AnyGenerateTask",
    settings: "Sequence[Settings]",
    place: "Device",
    look: Path | None,
    originals: "SourceImages",
    known: "KnownFrames | None",
) -> "Iterator[GeneratedPicture | GeneratedFilm]":
    """The pictures, with a progress bar of the steps. look: page to write of the only one, after it was taken: if the
    page cannot be written, the picture is kept. originals: what they are painted from beside the prompt. known: frames
    of films that are known; None for pictures."""
    from tqdm.auto import tqdm

    from saccade.studio.page.page import write_page
    from saccade.tasks.generate.prompt_to_prompt import paint
    from saccade.tasks.generate.public_film import PublicFilmTask
    from saccade.tasks.generate.task import GenerateTask

    with tqdm(unit="steps", delay=1, disable=None, leave=False) as bar, place.autocast_context():

        def report(done: int, steps: int) -> None:
            bar.total = steps
            bar.update(done - bar.n)

        if isinstance(task, PublicFilmTask) or (known is not None and isinstance(task, GenerateTask)):
            if look is None:
                yield from task.generate_films(settings, known, originals, report)
                return
            from saccade.studio.views.generated_film import film_page

            film, page = film_page(task, settings[0], known, report, originals)
            yield film
            write_page(look, page)
        elif look is not None:
            from saccade.studio.views.generate import generation_page

            picture, page = generation_page(task, settings[0], report, originals)
            yield picture
            write_page(look, page)
        elif isinstance(task, GenerateTask):
            yield from paint(task, settings, report, originals)
        else:
            yield from task.generate_all(settings, report, originals=originals)
