"""The page of a generated picture: where each word acts on it, and which places of its source pictures it attends to,
at every sampling step, layer and head."""

from pathlib import Path

from saccade.studio.page.page import BUDGET, PageInput, PageReport, write_page
from saccade.studio.views.generated_picture_trace import generation_page_data
from saccade.studio.views.pipeline_picture import pipeline_page_data
from saccade.tasks.generate.image_to_image import SourceImages
from saccade.tasks.generate.look import trace_generation
from saccade.tasks.generate.public import PublicGenerateTask
from saccade.tasks.generate.public_look import trace_pipeline
from saccade.tasks.generate.result import GeneratedPicture
from saccade.tasks.generate.sample import Callback
from saccade.tasks.generate.settings import Settings
from saccade.tasks.generate.task import GenerateTask


def write_generation_page(
    task: GenerateTask | PublicGenerateTask,
    settings: Settings,
    path: Path,
    callback: Callback | None = None,
    budget: int = BUDGET,
    originals: SourceImages | None = None,
) -> tuple[GeneratedPicture, PageReport]:
    """Paint a picture and write a page that shows where each word acts on it, at every step, layer and head; with
    sources beside the words, also which of their places each patch attends to; and the same of a negative prompt.

    The picture is that of `task.generate_all`. The page of a generator of this library also has the self-attention of
    the middle step. originals: the pictures of settings with an image or a style.

    Raises DataError if the page cannot be written, and SaccadeError as `trace_generation` and `trace_pipeline` do.
    """
    picture, page = generation_page(task, settings, callback, originals)
    return picture, write_page(path, page, budget)


def generation_page(
    task: GenerateTask | PublicGenerateTask,
    settings: Settings,
    callback: Callback | None = None,
    originals: SourceImages | None = None,
) -> tuple[GeneratedPicture, PageInput]:
    """The picture, and the page that `write_generation_page` writes of it."""
    if isinstance(task, GenerateTask):
        generation = trace_generation(task, settings, values=True, callback=callback, originals=originals)
        picture, targets = generation.picture, generation_page_data(generation, len(generation.steps) // 2)
    else:
        traced = trace_pipeline(task, settings, callback=callback, originals=originals)
        picture, targets = traced.picture, pipeline_page_data(traced)
    page = PageInput(
        picture=picture.image,
        grid=targets.grid,
        trace=targets.others,
        title=settings.prompt.strip() or ", ".join(_files(settings).values()),
        target="mean",
        model=_facts(task, settings),
        targets=targets,
    )
    return picture, page


def _facts(task: GenerateTask | PublicGenerateTask, settings: Settings) -> dict[str, str]:
    height, width = settings.size
    sampling, own = settings.sampling, dict[str, str]()
    if isinstance(task, GenerateTask):
        patch = task.model.config.patch
        own = {"parameters": f"{task.parameters / 1e6:.1f} million", "patch": f"{patch} x {patch} pixels"}
    return {
        "name": task.name,
        **own,
        "picture": f"{width} x {height} pixels",
        "sampler": f"{settings.sampler}, {sampling.steps} steps",
        "guidance": f"{sampling.guidance:g}",
        "seed": str(settings.seed),
        **({"negative": settings.negative} if settings.negative.strip() else {}),
        **_files(settings),
    }


def _files(settings: Settings) -> dict[str, str]:
    """The pictures that it was painted from, with their strengths where they have an effect."""
    found, image, style = dict[str, str](), settings.image, settings.style
    if image is not None:
        found["from"] = image.name + (f", strength {image.strength:g}" if image.use == "start" else "")
    if style is not None:
        found["style"] = style.name + (f", strength {style.strength:g}" if style.strength != 1 else "")
    return found
