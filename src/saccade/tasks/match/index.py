"""Vectors of picture files, kept in a file between searches and brought up to date when the pictures change.

The file is safetensors: `vectors` (n d) in float32, and `entries`, the bytes of a JSON list of [path, size, modified],
one a vector. Its metadata name the model. It is replaced as a whole, so that vectors and paths always belong together.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from jaxtyping import Float, Int64
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from saccade.data import output
from saccade.data.files import escape
from saccade.errors import DataError

FORMAT = "saccade picture index 1"


class FileEntry(NamedTuple):
    """A picture file. path: relative to the searched folder, with "/". size: in bytes. modified: in nanoseconds."""

    path: str
    size: int
    modified: int


@dataclass(frozen=True)
class PictureIndex:
    """Vectors of pictures, by one model.

    model: its `fingerprint`. vectors: of length 1, one for each of the entries.
    """

    model: str
    entries: tuple[FileEntry, ...]
    vectors: Float[Tensor, "n d"]

    def __len__(self) -> int:
        return len(self.entries)

    @classmethod
    def empty(cls, model: str) -> Self:
        """An index of no pictures."""
        return cls(model, (), torch.zeros(0, 0))

    @classmethod
    def open(cls, file: Path) -> Self:
        """Read what `save` wrote. Raises DataError for any other file."""
        try:
            with safe_open(file, "pt") as opened:
                metadata = opened.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise ValueError("it has another format")
                vectors = opened.get_tensor("vectors")
                rows = json.loads(opened.get_tensor("entries").numpy().tobytes())
            entries = tuple(FileEntry(str(path), int(size), int(modified)) for path, size, modified in rows)
            if vectors.dtype != torch.float32 or vectors.ndim != 2 or len(vectors) != len(entries):
                raise ValueError(f"it holds {len(entries)} paths and vectors of shape {tuple(vectors.shape)}")
            return cls(metadata["model"], entries, vectors)
        except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
            raise DataError(
                f"{escape(file)} is no index of pictures ({escape(error)}): delete it or choose another file"
            ) from error

    def save(self, file: Path) -> None:
        """Write the index, replacing the file only once everything is written. Raises DataError where it cannot."""
        paths = json.dumps(self.entries).encode()  # ASCII: paths may hold undecodable bytes
        tensors = {
            "vectors": self.vectors.float().cpu().contiguous(),
            "entries": torch.frombuffer(bytearray(paths), dtype=torch.uint8),
        }
        output.write_file(file, save(tensors, {"format": FORMAT, "model": self.model}))

    def select_indexed(self, entries: Iterable[FileEntry]) -> "PictureIndex":
        """Those of the entries that are indexed, in the order given. A file of another size or time is not."""
        place = {entry: i for i, entry in enumerate(self.entries)}
        return self.take(torch.tensor([place[entry] for entry in entries if entry in place], dtype=torch.int64))

    def take(self, places: Int64[Tensor, "k"]) -> "PictureIndex":
        """Those at some places, in the order given."""
        return PictureIndex(self.model, tuple(self.entries[i] for i in places.tolist()), self.vectors[places])

    def extend(self, entries: Sequence[FileEntry], vectors: Float[Tensor, "k d"]) -> "PictureIndex":
        """With the vectors of more pictures."""
        if not entries:
            return self
        vectors = vectors.float().cpu()
        joined = torch.cat([self.vectors, vectors]) if len(self) else vectors
        return PictureIndex(self.model, (*self.entries, *entries), joined)

    def missing(self, entries: Iterable[FileEntry]) -> list[FileEntry]:
        """The entries that are not indexed, in order."""
        known = set(self.entries)
        return [entry for entry in entries if entry not in known]


def entries_of(folder: Path, files: Iterable[Path]) -> list[FileEntry]:
    """The entries of files of a folder; those that have vanished are left out."""
    entries = []
    for file in files:
        try:
            found = file.stat()
        except OSError:
            continue
        entries.append(FileEntry(file.relative_to(folder).as_posix(), found.st_size, found.st_mtime_ns))
    return entries


def fingerprint(task: Any) -> str:
    """The SHA-256 of everything that a vector of a picture depends on: weights, configuration and preprocessing. Of an
    exported model that of the model that it was exported from."""
    if (known := getattr(task.model, "fingerprint", None)) is not None:
        return known
    digest = hashlib.sha256(f"{getattr(task.model, 'config', '')}\n{task.preprocess}\n".encode())
    for name, tensor in sorted(task.model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def default_index_file(model: str, folder: Path) -> Path:
    """Where the index of a folder is kept: runs/search-MODEL/FOLDER-HASH.safetensors. model: any name of a model."""
    folder = folder.resolve()
    name = _plain(model.rstrip("/").rsplit("/", 1)[-1].rpartition(":")[2]) or "model"
    digest = hashlib.sha256(str(folder).encode(errors="surrogateescape")).hexdigest()[:8]
    return Path("runs", f"search-{name}", f"{_plain(folder.name) or 'folder'}-{digest}.safetensors")


def _plain(name: str) -> str:
    """A name of letters, digits, "-", "_" and "." that can be part of any file name."""
    return "".join(c if (c.isascii() and c.isalnum()) or c in "-_." else "-" for c in name)[:40].strip(".")
