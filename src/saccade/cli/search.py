"""`saccade search`: the pictures of a folder ranked for a text."""

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.table import Table

from saccade.cli import console
from saccade.cli.console import DeviceName, Json, int_range
from saccade.cli.interrupt import import_torch
from saccade.cli.models import print_notes
from saccade.errors import DataError, SaccadeError, UsageError, pluralize, printable
from saccade.options import OnError

if TYPE_CHECKING:
    from saccade.tasks.match.index import PictureIndex
    from saccade.tasks.match.index_updater import IndexUpdater
    from saccade.tasks.match.neighbour_graph import NeighbourGraph
    from saccade.tasks.match.search import Hit


def search(
    text: str,
    pictures: Path,
    *,
    model: str = "matcher",
    top: Annotated[int, int_range(1)] = 10,
    sheet: Path | None = None,
    index: Path | None = None,
    approximate: Annotated[bool, Parameter(negative=())] = False,
    on_error: OnError = "skip",
    device: DeviceName = "auto",
    as_json: Json = False,
) -> None:
    """Rank the pictures of a folder for a text.

    The model turns every picture into a vector once. The vectors are kept in an index, which later searches bring up to
    date: only pictures that are new or changed are read again. The text is compared with all of them, unless
    --approximate is given.

    Examples:

        saccade search "a red star" photos/

        saccade search "a dog on a beach" photos/ --model hf:openai/clip-vit-base-patch32 --sheet dogs.png

        saccade search "a red star left of a blue ring" scenes/ --model runs/words --top 50 --json

    Parameters
    ----------
    text
        What the pictures should show.
    pictures
        A folder; all pictures in it and in its folders are searched.
    model
        A model that matches text with pictures: a bundled one, hf:OWNER/NAME (CLIP, SigLIP and others), or a folder
        (a run's too).
    top
        How many pictures to list.
    sheet
        PNG to write the found pictures to, with their scores.
    index
        File to keep the index in. Default: runs/search-MODEL/FOLDER-HASH.safetensors. An index by another model is made
        anew.
    approximate
        Search a graph of near neighbours instead of comparing the text with every picture, for folders of many
        millions: it may miss some. Needs the extra "search". The graph is kept beside the index; making it
        takes several minutes per million pictures.
    on_error
        What to do with a picture that cannot be read: skip it, counted and named, or fail.
    device
        Where to compute, in fp32.
    as_json
        As JSON: text, model, number of pictures, and the hits with path, score and similarity.
    """
    files = _check(text, pictures, sheet, index)
    import_torch()
    from saccade.device import init_device
    from saccade.tasks.known_classes import synthetic_data_warning
    from saccade.tasks.match.index import default_index_file
    from saccade.tasks.match.index_updater import IndexUpdater
    from saccade.tasks.match.neighbour_graph import import_usearch
    from saccade.tasks.match.search import score_meaning
    from saccade.tasks.match.search import search as ranked
    from saccade.tasks.public_loading import load_match_task

    if approximate:
        import_usearch()  # raises where it is not installed
    task = load_match_task(model)
    print_notes(task)
    place = init_device(device, "fp32")
    task.encode_texts([text])  # raises before any picture is read
    update = IndexUpdater(task, default_index_file(model, pictures) if index is None else index, pictures, on_error)
    task.model.to(place.device)
    searched = _update(update, files)
    graph = _graph(searched, update.file) if approximate else None
    hits = ranked(task, searched, pictures, text, top, graph)
    if sheet is not None:
        _write_sheet(sheet, pictures, hits, text)
    if as_json:
        found = {"text": text, "model": task.name, "pictures": len(searched), "skipped": update.skipped}
        found |= {"score": score_meaning(task), "hits": [hit.to_dict() for hit in hits]}
        print(json.dumps(found, ensure_ascii=False))
    else:
        _print(hits, (score_meaning(task), synthetic_data_warning(task)), sheet)
    console.print_skipped(console.stderr(), update.skipped)


def _check(text: str, pictures: Path, sheet: Path | None, index: Path | None) -> list[Path]:
    """The picture files. Raises before anything heavy is imported where there is nothing to do."""
    from saccade.data import output
    from saccade.data.files import check_file, escape, find_images

    if not text.strip():
        raise UsageError('the text is empty: give the words to look for, such as "a red star"')
    if not os.path.exists(pictures) and os.path.exists(text):  # Path.exists raises for long names
        raise UsageError(f"{escape(pictures)} does not exist: the text comes first, then the folder of the pictures")
    if not pictures.is_dir():
        check_file(pictures)
        raise DataError(f"{printable(pictures)} is a file: give the folder of the pictures to search")
    notes: list[str] = []
    files = find_images(pictures, notes=notes)
    console.print_stderr_notes(notes)
    for out in (sheet, index):
        if out is not None:
            output.check_writable(out, files)
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise UsageError(f"--sheet {printable(sheet)}: the sheet is a PNG: give a name that ends in .png")
    if sheet is not None and index is not None and sheet.absolute() == index.absolute():
        raise UsageError("--sheet and --index name the same file: choose another for one of them")
    return files


def _update(update: "IndexUpdater", files: Sequence[Path]) -> "PictureIndex":
    """The index of the files. Raises SaccadeError where none can be read."""
    from tqdm.auto import tqdm

    if update.replaced:
        console.print_note(
            console.stderr(), f"{update.file} is by another model or another version of it: it is made anew"
        )
    index = update.run(files, lambda missing: tqdm(missing, unit="pictures", delay=1, disable=None))
    if not len(index):
        raise SaccadeError(
            f"none of {pluralize(len(files), 'picture')} could be read: {next(iter(update.skipped.values()))}"
        )
    return index


def _graph(index: "PictureIndex", file: Path) -> "NeighbourGraph":
    from saccade.tasks.match.neighbour_graph import NeighbourGraph

    with console.stderr().status("opening or making the graph"):
        return NeighbourGraph.open_or_build(index, file)


def _write_sheet(out: Path, folder: Path, hits: "Sequence[Hit]", text: str) -> None:
    from saccade.data import output
    from saccade.tasks.match.sheet import LARGEST, contact_sheet

    if len(hits) > LARGEST:
        console.print_note(console.stderr(), f"{out} shows the first {LARGEST} of {len(hits)} pictures")
    content = io.BytesIO()
    contact_sheet(folder, hits, text).save(content, "PNG")
    output.write_file(out, content.getvalue())


def _print(hits: "Sequence[Hit]", remarks: Sequence[str], sheet: Path | None) -> None:
    stdout = console.stdout()
    table = Table("", "picture", "score", "similarity")
    for i, hit in enumerate(hits, 1):
        table.add_row(str(i), printable(hit.path), f"{hit.score:.4f}", f"{hit.similarity:.4f}")
    stdout.print(table)
    for remark in filter(None, remarks):
        stdout.print(remark, style="dim", soft_wrap=True)
    if sheet is not None:
        console.print_styled_line(stdout, "The sheet: ", (str(sheet), "bold"))
