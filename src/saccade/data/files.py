"""Find picture files by paths, folders and globs, in natural order."""

import difflib
import glob
import json
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saccade.errors import DataError, in_one_line, printable, shorten_list

PICTURE_SUFFIX = re.compile(
    r"\.(jpe?g|jpe|jfif|mpo|a?png|webp|gif|bmp|dib|tiff?|p[pgbn]m|avif|hei[cf]|hif)$", re.IGNORECASE
)

VIDEO_SUFFIX = re.compile(
    r"\.(mp4|m4v|mov|qt|3gp|3g2|mkv|webm|avi|divx|mpe?g|m[12]v|vob|m?ts|m2ts|mxf|flv|f4v|wmv|asf|og[vm])$",
    re.IGNORECASE,
)

RUN_OPTIONS = 1 << 20  # bytes of a run's options at most


def find_images(
    sources: str | os.PathLike | Iterable[str | os.PathLike],
    also: Callable[[str], bool] | None = None,
    skipped: dict[str, str] | None = None,
    notes: list[str] | None = None,
) -> list[Path]:
    """Picture files given by paths, folders and globs, without repeats, in the order given.

    Folders are searched recursively and sorted naturally (`2.png` before `10.png`), without hidden files, and without
    the drawings in folders of runs. A file given by its path may have any suffix. also: further file names that globs
    match. skipped: folders that may not be entered are added, with the reason. notes: a line on folders of runs that
    were left out is added.

    Raises:
        DataError: a path that does not exist (a similar name is suggested), a folder without pictures (its contents are
            named), a glob that matches nothing; without `skipped`, a folder that may not be entered.
    """
    if isinstance(sources, (str, os.PathLike)):
        sources = [sources]
    found: dict[Path, None] = {}  # ordered and without repeats
    for source in sources:
        if not str(source).strip():
            raise DataError("an empty path was given; give files, folders or globs such as 'photos/*.jpg'")
        path = Path(source)
        if path.is_dir():
            found.update(dict.fromkeys(_pictures_in(path, skipped, [] if notes is None else notes)))
        elif path.exists() or not glob.has_magic(str(source)):
            found[check_file(path)] = None
        else:
            found.update(dict.fromkeys(_matching(str(source), also)))
    if not found:
        raise DataError("no pictures were named: give files, folders or globs such as 'photos/*.jpg'")
    return list(found)


def is_picture(name: str) -> bool:
    """Whether a file name has a picture's suffix and is not hidden (`.DS_Store`, macOS's `._x.jpg`)."""
    base = name.rsplit("/", 1)[-1]
    return not base.startswith(".") and PICTURE_SUFFIX.search(base) is not None


# first bytes of a file -> what it is
FOREIGN: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"version https://git-lfs"), "is a pointer of Git LFS, not the file itself: run git lfs pull"),
    (re.compile(rb"\S*[./]git/annex/objects/|/annex/objects/"), "is a pointer of git-annex: run git annex get"),
    (re.compile(rb"\s*<(!doctype html|html)", re.IGNORECASE), "is a web page, not a file of data: download it again"),
    (re.compile(rb"\s*(<\?xml[^>]*>\s*)?<Error>"), "is the error message of a server: download it again"),
    (re.compile(rb"\0{64}"), "begins with zeros only: it was copied or downloaded incompletely"),
)


def placeholder_kind(start: bytes) -> str:
    """What stands in place of a file that was never fetched, by its first bytes; "" if nothing is known."""
    return next((what for pattern, what in FOREIGN if pattern.match(start)), "")


def is_video(name: object) -> bool:
    """Whether a file name has a video's suffix. An animated GIF, PNG or WebP is a picture."""
    return VIDEO_SUFFIX.search(str(name)) is not None


def natural_key(name: object) -> tuple:
    """Sort key under which `2` comes before `10`, letters ignoring case."""
    parts = re.split(r"([0-9]+)", str(name))
    return tuple((0, int(p), "") if i % 2 else (1, 0, p.casefold()) for i, p in enumerate(parts)), str(name)


