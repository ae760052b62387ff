"""Public classifiers of videos as tasks: one answer for a whole video."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from saccade.checkpoints.video_classifiers import PublicVideoClassifier
from saccade.data.film_frames import Clip, read_clip
from saccade.tasks.base import PublicTask
from saccade.tasks.classify.result import Classification, build_classification
from saccade.tasks.classify.task import softmax


@dataclass(frozen=True)
class VideoClassification(Classification):
    """The most likely classes of one video.

    Attributes:
        frames: indices of the frames that were used, from 0.
        times: of these frames, in seconds since the start of the video.
    """

    frames: tuple[int, ...] = ()
    times: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "times": [round(time, 6) for time in self.times]}


class VideoClassifyTask(PublicTask):
    """A video classifier of transformers: `predict` on a video.

    Attributes:
        frames: how many frames the model takes.
        takes_films: that its input is a `Clip`, not a picture.
    """

    kind = "classify"
    takes_films = True

    def __init__(self, classifier: PublicVideoClassifier):
        super().__init__(classifier)
        self.classifier = classifier
        self.frames = classifier.num_frames

    def predict(self, source: Path | str | Clip, top: int = 5) -> VideoClassification:
        """The `top` most likely classes of a video: a path, or a clip of `frames` frames.

        Raises DataError for a video that cannot be read."""
        clip = source if isinstance(source, Clip) else read_clip(Path(source), self.frames)
        return next(iter(self.predict_all([clip], top)))

    def predict_all(self, clips: Iterable[Clip], top: int = 5, batch: int = 1) -> Iterator[VideoClassification]:
        """`predict` for many, one at a time, in order."""
        for clip in clips:
            logits = self.classifier.logits(self.classifier.preprocess(clip.pictures))
            yield self.to_classification(softmax(logits)[0].cpu(), clip, top)

    def to_classification(self, probabilities: Float[Tensor, "classes"], clip: Clip, top: int) -> VideoClassification:
        """The `top` most likely classes of one video, from the probabilities of all."""
        named = build_classification(clip.name, self.labels, probabilities, top, clip.notes)
        found = {field.name: getattr(named, field.name) for field in fields(named)}
        return VideoClassification(**found, frames=clip.indices, times=tuple(map(float, clip.times)))
