"""Fetching a model's folder from the Hugging Face hub: weights in safetensors and JSON, nothing else."""

from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

from saccade.checkpoints.formats import CONFIGS, PICKLES, TOKENIZER, TOKENIZERS, WEIGHTS
from saccade.errors import CheckpointError


def fetch(repo: str, tokenizer: bool = False) -> Path:
    """The local folder of a hub repository `owner/name`. tokenizer: include the files of its tokenizer.

    Cached weights are used without network access; remove them (`hf cache rm`) to fetch them again. Raises
    CheckpointError for a name that does not exist, a repository without safetensors, and without network and cache.
    """
    try:
        folder = Path(huggingface_hub.snapshot_download(repo, local_files_only=True))
        if _is_whole(folder) and (not tokenizer or any((folder / name).is_file() for name in TOKENIZERS)):
            return folder
    except HFValidationError as error:
        hint = f"; for the folder, give {repo} without hf:" if repo and Path(repo).is_dir() else ""
        raise CheckpointError(
            f"{repo!r} is not a name on the hub; expected hf:owner/name or timm:name{hint}"
        ) from error
    except OSError:  # nothing of it is cached
        pass
    files = _listed(repo)
    weights = _weights_among(repo, files)
    beside = (*CONFIGS, *TOKENIZER) if tokenizer else CONFIGS
    wanted = [*weights, *(name for name in beside if name in files)]
    try:
        return Path(huggingface_hub.snapshot_download(repo, allow_patterns=wanted))
    except Exception as error:  # depends on the HTTP client of the version of the hub
        raise _unreachable(repo, error) from error


def _listed(repo: str) -> list[str]:
    """Names of the files of a repository."""
    try:
        info = huggingface_hub.HfApi().model_info(repo, timeout=10)
    except GatedRepoError as error:
        raise CheckpointError(
            f"{repo} is on the hub, but only for those who accepted its terms: accept them on its page and log in "
            "with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(
            f"the hub has no model {repo}, or it is private (`hf auth login`); check the spelling"
        ) from error
    except Exception as error:  # depends on the HTTP client of the version of the hub
        raise _unreachable(repo, error) from error
    return [each.rfilename for each in info.siblings or []]


def _weights_among(repo: str, files: list[str]) -> list[str]:
    for name in WEIGHTS:
        if name in files and name.endswith(".json"):
            return [name, "model-*.safetensors"]
        if name in files:
            return [name]
    pickles = [name for name in files if name.endswith(PICKLES)]
    found = f"only {pickles[0]}, a pickle, which is refused" if pickles else "no weights at all"
    raise CheckpointError(f"{repo}: expected {WEIGHTS[0]}, found {found}; ask its authors for safetensors")


def _is_whole(folder: Path) -> bool:
    names = [name for name in WEIGHTS if (folder / name).is_file()]
    if not names:
        return False
    # An interrupted download leaves the index of shards without some of them.
    return not names[0].endswith(".json") or len(list(folder.glob("model-*.safetensors"))) == _shard_count(folder)


def _shard_count(folder: Path) -> int:
    """Shards are called model-00001-of-00003.safetensors."""
    names = [path.stem for path in folder.glob("model-*-of-*.safetensors")]
    last = names[0].rpartition("-")[2] if names else ""
    return int(last) if last.isdigit() else -1


def _unreachable(repo: str, error: Exception) -> CheckpointError:
    reason = " ".join(str(error).split())[:200]
    return CheckpointError(
        f"{repo} is not in the local cache and the hub could not be reached ({reason}); connect once, or copy the "
        "model's folder here and give its path"
    )
