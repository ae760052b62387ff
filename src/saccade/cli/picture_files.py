"""Where `saccade generate` writes pictures, and what it prints of them."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from saccade.cli import console
from saccade.cli.film_options import SUFFIXES
from saccade.errors import UsageError, printable

if TYPE_CHECKING:
    from saccade.tasks.generate.result import GeneratedFilm, GeneratedPicture
    from saccade.tasks.generate.settings import Settings

NAME = "generated"  # of files and folders that are not named
FILM = ".mp4"  # suffix of films that are not named


@dataclass
class OutputFiles:
    """Where pictures go.

    Attributes:
        out: a PNG; if `folder`, the folder of several.
        grid: PNG for the sheet of all.
        page: HTML page on the only picture.
        film: whether they are films: MP4s, or by the suffix of the only one.
        pictures: path of each picture that is written, with the picture.
    """

    out: Path
    folder: bool
    grid: Path | None = None
    page: Path | None = None
    film: bool = False
    pictures: "list[tuple[Path, GeneratedPicture | GeneratedFilm]]" = field(default_factory=list)

    @classmethod
    def from_options(
        cls,
        out: Path | None,
        grid: Path | None,
        n: int,
        inputs: Sequence[Path],
        page: Path | None = None,
        film: bool = False,
    ) -> "OutputFiles":
        """Checked before the work starts. Raises DataError where they cannot be written, or would replace an input."""
        from saccade.data import output
        from saccade.data.files import check_file

        inputs = [file if film and file.is_dir() else check_file(file) for file in inputs]
        files = cls(_free(n > 1, film) if out is None else out, n > 1, grid, page, film)
        if film and (files.folder or files.out.suffix.lower() == FILM):
            from saccade.data.video import pyav

            pyav()  # before the work starts
        if files.folder:
            _check_folder(files, n, inputs)
        elif film:
            from saccade.data.film_files import check_film_name

            check_film_name(files.out)
            if files.out.suffix:
                output.check_writable(files.out, inputs)
        for option, file in (("--out", None if files.folder or film else files.out), ("--grid", grid)):
            if file is not None and file.suffix.lower() != ".png":
                raise UsageError(f"{option} {printable(file)}: pictures are PNGs: give a name that ends in .png")
            made_later = files.folder and file is not None and file.parent == files.out and not files.out.exists()
            if file is not None and not made_later:
                output.check_writable(file, inputs)
        if page is not None:
            console.check_html_path("--look", page, inputs)
        if grid is not None and grid.absolute() in {files.path(i).absolute() for i in range(n)}:
            raise UsageError("--grid and --out name the same file: choose another for one of them")
        return files

    def check_rate(self, settings: "Settings") -> None:
        """Raises UsageError where the format of a film does not allow as many frames a second."""
        from saccade.data.film_files import check_film_name
        from saccade.tasks.generate.film_settings import exact_frame_rate

        if settings.film is not None and not self.folder:
            check_film_name(self.out, exact_frame_rate(settings.film.fps))

    def path(self, i: int) -> Path:
        """Of picture i."""
        return self.out / f"{i}{self.suffix}" if self.folder else self.out

    @property
    def suffix(self) -> str:
        """Of the files in a folder."""
        return FILM if self.film else ".png"

    def write(self, picture: "GeneratedPicture | GeneratedFilm") -> None:
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
            console.print_note(
                console.stderr(), f"{self.grid} shows the first {LARGEST} of {len(self.pictures)} pictures"
            )
        content = io.BytesIO()
        contact_sheet([picture.image for _, picture in self.pictures]).save(content, "PNG")  # type: ignore[union-attr]
        output.write_file(self.grid, content.getvalue())


def print_generated(files: OutputFiles, n: int, unknown: list[str], as_json: bool) -> None:
    """Write the sheet, and print what was painted, if anything was."""
    if files.pictures:
        files.write_grid()
        _print(files, n, unknown, as_json)


def _print(files: OutputFiles, n: int, unknown: list[str], as_json: bool) -> None:
    pictures = [{"path": str(path), **picture.to_dict()} for path, picture in files.pictures]
    if as_json:
        grid = None if files.grid is None else str(files.grid)
        page = None if files.page is None else str(files.page)
        content = {"pictures": pictures, "grid": grid, "page": page, "unknown_words": unknown}
        print(json.dumps(content, ensure_ascii=False))
        return
    stdout, (path, first) = console.stdout(), files.pictures[0]
    if n == 1:
        console.print_styled_line(stdout, (str(path), "bold"), f": {first}")
    else:
        kind = "films" if files.film else "pictures"
        count = f"{len(pictures)} {kind}" if len(pictures) == n else f"{len(pictures)} of {n} {kind}"
        console.print_styled_line(stdout, (str(files.out), "bold"), f": {count}, the first {first}")
    if files.grid is not None:
        console.print_styled_line(stdout, "The sheet: ", (str(files.grid), "bold"))
    if files.page is not None:
        console.print_styled_line(
            stdout, "The page: ", (str(files.page), "bold"), ". Open it in a browser and click a word."
        )


def _free(folder: bool, film: bool) -> Path:
    """generated.png, generated.mp4 or generated, or the first with a number that is not there."""
    suffix = "" if folder else FILM if film else ".png"
    number = 1
    path = Path(f"{NAME}{suffix}")
    while path.exists() or path.is_symlink():
        path, number = Path(f"{NAME}-{number}{suffix}"), number + 1
    return path


def _check_folder(files: OutputFiles, n: int, inputs: Sequence[Path]) -> None:
    from saccade.data import output

    out, suffix = files.out, files.suffix
    if out.suffix.lower() in (".png", *SUFFIXES) or (out.exists() and not out.is_dir()):
        raise UsageError(
            f"--out {printable(out)}: with --n {n} a folder is expected, for 0{suffix}, 1{suffix} and so on"
        )
    if not out.is_dir():
        output.check_writable(out)
    for i in range(n):
        if inputs and files.path(i).exists():
            output.check_writable(files.path(i), inputs)


def _make(folder: Path) -> None:
    from saccade.data import output

    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise output.make_write_error(folder, error) from error