def escape(name: object) -> str:
    """A name in one line, safe to print on a terminal: unprintable characters escaped, long names shortened."""
    text = printable(name)
    return text if len(text) <= 300 else f"{text[:140]}…{text[-140:]}"


def check_file(path: Path) -> Path:
    """`path` itself if it is a regular file. Raises DataError otherwise."""
    try:
        if path.is_file():
            return path
        if path.is_dir():
            raise DataError(f"{escape(path)} is a folder; a picture file was expected")
        if path.exists():
            raise DataError(f"{escape(path)} is not a regular file; a picture file was expected")
        problem = missing_path_message(path)
    except (OSError, ValueError) as error:  # no permission, a null byte, a name too long
        if isinstance(error, DataError):
            raise
        problem = f"{escape(path)} cannot be opened ({_reason(error)})"
    raise DataError(problem)


@dataclass
class WalkReport:
    """What is to be said of a folder that was searched. outside: links that lead out of it. closed: folders that may
    not be entered, with the reason. runs: folders of training runs that were left out."""

    outside: list[str] = field(default_factory=list)
    closed: dict[str, str] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)

    def around_runs(self, names: Collection[str]) -> set[str]:
        """The folders around runs (`runs/`) that hold nothing else. names: of all other files and folders."""
        found = set[str]()
        for run in self.runs:
            folder = run.rpartition("/")[0]
            while folder and not any(name.startswith(f"{folder}/") and name not in found for name in names):
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return found

    @property
    def notes(self) -> list[str]:
        found = []
        if self.outside:
            names = shorten_list(map(escape, self.outside))
            found.append(f"{len(self.outside)} links lead out of the folder and were followed: {names}")
        if self.closed:
            names = shorten_list(f"{escape(name)} ({reason})" for name, reason in self.closed.items())
            found.append(f"{len(self.closed)} folders could not be entered and are left out: {names}")
        return [*found, *self.run_notes]

    @property
    def run_notes(self) -> list[str]:
        """Of folders of runs."""
        if not self.runs:
            return []
        what = f"{len(self.runs)} folders of runs" if len(self.runs) > 1 else "1 folder of a run"
        was, names = (
            "were" if len(self.runs) > 1 else "was",
            shorten_list(map(escape, sorted(self.runs, key=natural_key))),
        )
        return [f"{what} of Saccade inside the set {was} left out: {names}"]


