"""`saccade predict`: results for pictures, and for videos frame by frame or as a whole."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from saccade.cli import console
from saccade.cli.console import DeviceName, Json, Precision
from saccade.cli.interrupt import import_torch
from saccade.cli.models import classifies_videos, load_with_head
from saccade.cli.results import ResultWriter
from saccade.cli.task_options import options_for_task, task_parameters, with_options
from saccade.data.files import escape, find_images, is_video
from saccade.errors import DataError, SaccadeError, UsageError
from saccade.language import set_label_translations
from saccade.options import OnError
from saccade.tasks.bundled_models import DEFAULT_CLASSIFIER

if TYPE_CHECKING:
    from saccade.data import Picture
    from saccade.tasks.artifacts import Frame

BATCH, VIDEO_BATCH = 16, 4  # pictures that a model takes at once, and that are decoded meanwhile; frames can be large
_OF_MODELS = (".safetensors", ".onnx", ".xml", ".pt2")
WAITING_BYTES = 1 << 27  # of decoded pictures that wait for the model, from which no other is decoded


@with_options(options=task_parameters("predict_options"))
def predict(
    pictures: Annotated[list[str], Parameter(negative=())],
    *,
    model: str = DEFAULT_CLASSIFIER,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    on_error: OnError = "skip",
    device: DeviceName = "auto",
    precision: Precision = "fp32",
    as_json: Json = False,
    as_csv: Annotated[bool, Parameter(name="--csv", negative=())] = False,
    options: dict[str, Any],
) -> None:
    """Run a model on pictures: files, folders, or patterns such as "holiday/*.jpg". Videos are processed frame by
    frame, or as a whole by a model that classifies videos.

    Examples:

        saccade predict photo.jpg

        saccade predict photos/ --csv --out labels.csv

        saccade predict slides/ --model runs/cells --draw found/

        saccade predict street.jpg --model runs/streets --masks masks/ --coco areas.json

        saccade predict drive.mp4 --model runs/streets --draw drawn/ --json --out drive.json

        saccade predict dance.mp4 --model hf:MCG-NJU/videomae-base-finetuned-kinetics

    Parameters
    ----------
    pictures
        Files, folders (with all pictures in them) or patterns. Videos (MP4, MOV, MKV, WebM, AVI and more) are given as
        files or by a pattern, and need the extra "film"; an animated GIF is a picture.
    model
        As for look, or an .onnx or .xml file that saccade export wrote.
    out
        File to write to instead of the terminal.
    on_error
        What to do with a picture that cannot be read: skip it, counted and named, or fail. Of a video that is damaged
        or cut short, skip uses the frames that there are, with a note.
    device
        Where to compute.
    precision
        auto: bf16 where the processor is measured to be faster in it, which changes the last digits.
    as_json
        A JSON list; for videos with the index and the time in seconds of every frame.
    as_csv
        A CSV table. Names and labels that spreadsheets would take for formulas begin with an apostrophe.
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other: choose one")
    closed: dict[str, str] | None = None if on_error == "fail" else {}
    notes: list[str] = []
    files = find_images(pictures, also=is_video, skipped=closed, notes=notes)
    _check_outputs(files, out, options)
    console.print_stderr_notes(notes)
    form: Literal["json", "csv", "text", "table"] = (
        "json" if as_json else "csv" if as_csv else "table" if out is None else "text"
    )
    import_torch()
    task, commands = load_with_head(model, set(options))
    set_label_translations(task)
    task_options = options_for_task(commands, "predict_options", options, model)
    from saccade.device import init_device

    writers = commands.writers(task, task_options, files)
    inputs: PictureInputs = (
        Clips(files, on_error, task.frames, model)
        if classifies_videos(task)
        else PictureInputs(files, on_error, keep_pictures=any(writer.draws for writer in writers))
    )
    inputs.skipped.update(closed or {})
    place = init_device(device, precision)
    task.model.to(place.device)
    with ResultWriter(commands, form, commands.about(task)) as results:
        with place.autocast_context(), ExitStack() as stack:
            for writer in writers:
                stack.enter_context(writer)
            for result in commands.predict(task, inputs, task_options, inputs.batch):
                frame = inputs.pending.popleft()
                for writer in writers:
                    writer.add(frame, result)
                results.add(frame, result)
            if not results.count:
                reason = next(iter(inputs.skipped.values()))
                raise SaccadeError(
                    f"none of {len(files)} {inputs.items} could be read: {reason}" if files[1:] else reason
                )
        for writer in writers:
            if writer.message:
                console.print_styled_line(console.stderr(), writer.message)
        results.finish(out)
    console.print_skipped(console.stderr(), inputs.skipped, inputs.items)


