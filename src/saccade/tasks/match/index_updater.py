"""Bring the index of a folder up to date."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from saccade.data import read_image
from saccade.data.output import convert_os_errors
from saccade.errors import DataError
from saccade.options import OnError
from saccade.tasks.match.index import FileEntry, PictureIndex, entries_of, fingerprint
from saccade.tasks.match.search import BATCH, Searcher


@dataclass
class IndexUpdater:
    """One update of the index in `file`, of the pictures of a folder.

    Attributes:
        model: `fingerprint` of the task.
        stored: the index as it was found, empty if it is by another model.
        replaced: whether it is by another model.
        skipped: path of a picture that could not be read -> the reason.
    """

    task: Searcher
    file: Path
    folder: Path
    on_error: OnError = "skip"
    skipped: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises DataError for a file that is no index."""
        self.model = fingerprint(self.task)
        self.stored = PictureIndex.open(self.file) if self.file.exists() else PictureIndex.empty(self.model)
        self.replaced = self.stored.model != self.model
        if self.replaced:
            self.stored = PictureIndex.empty(self.model)

    def run(
        self, files: Sequence[Path], progress: Callable[[Sequence[FileEntry]], Iterable[FileEntry]] = iter
    ) -> PictureIndex:
        """The index of the files as they are now, which is saved if it has changed. What is encoded is saved too when
        the work is interrupted. progress: given the pictures to encode, passes them on one by one.

        Raises DataError for a picture that cannot be read if `on_error` is "fail", and where the index cannot be
        written.
        """
        entries = entries_of(self.folder, files)
        index = self.stored.select_indexed(entries)
        missing = iter(progress(index.missing(entries)))
        added, vectors = list[FileEntry](), list[Tensor]()
        try:
            while some := list(islice(missing, BATCH)):
                found, encoded = self._encode(some)
                added += found
                vectors += encoded
        finally:
            if added:
                index = index.extend(added, torch.cat(vectors)).select_indexed(entries)
            if self.replaced or index.entries != self.stored.entries:
                with convert_os_errors(self.file):
                    self.file.parent.mkdir(parents=True, exist_ok=True)
                index.save(self.file)
        return index

    def _encode(self, entries: Sequence[FileEntry]) -> tuple[list[FileEntry], list[Float[Tensor, "k d"]]]:
        """The entries that can be read, and their vectors."""
        found, pictures = list[FileEntry](), []
        for entry in entries:
            try:
                pictures.append(read_image(self.folder / entry.path))
                found.append(entry)
            except DataError as error:
                if self.on_error == "fail":
                    raise
                self.skipped[entry.path] = str(error)
        return found, [self.task.encode_pictures(pictures).vector.cpu()] if found else []
