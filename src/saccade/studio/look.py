"""Look at an image or a video through a model: the prediction, and what the model attends to."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from saccade.data import Picture
from saccade.data.files import escape
from saccade.data.film_frames import read_clip
from saccade.data.films.store import is_animated
from saccade.errors import SaccadeError, UsageError
from saccade.studio.views import LookOptions, View, view_of
from saccade.studio.views.answer import AnswerView
from saccade.studio.views.base import page_title
from saccade.studio.views.film import FilmView
from saccade.tasks import load
from saccade.tasks.ask.task import PublicAskTask
from saccade.tasks.classify.video_classifier import VideoClassifyTask
from saccade.tasks.detect.public import PublicDetectTask
from saccade.tasks.public_loading import load_match_task, load_vlm
from saccade.tasks.segment.public import PublicSegmentTask
from saccade.tasks.vision import PublicVisionTask

_DEFAULTS = LookOptions()
ASKED_FRAMES = 4  # of a video that a model is asked about


@torch.no_grad()
def look(task: Any, picture: Picture, options: LookOptions = _DEFAULTS) -> View:
    """Run a task's model on one image and keep what it attended to, in the task's view.

    Raises SaccadeError for a model whose attention cannot be shown, and for options that do not apply to it.
    """
    if options.module and not isinstance(task, PublicVisionTask | PublicSegmentTask | PublicDetectTask):
        raise SaccadeError(f"--module is not for {task.name}, whose page shows every layer")
    task, picture, options = _paired(task, picture, options)
    view = view_of(task).look(task, picture, options)
    if options.other is not None and view.extras.other is None:
        raise SaccadeError(f"{task.name}: two pictures are compared by features of patches, which are not known here")
    if options.classes and view.extras.classes is None:
        why = next((note for note in view.notes if note.startswith("no class maps")), "it does not classify pictures")
        raise SaccadeError(f"{task.name} shows no evidence for a class: {why}")
    return view


def _paired(task: Any, picture: Picture, options: LookOptions) -> tuple[Any, Picture, LookOptions]:
    """The same; of a model that takes two pictures at once, both as its input."""
    if options.other is None or not isinstance(task, PublicVisionTask) or not task.vision.takes_pairs:
        return task, picture, options
    wrapper = replace(task.vision, second=options.other.image)
    return PublicVisionTask(wrapper), with_both_names(picture, options.other), replace(options, other=None)


def with_both_names(picture: Picture, other: Picture) -> Picture:
    """A picture with the names of two."""
    return replace(picture, name=f"{page_title(picture.name)} · {page_title(other.name)}")


def look_at_film(model: str, path: Path, options: LookOptions, device: torch.device | str) -> FilmView:
    """Load a classifier of videos by name, and look at a video with it.

    Raises SaccadeError for a model of pictures, as `FilmView.look_at_clip` and the loaders do, and DataError for a
    video that cannot be read."""
    if options.texts:
        raise SaccadeError("--text is for pictures: classifiers of videos read no text")
    task = load(model)
    if not isinstance(task, VideoClassifyTask):
        raise SaccadeError(
            f"{task.name} looks at pictures, and {escape(path)} is a video: give a picture, or a model that classifies "
            "videos (VideoMAE, ViViT, TimeSformer)"
        )
    task.model.to(device)
    return FilmView.look_at_clip(task, read_clip(path, task.frames), options)


@torch.no_grad()
def ask_about(model: Any, pictures: Sequence[Picture], question: str, device: torch.device | str) -> AnswerView:
    """Ask a model that writes about one or more images together. model: its name or path, which is loaded, or a task of
    `load_vlm`.

    Raises SaccadeError as `load_vlm` and `PublicAskTask.ask` do, and UsageError for another kind of model."""
    task = load_vlm(os.fspath(model)) if isinstance(model, str | os.PathLike) else model
    if not isinstance(task, PublicAskTask):
        raise UsageError(f"a {type(task).__name__} writes no answers: give the name or path of a model that does")
    task.model.to(device)
    return AnswerView.ask(task, pictures, question)


def frames_of(path: Path) -> list[Picture]:
    """Some frames of a video, as images in order; the first one's notes say which. Raises DataError for a video that
    cannot be read."""
    clip = read_clip(path, ASKED_FRAMES)
    name = escape(path)
    return [Picture(image, name, clip.notes if i == 0 else ()) for i, image in enumerate(clip.pictures)]


def look_at(model: str, picture: Picture, options: LookOptions, device: torch.device | str) -> View:
    """Load a model by name, with its text tower if there are texts, and look at an image with it; a classifier of
    videos looks at an animated one as a film.

    Raises SaccadeError as `look` and the loaders do."""
    task: Any = load_match_task(model) if options.texts else load(model)
    if isinstance(task, VideoClassifyTask):
        path = Path(picture.name)
        if not path.is_file() or not is_animated(path):
            return FilmView.look(task, picture, options)
        task.model.to(device)
        return FilmView.look_at_clip(task, read_clip(path, task.frames), options)
    task.model.to(device)
    return look(task, picture, options)
