"""`saccade generate`: pictures painted from a text."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter, validators

from saccade.cli import console
from saccade.cli.console import DeviceName, Json, Precision
from saccade.cli.interrupt import import_library
from saccade.cli.models import print_notes
from saccade.errors import UsageError, printable

if TYPE_CHECKING:
    from saccade.device import Device
    from saccade.tasks.generate.result import GeneratedPicture
    from saccade.tasks.generate.settings import Settings
    from saccade.tasks.generate.task import GenerateTask

NAME = "generated"  # of files and folders that are not named


def generate(
    prompt: str | None = None,
    *,
    model: str = "painter",
    negative: str | None = None,
    steps: Annotated[int | None, Parameter(validator=validators.Number(gte=1, lte=1000))] = None,
    guidance: Annotated[float | None, Parameter(validator=validators.Number(gte=0, lte=100))] = None,
    guidance_interval: Annotated[tuple[float, float] | None, Parameter(negative=())] = None,
    sampler: Literal["euler", "heun", "mean-flow"] | None = None,
    seed: Annotated[int | None, Parameter(validator=validators.Number(gte=0))] = None,
    n: Annotated[int, Parameter(name="--n", validator=validators.Number(gte=1))] = 1,
    height: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None,
    width: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    grid: Path | None = None,
    like: Path | None = None,
    device: DeviceName = "auto",
    precision: Precision | None = None,
    as_json: Json = False,
) -> None:
    """Paint pictures from a text.

    The settings are written into each PNG, as the text that other tools read and write too, and --like paints a picture
    again from them.

    Examples:

        saccade generate "a red star left of a blue ring"

        saccade generate "a (red:1.5) star" --n 9 --seed 7 --out stars/ --grid stars.png

        saccade generate --like generated.png --steps 50

    Parameters
    ----------
    prompt
        What to paint. (red:1.5) gives words more weight, (red:0.5) less; (red) is 1.1, [red] is 1 / 1.1, and \\( is a
        plain bracket. A weight multiplies the attention to the word.
    model
        A generator: the name of a bundled one, or a folder (a run's too).
    negative
        What to move away from; it takes effect where --guidance is not 1.
    steps
        Steps from noise to picture; more are slower and more exact. Default: 25.
    guidance
        How closely to follow the prompt: 1 for no guidance, 0 to ignore it. Default: 3.
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
        In pixels, as width: multiples of the model's patch. Default: the size of its training.
    width
        As height.
    out
        PNG to write; with --n, a folder for 0.png, 1.png and so on. Default: generated.png, or the folder generated,
        with a number where there is one already.
    grid
        PNG for all pictures on one sheet.
    like
        PNG whose settings are used; options that are given beside it replace them.
    device
        Where to compute.
    precision
        fp32; bf16; or auto: bf16 where the processor computes in it, which is faster and changes the last digits.
        Default: fp32.
    as_json
        As JSON: the settings and the path of each picture.
    """
    if prompt is None and like is None:
        raise UsageError('no prompt was given: say what to paint, as in saccade generate "a red star"')
    if prompt is not None and not prompt.strip():
        raise UsageError('the prompt is empty: say what to paint, as in "a red star"')
    files = Files.named(out, grid, n, like)
    import_library()
    from saccade.device import join
    from saccade.tasks.generate.settings import Settings
    from saccade.tasks.generate.task import several
    from saccade.tasks.loading import load_generator

    base = None if like is None else Settings.read(like)
    task = load_generator(model)
    print_notes(task)
    place = join(device, precision or (base.precision if base else "fp32"))
    task.model.to(place.device)
    sampling = {"steps": steps, "guidance": guidance, "interval": guidance_interval, "sampler": sampler}
    others = {"prompt": prompt, "negative": negative, "seed": seed, "height": height, "width": width}
    settings = _settings(task, base, sampling, others, "bf16" if place.bf16 else "fp32")
    unknown = _print_assumptions(task, base, settings)
    try:
        for picture in _painted(task, several(settings, n), place):
            files.write(picture)
    except KeyboardInterrupt:
        _finish(files, n, unknown, as_json)
        raise
    _finish(files, n, unknown, as_json)


def _settings(
    task: "GenerateTask", base: "Settings | None", sampling: dict[str, Any], others: dict[str, Any], precision: str
) -> "Settings":
    """The settings of the first picture: those that are not None, then those of `base`, then the defaults. Raises
    SaccadeError where they are out of range."""
    from dataclasses import replace

    start: dict[str, Any] = {}
    if base is not None:
        height, width = base.size
        start = {"prompt": base.prompt, "negative": base.negative, "seed": base.seed, "height": height, "width": width}
    given = {name: value for name, value in sampling.items() if value is not None}
    options = start | {name: value for name, value in others.items() if value is not None}
    settings = task.settings(**options, sampling=replace(base.sampling if base else task.default_sampling, **given))
    return replace(settings, precision=precision, layout=base.layout if base else None)


def _print_assumptions(task: "GenerateTask", base: "Settings | None", settings: "Settings") -> list[str]:
    """Print what the user should know before pictures are painted. Returns the words that the model has never seen."""
    stderr = console.stderr()
    if base is not None and base.digest != task.digest:
        of = f"the model {base.model or 'that is not named'}, {base.digest or 'without a hash'}"
        console.note(stderr, f"the settings are of {of}; {task.name}, {task.digest}, paints another picture from them")
    unknown = task.unknown_words(f"{settings.prompt} {settings.negative}")
    if unknown:
        words = ", ".join(f'"{word}"' for word in unknown)
        console.note(stderr, f"{task.name} was trained without {words}: expect no more than a guess")
    return unknown


def _painted(task: "GenerateTask", settings: "Sequence[Settings]", place: "Device") -> "Iterator[GeneratedPicture]":
    """The pictures, with a progress bar of the steps."""
    from tqdm.auto import tqdm

    from saccade.tasks.generate.prompt_to_prompt import paint

    with tqdm(unit="steps", delay=1, disable=None, leave=False) as bar, place.precision():

        def report(done: int, steps: int) -> None:
            bar.total = steps
            bar.update(done - bar.n)

        yield from paint(task, settings, report)


@dataclass
class Files:
    """Where pictures go.

    Attributes:
        out: a PNG; if `folder`, the folder of several.
        grid: PNG for the sheet of all.
        pictures: path of each picture that is written, with the picture.
    """

    out: Path
    folder: bool
    grid: Path | None = None
    pictures: "list[tuple[Path, GeneratedPicture]]" = field(default_factory=list)

    @classmethod
    def named(cls, out: Path | None, grid: Path | None, n: int, like: Path | None) -> "Files":
        """Checked before the work starts. Raises DataError where they cannot be written, or would replace `like`."""
        from saccade.data import output
        from saccade.data.files import check_file

        inputs = [] if like is None else [check_file(like)]
        files = cls(_free(n > 1) if out is None else out, n > 1, grid)
        if files.folder:
            _check_folder(files.out, n, inputs)
        for option, file in (("--out", None if files.folder else files.out), ("--grid", grid)):
            if file is not None and file.suffix.lower() != ".png":
                raise UsageError(f"{option} {printable(file)}: pictures are PNGs: give a name that ends in .png")
            if file is not None:
                output.check_writable(file, inputs)
        if grid is not None and grid.absolute() in {files.path(i).absolute() for i in range(n)}:
            raise UsageError("--grid and --out name the same file: choose another for one of them")
        return files

    def path(self, i: int) -> Path:
        """Of picture i."""
        return self.out / f"{i}.png" if self.folder else self.out

    def write(self, picture: "GeneratedPicture") -> None:
        """Write the next picture. Raises DataError where it cannot be written."""
        if self.folder and not self.pictures:
            _make(self.out)
        path = self.path(len(self.pictures))
        picture.save(path)
        self.pictures.append((path, picture))

    def write_grid(self) -> None:
        """Write the sheet, if one is wanted. Raises DataError where it cannot be written."""
        if self.grid is None:
            return
        from saccade.data import output
        from saccade.tasks.generate.sheet import LARGEST, contact_sheet

        if len(self.pictures) > LARGEST:
            console.note(console.stderr(), f"{self.grid} shows the first {LARGEST} of {len(self.pictures)} pictures")
        content = io.BytesIO()
        contact_sheet([picture.image for _, picture in self.pictures]).save(content, "PNG")
        output.write_file(self.grid, content.getvalue())


def _free(folder: bool) -> Path:
    """generated.png or generated, or the first with a number that is not there."""
    suffix = "" if folder else ".png"
    number = 1
    path = Path(f"{NAME}{suffix}")
    while path.exists() or path.is_symlink():
        path, number = Path(f"{NAME}-{number}{suffix}"), number + 1
    return path


def _check_folder(out: Path, n: int, inputs: Sequence[Path]) -> None:
    from saccade.data import output

    if out.suffix.lower() == ".png" or (out.exists() and not out.is_dir()):
        raise UsageError(f"--out {printable(out)}: with --n {n} a folder is expected, for 0.png, 1.png and so on")
    if not out.is_dir():
        output.check_writable(out)
    for i in range(n):
        if inputs and (out / f"{i}.png").exists():
            output.check_writable(out / f"{i}.png", inputs)


def _make(folder: Path) -> None:
    from saccade.data import output

    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise output.write_error(folder, error) from error


def _finish(files: Files, n: int, unknown: list[str], as_json: bool) -> None:
    """Write the sheet, and print what was painted, if anything was."""
    if files.pictures:
        files.write_grid()
        _print(files, n, unknown, as_json)


def _print(files: Files, n: int, unknown: list[str], as_json: bool) -> None:
    pictures = [{"path": str(path), **picture.to_dict()} for path, picture in files.pictures]
    if as_json:
        grid = None if files.grid is None else str(files.grid)
        print(json.dumps({"pictures": pictures, "grid": grid, "unknown_words": unknown}, ensure_ascii=False))
        return
    stdout, (path, first) = console.stdout(), files.pictures[0]
    if n == 1:
        console.line(stdout, (str(path), "bold"), f": {first}")
    else:
        count = f"{len(pictures)} pictures" if len(pictures) == n else f"{len(pictures)} of {n} pictures"
        console.line(stdout, (str(files.out), "bold"), f": {count}, the first {first}")
    if files.grid is not None:
        console.line(stdout, "The sheet: ", (str(files.grid), "bold"))
