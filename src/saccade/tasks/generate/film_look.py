"""A film with the attention of one of its windows: where each word acts in each frame, and what frames look at.

Of a window, the frames that are known come first among the sources of self-attention; they are no targets. Of the
frames that are painted, the first one of a film is a group of patches of its own, and then every two frames are one.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from torch import Tensor

from saccade.errors import SaccadeError
from saccade.lens import Trace, watch
from saccade.models.generator import Generator
from saccade.ops.frames import count_frame_groups, group_frames
from saccade.tasks.generate.film import KnownFrames, plan_windows
from saccade.tasks.generate.generate_films import frames_per_window, generate_films
from saccade.tasks.generate.image_to_image import SourceImages
from saccade.tasks.generate.look import GeneratorPass, PaintingTrace, check_trace_size, split_prompts
from saccade.tasks.generate.result import GeneratedFilm
from saccade.tasks.generate.sample import Callback
from saccade.tasks.generate.settings import Settings, require_film_settings
from saccade.tasks.generate.task import GenerateTask


@dataclass(frozen=True)
class FilmWindow:
    """The frames of one window, by their numbers in the film, from 0.

    Attributes:
        index, of: which window, from 0, of how many.
        history: known frames before those that are painted.
        painted: frames that are painted.
        kept: how many of these are part of the film: with an odd number, the last tube has one frame more.
        last: the known frame after them; None without one.
    """

    index: int
    of: int
    history: range
    painted: range
    kept: int
    last: int | None = None

    @property
    def known_groups(self) -> list[list[int]]:
        """Frames of each group of known patches, in the order of the sources: history, then the last frame."""
        return [*split_into_groups(self.history), *([] if self.last is None else [[self.last]])]

    @property
    def painted_groups(self) -> list[list[int]]:
        """Frames of the film in each group of painted patches: of the last tube, one may not be part of it."""
        stop = self.painted.start + self.kept
        return [[frame for frame in group if frame < stop] for group in split_into_groups(self.painted)]


@dataclass(frozen=True)
class GeneratedFilmTrace(PaintingTrace):
    """A film that was painted under watch, with the attention of some steps of one window.

    Attributes:
        film: whole.
        window: the frames that the evaluations are of.
    """

    film: GeneratedFilm
    window: FilmWindow


def split_into_groups(frames: Sequence[int]) -> list[list[int]]:
    """Frames as groups (`saccade.ops.frames`)."""
    return [[frames[i] for i in group] for group in group_frames(len(frames))]


def film_windows(task: GenerateTask, settings: Settings, known: KnownFrames) -> list[FilmWindow]:
    """The windows that a film is painted in."""
    has_last, found, there = known.last is not None, list[FilmWindow](), len(known.before)
    film = require_film_settings(settings)
    plan = plan_windows(film, there, has_last, frames_per_window(task))
    for i, window in enumerate(plan):
        history, painted = range(there - window.history, there), range(there, there + window.frames)
        last = film.frames - 1 if has_last else None
        found.append(FilmWindow(i, len(plan), history, painted, window.kept, last))
        there += window.kept
    return found


def trace_generated_film(
    task: GenerateTask,
    settings: Settings,
    known: KnownFrames | None = None,
    window: int = -1,
    steps: Sequence[int] | None = None,
    callback: Callback | None = None,
    originals: SourceImages | None = None,
) -> GeneratedFilmTrace:
    """Paint a film, the same as `task.generate_films`, and keep queries and keys of some steps of one of its windows.

    window: which one, the last by default. steps: of the sampler, from 0; by default the first, the middle and the last
    one.

    Raises SaccadeError for windows and steps that there are not, where these take more than 2 GB, and as
    `task.generate_films` does."""
    known, originals, count = known or KnownFrames(), originals or SourceImages(), settings.sampling.steps
    windows = film_windows(task, settings, known)
    if not -len(windows) <= window < len(windows):
        raise SaccadeError(f"window {window}: the film is painted in {len(windows)}, 0 to {len(windows) - 1}")
    chosen = windows[window]
    steps = sorted({0, count // 2, count - 1} if steps is None else set(steps))
    if wrong := [step for step in steps if not 0 <= step < count]:
        raise SaccadeError(f"step {wrong[0]}: the generation has {count}, 0 to {count - 1}")
    patch, depth = task.model.config.patch, task.model.config.depth
    grid = (count_frame_groups(len(chosen.painted)), settings.size[0] // patch, settings.size[1] // patch)
    groups = grid[0] + len(chosen.known_groups)
    check_trace_size(task, len(steps), len(steps), groups * grid[1] * grid[2])
    given = task.pictures(settings, originals.select_for(settings))
    sources = task.encode([settings], given)
    recorder = _Recorder(
        task.model, {chosen.index * _evaluations(settings) + _begin(settings, step): step for step in steps}
    )
    with recorder.stack:
        recorder.prepare()
        [film] = generate_films(task, [settings], known, originals, callback, recorder.observe, sources)
    texts, terms = split_prompts(task, settings), settings.sampling.guidance_terms(tuple(given))
    of = settings, *texts, terms, sources.spans, given, patch, grid, depth
    return GeneratedFilmTrace(*of, recorder.found, film, chosen)


@dataclass
class _Recorder:
    """Watches a generator in some of its evaluations. wanted: their numbers, from 0, and the step of each."""

    model: Generator
    wanted: dict[int, int]
    stack: ExitStack = field(default_factory=ExitStack)
    found: list[GeneratorPass] = field(default_factory=list)
    done: int = 0
    trace: Trace | None = None

    def prepare(self) -> None:
        """Watch the next evaluation, if it is wanted."""
        if self.done in self.wanted:
            self.trace = self.stack.enter_context(watch(self.model, only="blocks.*"))

    def observe(self, t: float, prediction: Tensor) -> None:
        """After each evaluation."""
        if self.trace is not None:
            calls = self.trace[-2 * self.model.config.depth :]  # those before encode the known frames
            self.found.append(GeneratorPass(self.wanted[self.done], t, prediction[0].float().cpu(), calls))
            self.stack.close()
            self.trace = None
        self.done += 1
        self.prepare()


def _evaluations(settings: Settings) -> int:
    """In each window."""
    steps = settings.sampling.steps
    return 2 * steps - 1 if settings.sampling.sampler == "heun" else steps


def _begin(settings: Settings, step: int) -> int:
    """The evaluation with which a step begins."""
    return 2 * step if settings.sampling.sampler == "heun" else step