class PictureInputs:
    """The readable pictures of files, and the frames of videos among them, in order.

    Attributes:
        items: what the files are, in the plural.
        batch: pictures that the model takes at once. As many of the next ones are decoded while it computes.
        pending: frames whose result is not there yet.
        skipped: file that could not be read -> the reason.
    """

    def __init__(self, files: Sequence[Path], on_error: OnError, keep_pictures: bool) -> None:
        """keep_pictures: hold pictures in `pending`, to draw on them. Raises SaccadeError for videos without PyAV."""
        self.files, self.on_error, self.keep_pictures = files, on_error, keep_pictures
        videos = [is_video(file) for file in files]
        self.has_videos = any(videos)
        self.batch = VIDEO_BATCH if self.has_videos else BATCH
        if self.has_videos:
            from saccade.data.video import pyav

            pyav()
        self.items = " or ".join(["pictures"] * (not all(videos)) + ["videos"] * self.has_videos)
        self.skipped: dict[str, str] = {}
        self.pending: deque[Frame] = deque()

    def __iter__(self) -> "Iterator[Picture]":
        from tqdm.auto import tqdm

        from saccade.data.threads import read_ahead

        single_video = self.has_videos and len(self.files) == 1  # then the bar counts frames
        unit = "files" if self.has_videos else "pictures"
        with closing(read_ahead(self._read, self.files, self.batch, has_room=_has_room)) as reading:
            files = tqdm(self.files, unit=unit, delay=1, disable=single_video or None)
            for file, read in zip(files, reading, strict=True):
                try:
                    yield from self._items(file, read.result())
                except DataError as error:
                    if self.on_error == "fail":
                        raise
                    self.skipped[str(file)] = str(error)

    def _read(self, file: Path) -> Any:
        """A picture, in a thread; None for a video, which is decoded frame by frame."""
        from saccade.data.images import read_image

        return None if is_video(file) else read_image(file)

    def _items(self, file: Path, read: Any) -> "Iterator[Any]":
        if read is None:
            yield from self._frames(file)
        else:
            yield self._enqueue(read, file)

    def _frames(self, file: Path) -> "Iterator[Picture]":
        from tqdm.auto import tqdm

        from saccade.data.threads import in_background
        from saccade.data.video import VideoReader

        with VideoReader(file, self.on_error) as video, closing(in_background(video, self.batch)) as decoded:
            frames = tqdm(decoded, total=video.count, unit="frames", delay=1, disable=None)
            for i, (time, picture) in enumerate(frames):
                yield self._enqueue(picture, file, video, i, time)
        console.print_stderr_notes(video.notes)

    def _enqueue(self, picture: "Picture", file: Path, *position: Any) -> "Picture":
        from saccade.tasks.artifacts import Frame

        self.pending.append(Frame(file, picture if self.keep_pictures else None, *position))
        return picture


class Clips(PictureInputs):
    """The readable videos and animated pictures of files, each as one clip of `frames` frames, in order."""

    def __init__(self, files: Sequence[Path], on_error: OnError, frames: int, model: str) -> None:
        """Raises UsageError for pictures that do not move, SaccadeError for videos without PyAV."""
        from saccade.data.films.store import is_animated

        if (other := next((f for f in files if not is_video(f) and not is_animated(f)), None)) is not None:
            raise UsageError(
                f"{model} classifies whole videos of {frames} frames, and {escape(other)} is none: give MP4, MOV, MKV, "
                "WebM, AVI or another video file, or an animated GIF, WebP or PNG"
            )
        super().__init__(files, on_error, keep_pictures=False)
        self.frames, self.items = frames, "videos"

    def _read(self, file: Path) -> Any:
        from saccade.data.film_frames import read_clip

        return read_clip(file, self.frames, self.on_error)

    def _items(self, file: Path, read: Any) -> "Iterator[Any]":
        from saccade.tasks.artifacts import Frame

        self.pending.append(Frame(file, None))
        yield read
        console.print_stderr_notes(read.notes)


def _has_room(pictures: Sequence[Any]) -> bool:
    """Whether decoded pictures that wait for the model leave room for another one."""
    return sum(3 * each.image.width * each.image.height for each in pictures if hasattr(each, "image")) < WAITING_BYTES


def _check_outputs(files: Sequence[Path], out: Path | None, options: Mapping[str, Any]) -> None:
    """Raises before any work where the results cannot be written, or would replace files of a model."""
    for path in (out, *options.values()):
        if isinstance(path, Path) and path.is_file() and (path.name == "config.json" or path.suffix in _OF_MODELS):
            raise DataError(f"{escape(path)} is a file of a model; writing there would destroy it: choose another file")
    if out is None:
        return
    from saccade.data import output

    output.check_writable(out, files)
    for name, value in options.items():
        if isinstance(value, Path) and value.absolute() == out.absolute():
            raise UsageError(f"--{name.replace('_', '-')} and --out name the same file: choose another for one of them")
