"""The nearest pictures of a text without comparing it with all of them, for folders of millions.

A graph of near neighbours (HNSW, Malkov & Yashunin 2018) by the library usearch, in a file beside the index; it is made
anew when the pictures have changed. It may miss some of the nearest; what it finds is scored exactly.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float, Int64
from torch import Tensor, from_numpy

from saccade.data.files import escape
from saccade.errors import DataError, SaccadeError, in_one_line, install_hint
from saccade.tasks.match.index import PictureIndex

WIDER = 16  # candidates that a search of the graph keeps, for each one that is wanted


@dataclass(frozen=True)
class NeighbourGraph:
    """A graph over the vectors of an index, which are numbered in its order."""

    graph: Any

    @classmethod
    def open_or_build(cls, index: PictureIndex, file: Path) -> "NeighbourGraph":
        """The graph of an index, from the file beside the index's `file` if it is of the same pictures, else built and
        written there. Raises SaccadeError where usearch is not installed, DataError where the file cannot be written.
        """
        library = import_usearch()
        place = graph_file(index, file)
        if place.exists():
            try:
                opened = library.Index.restore(str(place), view=True)  # mapped into memory, not read
            except Exception as error:
                raise DataError(f"{escape(place)} is no graph of usearch ({in_one_line(error)}): delete it") from error
            if opened is not None and len(opened) == len(index):
                return cls(opened)
        return cls(_build(library, index, place, file.stem))

    def nearest(self, vector: Float[Tensor, "d"], count: int) -> Int64[Tensor, "k"]:
        """Numbers of about the `count` vectors with the largest product with this one, nearest first."""
        self.graph.expansion_search = WIDER * count
        keys = self.graph.search(vector.float().cpu().numpy(), count).keys
        return from_numpy(keys.astype("int64"))


def graph_file(index: PictureIndex, file: Path) -> Path:
    """Where the graph is kept: the name of the index's file, and a digest of its model and pictures."""
    digest = hashlib.sha256(f"{index.model}\n".encode())
    for entry in index.entries:
        digest.update(f"{entry.path}\n{entry.size} {entry.modified}\n".encode(errors="surrogateescape"))
    return file.with_name(f"{file.stem}.{digest.hexdigest()[:16]}.usearch")


def import_usearch() -> Any:
    """The module `import_usearch.index`. Raises SaccadeError that says how to install it."""
    try:
        from usearch import index
    except Exception as error:  # incompatible builds raise other errors than ImportError
        why = "is not installed" if isinstance(error, ModuleNotFoundError) else f"fails ({in_one_line(error)})"
        raise SaccadeError(f"--approximate searches with usearch, which {why}: {install_hint('search')}") from error
    return index


def _build(library: Any, index: PictureIndex, place: Path, stem: str) -> Any:
    """The graph, written to `place`; those of earlier pictures, whose names begin with `stem` too, are deleted."""
    graph = library.Index(ndim=index.vectors.shape[1], metric="ip", dtype="f32")  # bf16 unless it is told otherwise
    graph.add(None, index.vectors.numpy())
    unfinished = place.with_suffix(".part")
    try:
        graph.save(str(unfinished))
        for old in place.parent.iterdir():
            if re.fullmatch(rf"{re.escape(stem)}\.[0-9a-f]{{16}}\.usearch", old.name):
                old.unlink()
        unfinished.replace(place)
    except Exception as error:  # usearch raises RuntimeError where a file cannot be written
        unfinished.unlink(missing_ok=True)
        raise DataError(f"{escape(place)} cannot be written: {in_one_line(error)}") from error
    return graph
