"""Models of other libraries, in one of their many forms, and the readings of a model other than `load`'s."""

from pathlib import Path
from typing import TYPE_CHECKING

from saccade.checkpoints import load_checkpoint
from saccade.checkpoints.detectors import is_detector, load_detector
from saccade.checkpoints.files import OpenedCheckpoint, open_checkpoint
from saccade.checkpoints.film_pipeline_classes import film_pipeline_spec
from saccade.checkpoints.matchers import is_text_image_model, load_matcher
from saccade.checkpoints.pipelines import is_pipeline, load_pipeline
from saccade.checkpoints.segmenters import is_segmenter, load_segmenter
from saccade.checkpoints.timm_models import is_timm_model, load_timm_model
from saccade.checkpoints.video_classifiers import is_video_classifier, load_video_classifier
from saccade.checkpoints.vision_language import is_vision_language_model, load_vision_language
from saccade.checkpoints.vision_models import VisionModel, is_vision_model, load_vision_model
from saccade.errors import CheckpointError
from saccade.models import Classifier
from saccade.tasks.base import Task
from saccade.tasks.bundled_models import bundled
from saccade.tasks.classify.task import ClassifyTask
from saccade.tasks.classify.video_classifier import VideoClassifyTask
from saccade.tasks.detect.public import PublicDetectTask
from saccade.tasks.exported import is_exported, open_exported
from saccade.tasks.generate.public import PublicGenerateTask
from saccade.tasks.generate.public_film import PublicFilmTask
from saccade.tasks.generate.task import GenerateTask
from saccade.tasks.match.public import PublicMatchTask
from saccade.tasks.match.task import MatchTask
from saccade.tasks.saved import read_model_kind
from saccade.tasks.segment.public import PublicSegmentTask
from saccade.tasks.trained_models import find_trained_model, open_trained_model
from saccade.tasks.vision import PublicVisionTask

if TYPE_CHECKING:
    from saccade.tasks.ask.task import PublicAskTask

ASK = 'it writes about pictures: give --ask "What is in the picture?" to see where it looks for each word'
READS_TEXT = "this model reads text too: give --text to see which words and patches answer one another"


def load_public(
    spec: str | Path,
) -> (
    Task
    | PublicDetectTask
    | PublicSegmentTask
    | PublicGenerateTask
    | PublicFilmTask
    | VideoClassifyTask
    | PublicVisionTask
):
    """A model that `saccade train` did not write, as for `load`."""
    if is_exported(spec):
        return open_exported(Path(spec))
    if is_pipeline(spec):
        return load_public_generator(spec)
    _check_name(str(spec))
    source = open_checkpoint(spec)
    if is_segmenter(source):  # first, as a panoptic DETR is a DETR too
        return PublicSegmentTask(load_segmenter(source))
    if is_detector(source):
        return PublicDetectTask(load_detector(source))
    if is_video_classifier(source):
        return VideoClassifyTask(load_video_classifier(source))
    try:
        loaded = load_checkpoint(source)
    except CheckpointError as error:
        if is_vision_model(source):
            task = PublicVisionTask(_vision_model(source))
            task.notes += (
                [READS_TEXT] if is_text_image_model(source) else [ASK] if is_vision_language_model(source) else []
            )
            return task
        if is_timm_model(source):
            return PublicVisionTask(load_timm_model(source))
        if not is_text_image_model(source):
            raise
        raise CheckpointError(
            f"{source.name} matches text with pictures, and its picture tower alone cannot be read here: "
            "predict --text WORDS ranks texts, and look --text WORDS shows which words and patches answer one another"
        ) from error
    if is_text_image_model(source):
        loaded.notes.append(READS_TEXT)
    if not isinstance(loaded.model, Classifier):
        return Task(loaded.model, loaded.preprocess, loaded.name, loaded.notes)
    classes = loaded.model.config.classes
    notes = list(loaded.notes)
    if loaded.labels is None:
        notes.append(f"the checkpoint does not name its {classes} classes: they are numbered from 0")
    labels = loaded.labels or [f"class {i}" for i in range(classes)]
    return ClassifyTask(loaded.model, loaded.preprocess, loaded.name, notes, labels=labels)


