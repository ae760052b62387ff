"""Pipelines of diffusers: what their folder declares is checked, then their networks are loaded.

Weights are read from safetensors only, in fp32. A pipeline, or a part of one, that brings its own code is refused.
Needs the extra saccade-attention[diffusers].
"""

import hashlib
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from torch import nn

from saccade.checkpoints.files import read_json
from saccade.checkpoints.formats import PICKLES
from saccade.checkpoints.pipeline_classes import CLASSIFIER_FREE, DISTILLED, PIPELINES, Guidance
from saccade.checkpoints.public import quiet_transformers
from saccade.data.files import escape
from saccade.errors import CheckpointError, in_one_line, install_hint

INDEX = "model_index.json"
PREFIX = "diffusers:"
# Where the classes of a pipeline's parts may come from; stable_diffusion: its safety checker, in diffusers.
LIBRARIES = ("diffusers", "transformers", "stable_diffusion")
FETCHED = ("json", "safetensors", "txt", "model", "jinja")  # files of a part, by their endings
VARIANTS = ["*.fp16*", "*.bf16*", "*.non_ema*"]  # of the weights, beside the usual ones


@dataclass
class PublicPipeline:
    """A pipeline of diffusers for inference.

    Attributes:
        pipeline: with its networks in fp32 and evaluation mode; `saccade.watch` and `saccade.edit` take it as it is.
        guidance: its convention.
        name: short name for display.
        notes: what to know of it, one sentence each.
    """

    pipeline: Any
    guidance: Guidance
    name: str
    notes: list[str] = field(default_factory=list)


def is_pipeline(spec: str | Path) -> bool:
    """Whether the name can only be a pipeline's: "diffusers:FOLDER", or a folder with model_index.json."""
    return str(spec).startswith(PREFIX) or (Path(spec) / INDEX).is_file()


def load_pipeline(spec: str | Path) -> PublicPipeline:
    """spec: "diffusers:FOLDER", a folder that diffusers saved, or "hf:owner/name". A folder is loaded without network.

    Raises CheckpointError, in one line, for one that is missing, incomplete, no pipeline of PIPELINES, or needs code
    or pickled weights.
    """
    text = str(spec)
    with quiet_diffusers(text) as diffusers:
        folder = _fetch(text.removeprefix("hf:")) if text.startswith("hf:") else Path(text.removeprefix(PREFIX))
        folder = folder.expanduser()
        parts = declared_parts(folder, text)
        _check_parts(folder, parts, text)
        try:
            pipeline = _load(diffusers, folder, parts)
        except CheckpointError:
            raise
        except Exception as error:  # invalid configs and absent libraries raise various errors
            raise CheckpointError(f"{escape(text)}: diffusers cannot load it: {in_one_line(error)}") from error
    convention = guidance(pipeline)
    name = text.removeprefix("hf:") if text.startswith("hf:") else folder.resolve().name
    notes = [] if convention is CLASSIFIER_FREE else [f"guidance of {type(pipeline).__name__}: {convention.formula}"]
    return PublicPipeline(pipeline, convention, name, notes)


def guidance(pipeline: Any) -> Guidance:
    """The convention of a pipeline. Raises CheckpointError for one that is not in PIPELINES."""
    name = type(pipeline).__name__
    _check_class(name, "the pipeline")
    network = denoiser(pipeline).config
    if getattr(network, "guidance_embeds", False) or getattr(network, "time_cond_proj_dim", None) is not None:
        return DISTILLED
    return PIPELINES[name]


def denoiser(pipeline: Any) -> nn.Module:
    """Its U-Net or transformer; of several transformers the first."""
    found = (getattr(pipeline, name, None) for name in ("unet", "transformer", "transformer_2"))
    return next(network for network in found if network is not None)


def networks(pipeline: Any) -> list[tuple[str, nn.Module]]:
    """Its networks by the names of its parts, in alphabetical order."""
    return [(name, part) for name, part in sorted(pipeline.components.items()) if isinstance(part, nn.Module)]


