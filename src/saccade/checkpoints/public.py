"""Networks and image processors of transformers, for public detectors and segmenters. Needs saccade-attention[hf].

Weights are loaded here, from safetensors only. No code of a checkpoint is executed.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from saccade.checkpoints.files import OpenedCheckpoint
from saccade.data.files import escape
from saccade.errors import CheckpointError, DataError, in_one_line, install_hint


@dataclass
class PublicModel:
    """A model of transformers for inference.

    Attributes:
        model: the network, in fp32 and evaluation mode, for `saccade.watch` too.
        classes: names that its labels or masks index, each once.
        processor: transformers' image processor, on Pillow and NumPy.
        family: its `model_type`.
        name: short name for display.
        notes: assumptions made when it was loaded, one sentence each.
    """

    model: nn.Module
    classes: list[str]
    processor: Any
    family: str
    name: str
    notes: list[str] = field(default_factory=list)

    def not_finite(self) -> CheckpointError:
        """The error for outputs that are not finite."""
        return CheckpointError(f"{escape(self.name)}: its answer is not a number: its weights are damaged")


def family_of(raw_config: Mapping[str, Any], known: Mapping[str, object], what: str, where: str) -> str:
    """The `model_type` of config.json. Raises CheckpointError if it is not one of `known`."""
    family = str(raw_config.get("model_type"))
    if family not in known:
        raise CheckpointError(
            f"{where}: not a {what} that can be read here: its config.json says model_type {family!r}; "
            f"expected one of {', '.join(known)}"
        )
    return family


@contextmanager
def quiet_transformers(where: str) -> Iterator[Any]:
    """The module transformers, without progress bars and loading reports, and without the network: what is needed has
    been fetched before, and a config may name other repositories. where: the checkpoint, for messages.

    Raises CheckpointError if it is not installed.
    """
    try:
        import transformers
        from transformers.utils import logging
    except Exception as error:  # absent, or broken by another package
        raise CheckpointError(
            f"{where} is a model of transformers, which cannot be imported ({in_one_line(error)}); {install_hint('hf')}"
        ) from error
    from huggingface_hub import constants

    level, bars, offline = logging.get_verbosity(), logging.is_progress_bar_enabled(), constants.HF_HUB_OFFLINE
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    constants.HF_HUB_OFFLINE = True
    try:
        yield transformers
    finally:
        constants.HF_HUB_OFFLINE = offline
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def refuse_quantised(source: OpenedCheckpoint) -> None:
    """Raises CheckpointError for quantised weights, which need kernels of another library."""
    if "quantization_config" in source.config():
        raise CheckpointError(f"{source.name}: its weights are quantised, which is not supported; take the original")


def network_config(library: Any, network: str, raw_config: Mapping[str, Any], where: str) -> Any:
    """The config of the transformers class `network` from the contents of config.json. Raises CheckpointError."""
    try:
        return getattr(library, network).config_class.from_dict(_sanitized(raw_config))
    except Exception as error:  # invalid configs raise various errors
        raise CheckpointError(f"{where}: transformers cannot build it: {in_one_line(error)}") from error


def load_network(
    library: Any,
    network: str,
    config: Any,
    weights: Mapping[str, Tensor],
    where: str,
    notes: list[str],
    optional: tuple[str, ...] = (),
) -> Any:
    """The transformers class `network` with `weights`, in fp32 and evaluation mode. Appends to `notes`. optional: how
    the names of weights begin that may be missing, as nothing is computed with them.

    Raises CheckpointError for weights that are missing or have another shape.
    """
    try:
        model, loaded = getattr(library, network).from_pretrained(
            None,
            config=config,
            state_dict=dict(weights),
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # invalid configs raise various errors
        raise CheckpointError(f"{where}: transformers cannot build it: {in_one_line(error)}") from error
    if missing := sorted(key for key in loaded["missing_keys"] if not key.startswith(optional)):
        raise CheckpointError(f"{where}: {len(missing)} weights are missing: {', '.join(missing[:3])}")
    # the number of batches that a norm has seen is needed in training only
    if unused := sorted(key for key in loaded["unexpected_keys"] if not key.endswith("num_batches_tracked")):
        notes.append(f"{len(unused)} weights of the file are not used: {', '.join(unused[:3])}")
    return model.eval()


def image_processor(
    library: Any,
    usual: str,
    known: Sequence[str],
    source: OpenedCheckpoint,
    notes: list[str],
    ours: Mapping[str, Callable[[Mapping[str, Any]], Any]] | None = None,
) -> Any:
    """The image processor, on Pillow and NumPy, that preprocessor_config.json or processor_config.json describes.

    usual: default of the family. known: supported names. ours: constructors of image processors implemented here.
    Appends to `notes`. Raises CheckpointError for any other one, and for a file that cannot be read.
    """
    # with a tokenizer, transformers writes it to processor_config.json, which takes precedence
    nested = source.config("processor_config.json").get("image_processor")
    raw_config = dict(nested) if isinstance(nested, Mapping) else dict(source.config("preprocessor_config.json"))
    if not raw_config:
        notes.append("no preprocessor_config.json: pictures are prepared as is usual for this family")
    named = raw_config.get("image_processor_type") or raw_config.get("feature_extractor_type")
    name = re.sub(r"FeatureExtractor$", "ImageProcessor", str(named or usual)).removesuffix("Fast").removesuffix("Pil")
    if name not in known:
        raise CheckpointError(
            f"{source.name}: its pictures are prepared by {name}, which transformers offers only with torchvision, "
            f"if at all; expected one of {', '.join(known)}"
        )
    try:
        if ours and name in ours:
            return ours[name](raw_config)
        return getattr(library, f"{name}Pil").from_dict(_sanitized(raw_config))
    except Exception as error:  # invalid configs raise various errors
        raise CheckpointError(
            f"{source.name}: preprocessor_config.json does not say how to prepare pictures: {in_one_line(error)}"
        ) from error


def prepare_images(processor: Any, model: nn.Module, pictures: Sequence[Image.Image], name: str) -> dict[str, Any]:
    """Inputs of the model for these images: pixel_values (b 3 y x) and others.

    Raises DataError for pictures that cannot be prepared.
    """
    try:
        given = processor(
            images=[picture.convert("RGB") for picture in pictures],
            return_tensors="pt",
            input_data_format="channels_last",  # otherwise a picture of height 3 is misread
        )
    except Exception as error:  # unsupported sizes raise various errors
        sizes = ", ".join(f"{p.width} x {p.height}" for p in pictures[:3])
        raise DataError(
            f"pictures of {sizes} pixels cannot be prepared for {escape(name)} ({in_one_line(error)})"
        ) from error
    takes = inspect.signature(model.forward).parameters
    return {name: value for name, value in given.items() if name in takes}


def class_names(config: Any, notes: list[str]) -> list[str]:
    """Names of the classes in order; a repeated name is followed by its index ("N/A (12)")."""
    named = {int(i): str(name) for i, name in (config.id2label or {}).items()}
    classes: list[str] = []
    for i in range(config.num_labels):
        name = named.get(i, f"class {i}")
        classes.append(name if name not in classes else f"{name} ({i})")
    if all(name == f"LABEL_{i}" for i, name in enumerate(classes)):
        notes.append(f"the checkpoint does not name its {len(classes)} classes: they are numbered from 0")
        return [f"class {i}" for i in range(len(classes))]
    return classes


def _sanitized(raw_config: Any) -> Any:
    """A config without entries that make transformers fetch files or run code: auto_map, attention kernels by name, and
    the class file of OneFormer."""
    if isinstance(raw_config, list):
        return [_sanitized(value) for value in raw_config]
    if not isinstance(raw_config, Mapping):
        return raw_config
    return {
        key: _sanitized(value)
        for key, value in raw_config.items()
        if key not in ("auto_map", "custom_pipelines", "class_info_file", "repo_path")
        and "attn_implementation" not in key
    }