def load_match_task(spec: str | Path) -> MatchTask | PublicMatchTask:
    """A model that matches text with pictures, ready for `predict` with texts. spec: as for `load`, which gives the
    picture tower of a public matcher alone.

    Raises CheckpointError, in one line, for one that reads no text, and as `load` and `load_matcher` do."""
    name = str(spec)
    if (own := find_trained_model(name)) is not None:
        if read_model_kind(own[0]) == MatchTask.kind:
            return MatchTask.open(*own)
    elif is_exported(spec):
        if isinstance(task := open_exported(Path(spec)), MatchTask):
            return task
    else:
        _check_name(name)
        return PublicMatchTask(load_matcher(spec))
    raise CheckpointError(
        f"{spec} does not match texts with pictures: a model that matches text with pictures is needed, such as "
        "hf:openai/clip-vit-base-patch32, or the bundled matcher for drawn scenes"
    )


def _vision_model(source: OpenedCheckpoint) -> VisionModel:
    """As `load_vision_model`, whose error tells of --ask where that would do."""
    try:
        return load_vision_model(source)
    except CheckpointError as error:
        if not is_vision_language_model(source):
            raise
        raise CheckpointError(f"{source.name}: {ASK}") from error


def load_vlm(spec: str | Path) -> "PublicAskTask":
    """A model of transformers that writes about pictures, ready for `ask`. spec: "hf:owner/name" or a folder.

    Raises CheckpointError, in one line, for one that does not write, and as `load_vision_language` does."""
    name = str(spec)
    if find_trained_model(name) is not None or is_pipeline(spec):
        raise CheckpointError(
            f"{spec} writes no answers: --ask is for models of transformers that write about pictures, such as "
            "hf:HuggingFaceTB/SmolVLM-256M-Instruct"
        )
    _check_name(name)
    from saccade.tasks.ask.task import PublicAskTask  # and the lens, which other tasks start without

    return PublicAskTask(load_vision_language(open_checkpoint(spec, tokenizer=True)))


def load_generator(spec: str | Path) -> GenerateTask | PublicGenerateTask | PublicFilmTask:
    """A model that paints pictures or films from text. spec: the name of a bundled model, a folder that training wrote,
    or a pipeline of diffusers: "diffusers:FOLDER", "hf:owner/name", a folder with model_index.json.

    Raises CheckpointError, in one line, for a model of another task, and as `load` and `load_pipeline` do."""
    if is_pipeline(spec) or str(spec).startswith("hf:"):
        return load_public_generator(spec)
    own = find_trained_model(str(spec))
    if own is not None and read_model_kind(own[0]) == GenerateTask.kind:
        return GenerateTask.open(*own)
    kind = getattr(open_trained_model(*own) if own is not None else load_public(spec), "kind", "picture")
    raise CheckpointError(
        f"{spec} paints no pictures: it is a {kind} model, and a generator is needed, such as painter or a run of "
        "saccade train generate"
    )


def load_public_generator(spec: str | Path) -> PublicGenerateTask | PublicFilmTask:
    """A pipeline of diffusers. Raises CheckpointError as `load_pipeline` does."""
    public = load_pipeline(spec)
    return PublicGenerateTask(public) if film_pipeline_spec(public.pipeline) is None else PublicFilmTask(public)


def is_public_matcher(spec: str | Path) -> bool:
    """Whether the model, as for `load`, is a public one that matches text with pictures, so that `load_match_task`
    reads it with both towers. Raises CheckpointError if there is no such model."""
    name = str(spec)
    if find_trained_model(name) is not None or is_exported(spec):
        return False
    _check_name(name)
    return is_text_image_model(open_checkpoint(spec))


def _check_name(name: str) -> None:
    """Raises CheckpointError for a name that can only be a bundled model's, and there is none."""
    if not Path(name).exists() and ":" not in name and "/" not in name:
        raise CheckpointError(
            f"there is no model {name!r}: bundled are {', '.join(bundled()) or 'none'}; else give hf:owner/name, "
            "timm:name, a folder or a safetensors file"
        )