def walk(folder: Path, walked: WalkReport | None = None, runs: bool = True) -> Iterator[tuple[str, list[str]]]:
    """(relative folder, file names) for a folder and its subfolders; links are followed, each folder once.

    Pipes, devices and sockets are skipped: reading them may block. Broken links are included, so that reading reports
    them. walked: what was met is added. runs: whether to enter folders of training runs below `folder`."""
    walked = WalkReport() if walked is None else walked
    top = os.path.realpath(folder)

    def closed(error: OSError) -> None:
        walked.closed[os.path.relpath(error.filename, folder)] = error.strerror or type(error).__name__

    seen = set()
    for here, folders, names in os.walk(folder, onerror=closed, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        if not runs and real != top and _is_run(here, names):
            walked.runs.append(os.path.relpath(here, folder))
            folders.clear()
            continue
        folders[:] = [f for f in folders if not is_hidden(f)]
        for name in (*folders, *names):
            target = os.path.realpath(path) if os.path.islink(path := f"{here}/{name}") else top
            if target != top and not target.startswith(f"{top.rstrip('/')}/"):
                walked.outside.append(f"{os.path.relpath(path, folder)} -> {target}")
        relative = os.path.relpath(here, folder).replace(os.sep, "/")
        yield ("" if relative == "." else relative), [name for name in names if not _is_special_file(f"{here}/{name}")]


def _is_run(folder: str, names: list[str]) -> bool:
    """Whether a folder is of a training run (`train/config.py`) or of scores (`val`), which hold drawings."""
    if {"scores.json", "pictures.csv"} <= set(names):
        return True
    if "config.json" not in names or not {"log.jsonl", ".lock"} & set(names):
        return False
    try:
        with open(f"{folder}/config.json", "rb") as file:
            options = json.loads(file.read(RUN_OPTIONS))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(options, dict) and all(isinstance(options.get(part), dict) for part in ("recipe", "source"))


def _is_special_file(path: str) -> bool:
    """Whether the path exists and is not a regular file."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def has_control_characters(name: str) -> bool:
    """Whether a name cannot be that of a class. Other unprintable characters (joiners, non-breaking spaces) are needed
    by scripts."""
    return any(unicodedata.category(c) in ("Cc", "Cs") for c in name)  # Cs: undecodable bytes


def is_hidden(folder: str) -> bool:
    """Whether a folder is hidden or left behind by a tool."""
    return folder.startswith(".") or folder == "__MACOSX"


def count_suffixes(names: Iterable[str]) -> str:
    """The suffixes among file names, most common first: `3 .txt, 1 .csv` or `nothing`."""
    counts = Counter(os.path.splitext(name)[1].lower() or "files without a suffix" for name in names)
    return ", ".join(f"{n} {escape(kind)}" for kind, n in counts.most_common(4)) or "nothing"


def _pictures_in(folder: Path, skipped: dict[str, str] | None, notes: list[str]) -> list[Path]:
    walked = WalkReport()
    files = [f"{at}/{name}" if at else name for at, names in walk(folder, walked, runs=False) for name in names]
    for name, reason in walked.closed.items():
        if skipped is None:
            raise DataError(f"{escape(folder / name)} could not be entered ({reason})")
        skipped[str(folder / name)] = f"{escape(folder / name)} could not be entered ({reason})"
    pictures = sorted((f for f in files if is_picture(f)), key=natural_key)
    if not pictures:
        left = "".join(f"; {note}" for note in walked.run_notes)
        raise DataError(f"{escape(folder)} holds no pictures (found: {count_suffixes(files)}{left})")
    notes += walked.run_notes
    return [folder / name for name in pictures]


def _matching(pattern: str, also: Callable[[str], bool] | None) -> list[Path]:
    names = sorted(glob.glob(pattern, recursive=True), key=natural_key)
    pictures = [Path(n) for n in names if (is_picture(n) or (also and also(n))) and os.path.isfile(n)]
    if not pictures:
        instead = f" among {len(names)} matches: {count_suffixes(names)}" if names else ""
        raise DataError(f"no picture matches '{escape(pattern)}'{instead}")
    return pictures


def missing_path_message(path: Path) -> str:
    """Message for a `path` that does not exist, with the most similar name in its folder."""
    text = str(path)
    if re.match(r"[a-z]+:/", text):
        return f"{escape(text)} is an address; download the picture and give its file"
    if re.match(r"scenes(:|$)", text):
        return (
            f"{escape(text)} stands for drawn scenes, which have objects, masks and captions: it is not a file, and is "
            "not used here"
        )
    folder = path.parent
    if not folder.is_dir():
        return f"{escape(path)} does not exist: there is no folder {escape(folder)}"
    if path.is_symlink():
        return f"{escape(path)} is a link to a file that does not exist"
    names = os.listdir(folder)
    near = difflib.get_close_matches(path.name, names, n=1)
    hint = f"; did you mean {escape(folder / near[0])}?" if near else ""
    return f"{escape(path)} does not exist{hint}"


def parse_json(data: str | bytes, display: str, **options: Any) -> Any:
    """What JSON holds. options: of `json.loads`. Raises DataError, with the name `display`, for anything else."""
    try:
        return json.loads(data, **options)
    except (ValueError, RecursionError) as error:  # ValueError includes encoding errors
        raise DataError(f"{display} is not valid JSON ({in_one_line(error)})") from error


def _reason(error: BaseException) -> str:
    return escape(getattr(error, "strerror", None) or error or type(error).__name__)