def digest(pipeline: Any) -> str:
    """A short hash of the weights of its networks, and of the configs of the scheduler and diffusers' networks."""
    found = hashlib.sha256()
    for name, part in sorted(pipeline.components.items()):
        config = getattr(part, "config", None)
        if isinstance(config, Mapping):  # of diffusers; transformers' holds what depends on its version
            own = {key: value for key, value in config.items() if not key.startswith("_")}
            found.update(f"{name} {json.dumps(own, sort_keys=True, default=str)}".encode())
    for name, network in networks(pipeline):
        for key, value in sorted(network.state_dict().items()):
            found.update(f"{name}.{key}".encode())
            found.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()[:10]


def declared_parts(folder: Path, name: str) -> dict[str, str]:
    """The parts of a pipeline that a folder's model_index.json declares, {name: class}. name: for messages.

    Raises CheckpointError if there is no such file, or it declares a pipeline that is not supported or code of its own.
    """
    if not (folder / INDEX).is_file():
        raise CheckpointError(f"{escape(name)}: there is no {INDEX}; a folder that diffusers saved is expected")
    index = read_json(folder / INDEX)
    _check_class(index.get("_class_name"), name)
    parts: dict[str, str] = {}
    for part, value in index.items():
        if part.startswith("_") or not isinstance(value, list) or len(value) != 2 or value[0] is None:
            continue
        library, kind = map(str, value)
        if library not in LIBRARIES or not kind.isidentifier() or not part.isidentifier():
            raise CheckpointError(
                f"{escape(name)}: its {escape(part)} is {escape(kind)} of {escape(library)}, code that is not part of "
                "diffusers or transformers; it is refused"
            )
        parts[part] = kind
    return parts


@contextmanager
def quiet_diffusers(where: str) -> Iterator[Any]:
    """The module diffusers, without progress bars, reports and warnings. where: for messages.

    Raises CheckpointError if it is not installed.
    """
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(quiet_transformers(where))
        try:
            import diffusers
            from diffusers.utils import logging
        except Exception as error:  # absent, or broken by another package
            raise CheckpointError(
                f"{escape(where)} is a pipeline of diffusers, which cannot be imported ({in_one_line(error)}); "
                f"{install_hint('diffusers')}"
            ) from error
        stack.callback(logging.set_verbosity, logging.get_verbosity())
        if logging.is_progress_bar_enabled():
            stack.callback(logging.enable_progress_bar)
        logging.set_verbosity(logging.CRITICAL)
        logging.disable_progress_bar()
        yield diffusers


def _check_class(kind: object, name: str) -> None:
    if isinstance(kind, str) and kind in PIPELINES:
        return
    if isinstance(kind, list):
        raise CheckpointError(f"{escape(name)} is a pipeline with code of its own, which is refused")
    raise CheckpointError(
        f"{escape(name)} is a {escape(str(kind))}, not a pipeline that can be used here; expected one of "
        f"{', '.join(PIPELINES)}"
    )


def _check_parts(folder: Path, parts: Iterable[str], name: str) -> None:
    """Raises CheckpointError for a part that is missing or incomplete, needs code, or has no safetensors."""
    for part in parts:
        what = f"{escape(name)}: its {part}"
        if not (folder / part).is_dir():
            raise CheckpointError(f"{what} is missing; fetch the pipeline again")
        _check_kernels(folder / part, what)
        if (folder / part / "config.json").is_file():
            _check_weights(folder / part, what)


def _check_kernels(folder: Path, what: str) -> None:
    """Raises CheckpointError for a config that names attention kernels on the hub, which would be fetched and run."""
    for path in folder.glob("*config.json"):
        kernels = [str(value) for key, value in read_json(path).items() if "attn_implementation" in key]
        if named := [each for each in kernels if "/" in each]:
            raise CheckpointError(f"{what} needs code for its attention, {escape(named[0])}; it is refused")


