"""Models of transformers that write about pictures, in the library's own classes: to ask them and look inside.

Weights are loaded from safetensors only, and no code of a checkpoint is executed.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from saccade.checkpoints.files import OpenedCheckpoint, read_json
from saccade.checkpoints.public import (
    PublicModel,
    load_network,
    network_config,
    quiet_transformers,
    refuse_quantised,
)
from saccade.data.files import escape
from saccade.errors import CheckpointError, DataError, in_one_line

# Processors of these families put the picture's placeholders into the text themselves.
OWN_PLACEHOLDERS = ("blip", "blip-2", "instructblip", "git", "florence2")
ONE_PICTURE = ("vision-encoder-decoder", "blip", "blip-2", "instructblip", "git", "florence2")
TEXTLESS = "vision-encoder-decoder"  # its text, if any, begins the answer


@dataclass
class VisionLanguageModel(PublicModel):
    """A model that writes, with the method that prepares pictures and a question for it.

    processor: transformers' processor, of pictures and text.
    """

    def prepare(self, pictures: Sequence[Image.Image], question: str) -> dict[str, Tensor]:
        """Inputs of `generate` for one prompt: the pictures in order, then the question.

        Raises DataError for pictures and questions that cannot be prepared.
        """
        if self.family in ONE_PICTURE and len(pictures) != 1:
            raise DataError(f"{escape(self.name)} takes one picture at a time: {len(pictures)} were given")
        images = [picture.convert("RGB") for picture in pictures]
        try:
            given = self._prepared(images, question)
        except Exception as error:  # unsupported sizes, counts and templates raise various errors
            count = f"{len(images)} pictures" if len(images) > 1 else "the picture"
            raise DataError(
                f"{count} and the question cannot be prepared for {escape(self.name)} ({in_one_line(error)})"
            ) from error
        takes = inspect.signature(self.model.forward).parameters
        return {name: value for name, value in given.items() if name in takes and isinstance(value, Tensor)}

    def _prepared(self, images: list[Image.Image], question: str) -> dict[str, Tensor]:
        if self.family == TEXTLESS:
            given = dict(self.processor.image_processor(images=images, return_tensors="pt"))
            if question:
                ids = self.processor.tokenizer(question, add_special_tokens=False, return_tensors="pt").input_ids
                settings: Any = self.model.generation_config
                start = torch.tensor([[settings.decoder_start_token_id]])
                given["decoder_input_ids"] = ids if ids[0, 0] == start else torch.cat([start, ids], dim=1)
            return given
        text = self._prompt(len(images), question)
        return dict(self.processor(images=images, text=text, return_tensors="pt"))

    def _prompt(self, count: int, question: str) -> str:
        if getattr(self.processor, "chat_template", None):
            content = [*({"type": "image"} for _ in range(count)), {"type": "text", "text": question}]
            messages = [{"role": "user", "content": content}]
            return self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        if self.family in OWN_PLACEHOLDERS:
            return question
        separator = "" if self.family == "paligemma" else "\n"
        return f"{self.processor.image_token * count}{separator}{question}"


def is_vision_language_model(source: OpenedCheckpoint) -> bool:
    """Whether transformers, where it is installed, has a class for it that writes about pictures."""
    return find_spec("transformers") is not None and source.config().get("model_type") in _classes()


def load_vision_language(source: OpenedCheckpoint) -> VisionLanguageModel:
    """The model in fp32 and evaluation mode, in the class that transformers has for its family.

    source: opened with its tokenizer. Raises CheckpointError for a model that does not write about pictures, quantised
    weights, weights that are missing, and a processor that cannot be built.
    """
    refuse_quantised(source)
    raw, notes = source.config(), list[str]()
    family = str(raw.get("model_type"))
    if not is_vision_language_model(source):
        raise CheckpointError(
            f"{source.name}: model_type {family!r} does not write about pictures: --ask is for models such as LLaVA, "
            "Qwen-VL, PaliGemma, SmolVLM, Florence-2, BLIP or Donut; leave it out to see what this one looks at"
        )
    if "tokenizer.json" not in source.tokenizer:
        raise CheckpointError(f"{source.name}: no tokenizer.json, which says how its text is cut into tokens")
    folder = source.tokenizer["tokenizer.json"].parent
    with quiet_transformers(source.name) as library:
        network = _classes()[family]
        config = network_config(library, network, raw, source.name)
        processor = _processor(library, family, folder, source.name)
        unused = ("encoder.pooler.",) if family == TEXTLESS else ()
        model = load_network(library, network, config, source.weights, source.name, notes, unused)
        if (folder / "generation_config.json").is_file():
            model.generation_config = library.GenerationConfig.from_pretrained(folder, local_files_only=True)
    if not getattr(processor, "chat_template", None) and family != TEXTLESS:
        notes.append("the checkpoint has no chat template: the question is given as it is")
    return VisionLanguageModel(model, [], processor, family, source.name, notes)


def _classes() -> Mapping[str, str]:
    """The class of each family that writes about pictures."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    return MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES


def _processor(library: Any, family: str, folder: Path, where: str) -> Any:
    """Of pictures and text, on Pillow and NumPy where transformers has such a one."""
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        name = _named_processor(library, folder) or PROCESSOR_MAPPING_NAMES.get(family)
        if name is None or not hasattr(library, str(name)):
            raise CheckpointError(f"{where}: no file names a processor that transformers has")
        kind = _without_films(getattr(library, str(name)))
        parts = {
            "image_processor": lambda: _image_processor(library, folder, options),
            "tokenizer": lambda: library.AutoTokenizer.from_pretrained(folder, **options),
            "video_processor": _NoFilms,
        }
        if other := [part for part in kind.get_attributes() if part not in parts]:
            raise CheckpointError(f"{where}: its processor has parts that are not read here: {', '.join(other)}")
        settings, _ = kind.get_processor_dict(folder, **options)
        return kind.from_args_and_dict([parts[part]() for part in kind.get_attributes()], settings)
    except CheckpointError:
        raise
    except Exception as error:  # files that are missing or invalid raise various errors
        raise CheckpointError(f"{where}: its processor cannot be built: {in_one_line(error)}") from error


def _image_processor(library: Any, folder: Path, options: Mapping[str, Any]) -> Any:
    try:
        return library.AutoImageProcessor.from_pretrained(folder, backend="pil", **options)
    except ImportError:  # transformers has it with torchvision alone
        return library.AutoImageProcessor.from_pretrained(folder, **options)


def _named_processor(library: Any, folder: Path) -> str | None:
    """By the checkpoint's own files."""
    for file in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        if (folder / file).is_file() and (name := read_json(folder / file).get("processor_class")):
            return name if hasattr(library, str(name)) else None
    return None


class _NoFilms(dict):  # written to JSON by transformers
    """In place of the part of a processor that prepares films, which needs torchvision; films are given as pictures."""

    num_frames, fps = None, None  # SmolVLM's prompt reads these


def _without_films(kind: Any) -> Any:
    """The processor's class, without the part for films."""

    class Processor(kind):  # type: ignore[misc]
        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            known = isinstance(argument, _NoFilms)
            return None if known else super().check_argument_for_proper_class(argument_name, argument)

    Processor.__name__ = kind.__name__
    return Processor
