"""Finding and opening weight files: a folder, a file, or a name on the Hugging Face hub. Safetensors only."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from saccade.checkpoints.formats import CONFIGS, CONVERT, EXPECTED, PICKLES, TOKENIZER, WEIGHTS
from saccade.data.output import atomic_folder, make_folder
from saccade.data.tensor_files import write_tensors
from saccade.errors import CheckpointError, is_parser_error

# keys of a config that count these
LAYERS = re.compile(r"layers?$|depths?$|blocks?$|(?<!_per_)stages?$", re.IGNORECASE)
MOST_LAYERS, MOST_COUNT = 256, 1 << 20  # that any network may have, whatever its weights


class Weights(Mapping[str, Tensor]):
    """The tensors of one or more safetensors files by name, each read on access."""

    def __init__(self, files: list[Path]):
        self._files = {}
        for path in files:
            opened = _open(path)
            self._files.update(dict.fromkeys(opened.keys(), (path, opened)))

    def __getitem__(self, key: str) -> Tensor:
        path, opened = self._files[key]
        try:
            return opened.get_tensor(key)
        except BaseException as error:
            if not is_parser_error(error):
                raise
            raise _unreadable(path, error) from error

    def __contains__(self, key: object) -> bool:
        return key in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


@dataclass
class OpenedCheckpoint:
    """An opened checkpoint: its location, weights, and JSON files by name ({} if absent).

    tokenizer: existing files of TOKENIZER by name; read on demand, as they can be large.
    """

    name: str
    weights: Mapping[str, Tensor]
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokenizer: dict[str, Path] = field(default_factory=dict)

    def config(self, name: str = "config.json") -> dict[str, Any]:
        return self.configs.get(name, {})


def open_checkpoint(spec: str | Path, tokenizer: bool = False) -> OpenedCheckpoint:
    """spec: "hf:owner/name", "timm:name", a folder (also as "timm:folder") or a safetensors file. tokenizer: whether to
    fetch a tokenizer. Raises CheckpointError."""
    text = str(spec)
    if not text.strip():
        raise CheckpointError(f"the name of the checkpoint is empty; expected {EXPECTED}")
    hub, _, name = text.partition(":")
    if hub == "timm" and name and _expand_user(name).is_dir():
        path = _expand_user(name)
    elif hub in ("hf", "timm") and text != hub:
        from saccade.checkpoints.hub import fetch

        path = fetch(name if hub == "hf" else f"timm/{name}", tokenizer)
    else:
        path = _expand_user(spec)
    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except OSError as error:  # a name that is too long, a folder without permission
        raise CheckpointError(f"{text[:300]!r} cannot be opened ({error.strerror})") from error
    if not is_there:
        raise CheckpointError(f"{text}: no such file or folder; expected {EXPECTED}")
    files, folder = (_weight_files(path, text), path) if is_folder else ([_safe(path)], path.parent)
    configs = {name: read_json(folder / name) for name in CONFIGS if (folder / name).is_file()}
    weights = Weights(files)
    for name, config in configs.items():
        check_config_sizes(config, len(weights), sum(file.stat().st_size for file in files), str(folder / name))
    tokenizer_files = {name: folder / name for name in TOKENIZER if (folder / name).is_file()}
    return OpenedCheckpoint(text, weights, configs, tokenizer_files)


def check_config_sizes(config: Any, tensors: int, size: int, where: str) -> None:
    """Raises CheckpointError for a config of more layers than there are tensors, or of any number beyond the bytes of
    the weights: building such a network would take all memory, to find that its weights are missing.

    tensors, size: number of tensors, and bytes of their files. where: of the config, for messages."""
    left = [("", config)]
    while left:
        key, value = left.pop()
        if isinstance(value, Mapping):
            left += [(str(name), each) for name, each in value.items()]
        elif isinstance(value, list):
            left += [(key, each) for each in value]
        elif isinstance(value, int | float):
            most = max(tensors, MOST_LAYERS) if LAYERS.search(key) else max(size, MOST_COUNT)
            if value > most and not key.endswith(("_id", "_ids", "seed", "theta")):
                raise CheckpointError(f"{where}: {key} is {value:g}, for weights of {tensors} tensors: it is damaged")


def write_checkpoint(folder: str | Path, weights: dict[str, Tensor], configs: Mapping[str, dict[str, Any]]) -> None:
    """A folder that `open_checkpoint` opens. An open_clip config makes the weights carry open_clip's file name."""
    folder = _expand_user(folder)
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"{folder} is a file, expected a folder to write a checkpoint to")
    make_folder(folder.parent)
    name = "open_clip_model.safetensors" if "open_clip_config.json" in configs else "model.safetensors"
    with atomic_folder(folder, replace=True) as place:
        write_tensors(weights, place / name, metadata={"format": "pt"})
        for file, content in configs.items():
            (place / file).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _expand_user(path: str | Path) -> Path:
    """The path with ~ and ~name written out."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise CheckpointError(f"{path}: there is no such user; write the path in full") from error


def _weight_files(folder: Path, name: str) -> list[Path]:
    for candidate in WEIGHTS:
        path = folder / candidate
        if path.is_file():
            return _shards(path) if path.suffix == ".json" else [path]
    there = sorted(path for path in folder.iterdir() if path.is_file())
    safe = [path for path in there if path.suffix == ".safetensors"]
    if len(safe) == 1:
        return safe
    if safe:
        names = ", ".join(path.name for path in safe[:4])
        raise CheckpointError(f"{name}: several weight files ({names}); name the one to load")
    pickles = [path for path in there if path.suffix in PICKLES]
    if pickles:
        raise CheckpointError(
            f"{name}: only {pickles[0].name}, a pickle, which can run code when loaded; expected safetensors: {CONVERT}"
        )
    run = "; a training run has none before its first validation" if (folder / ".lock").is_file() else ""
    raise CheckpointError(f"{name}: no weights in this folder; expected {WEIGHTS[0]}{run}")


def _shards(index: Path) -> list[Path]:
    """The files a sharded checkpoint's index names. Names that lead out of the folder are refused."""
    position_count = read_json(index).get("weight_map")
    if not isinstance(position_count, dict) or not position_count:
        raise CheckpointError(f"{index}: expected a weight_map from tensor names to files")
    files = sorted({str(place) for place in position_count.values()})
    for file in files:
        if Path(file).name != file:
            raise CheckpointError(f"{index}: the file {file!r} lies outside the folder")
        if not (index.parent / file).is_file():
            raise CheckpointError(
                f"{index.parent}: {file} is missing, one of the {len(files)} files {index.name} names"
            )
    return [_safe(index.parent / file) for file in files]


def _safe(path: Path) -> Path:
    if path.suffix in PICKLES:
        raise CheckpointError(f"{path} is a pickle, which can run code when loaded; expected safetensors: {CONVERT}")
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path}: expected a .safetensors file, found {path.suffix or 'no extension'}")
    if not path.is_file():  # opening a named pipe would block
        raise CheckpointError(f"{path} is not a regular file; expected a .safetensors file")
    return path


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except BaseException as error:
        if not is_parser_error(error):
            raise
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: BaseException) -> CheckpointError:
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"version https://git-lfs"):
        return CheckpointError(f"{path} is a Git LFS pointer, not the weights themselves: run git lfs pull")
    reason = " ".join(str(error).split())
    return CheckpointError(
        f"{path} is not a complete safetensors file ({path.stat().st_size} bytes: {reason}); fetch it again"
    )


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises CheckpointError for anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not readable JSON: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content