def _check_weights(folder: Path, what: str) -> None:
    names = {path.name for path in folder.iterdir()}
    if not any(name.endswith(".safetensors") for name in names):
        pickles = sorted(name for name in names if name.endswith(PICKLES))
        found = f"only {escape(pickles[0])}, a pickle, which can run code when loaded" if pickles else "no weights"
        raise CheckpointError(f"{what} has {found}; expected safetensors, as pipeline.save_pretrained(FOLDER) writes")
    for index in folder.glob("*.safetensors.index.json"):
        shards = read_json(index).get("weight_map", {})
        if absent := sorted({str(shard) for shard in shards.values()} - names):
            raise CheckpointError(f"{what} is incomplete: {escape(absent[0])} is missing; fetch the pipeline again")


def _load(diffusers: Any, folder: Path, parts: Mapping[str, str]) -> Any:
    """The pipeline. Its networks are loaded one by one: the pipeline's own loading would pass over missing weights."""
    import transformers

    found = {
        part: getattr(diffusers, kind, None) or getattr(transformers, kind, None)
        for part, kind in parts.items()
        if (folder / part / "config.json").is_file()
    }
    networks = {
        part: _load_network(kind, folder / part)
        for part, kind in found.items()
        if isinstance(kind, type) and issubclass(kind, nn.Module)
    }
    index = read_json(folder / INDEX)
    # diffusers loads no folder that lacks a part, such as the third text encoder of SD3, unless it is told so
    absent = {part: None for part, value in index.items() if value == [None, None]}
    pipeline = getattr(diffusers, index["_class_name"]).from_pretrained(
        str(folder), torch_dtype=torch.float32, use_safetensors=True, local_files_only=True, **networks, **absent
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _load_network(kind: Any, folder: Path) -> nn.Module:
    """A network of diffusers or transformers in fp32. Raises CheckpointError for weights that are missing."""
    dtype = "dtype" if kind.__module__.startswith("transformers.") else "torch_dtype"
    with _without_exceptions(kind):
        network, loaded = kind.from_pretrained(
            str(folder), use_safetensors=True, local_files_only=True, output_loading_info=True, **{dtype: torch.float32}
        )
    if wrong := sorted(map(str, [*loaded["missing_keys"], *loaded.get("mismatched_keys", [])])):
        raise CheckpointError(f"{escape(folder)}: {len(wrong)} weights are missing or misshapen, such as {wrong[0]}")
    return network.eval()


@contextmanager
def _without_exceptions(kind: Any) -> Iterator[None]:
    """Without the class's list of parts to keep in fp32, where all are: for classes with one, such as Wan's, diffusers
    would require accelerate."""
    own = kind.__dict__.get("_keep_in_fp32_modules") if kind.__module__.startswith("diffusers.") else None
    if own is not None:
        kind._keep_in_fp32_modules = None
    try:
        yield
    finally:
        if own is not None:
            kind._keep_in_fp32_modules = own


def _fetch(repo: str) -> Path:
    """The local folder of a hub repository; the network is used only for what is not in the hub's cache."""
    try:
        folder = _cached(repo) or Path(huggingface_hub.hf_hub_download(repo, INDEX)).parent
        parts = declared_parts(folder, repo)
        try:
            _check_parts(folder, parts, repo)
        except CheckpointError:  # not all of it is in the cache
            wanted = [INDEX, *(f"{part}/*.{ending}" for part in parts for ending in FETCHED)]
            folder = Path(huggingface_hub.snapshot_download(repo, allow_patterns=wanted, ignore_patterns=VARIANTS))
        return folder
    except CheckpointError:
        raise
    except Exception as error:  # whatever the HTTP client of this version of the hub raises
        raise CheckpointError(
            f"{escape(repo)}: its pipeline is not in the local cache and could not be fetched "
            f"({in_one_line(error, 160)}); expected hf:owner/name of a repository with {INDEX}"
        ) from error


def _cached(repo: str) -> Path | None:
    found = huggingface_hub.try_to_load_from_cache(repo, INDEX)
    return Path(found).parent if isinstance(found, str) else None
