"""Loading and saving of checkpoints of all families."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from saccade.checkpoints.clip import CLIP, OPEN_CLIP
from saccade.checkpoints.dinov2 import DINOV2, DINOV2_HF
from saccade.checkpoints.family import Config, Family, Model, ModelSpec, build_model, short_name, vit_of, weights_of
from saccade.checkpoints.files import OpenedCheckpoint, open_checkpoint, write_checkpoint
from saccade.checkpoints.timm import TIMM
from saccade.checkpoints.vit_hf import DEIT, VIT
from saccade.checkpoints.weight_names import read_weights, write_weights
from saccade.data.preprocess import Preprocess
from saccade.errors import CheckpointError
from saccade.models import ViT
from saccade.models.skip_init import SkipInit

# Tried in this order.
FAMILIES: Mapping[str, Family] = {
    family.name: family for family in (DINOV2_HF, DEIT, VIT, CLIP, OPEN_CLIP, DINOV2, TIMM)
}


@dataclass
class Loaded:
    """A model with its labels and preprocessing.

    Attributes:
        model: in fp32 and evaluation mode. A Classifier if the file has a classification head, an Embedder if it has
            CLIP's projection, otherwise a ViT.
        labels: names of the classes in order, if the checkpoint has them.
        preprocess: from a PIL picture to the model's input.
        family: key of FAMILIES.
        name: short name for display.
        notes: assumptions and omissions, one sentence each.
    """

    model: Model
    labels: list[str] | None
    preprocess: Preprocess
    family: str
    name: str
    notes: list[str] = field(default_factory=list)

    @property
    def vit(self) -> ViT:
        """The encoder of the model."""
        return self.model if isinstance(self.model, ViT) else self.model.vit


def load_checkpoint(spec: str | Path | OpenedCheckpoint) -> Loaded:
    """Load public weights of a vision transformer.

    spec: "hf:owner/name" or "timm:name" (fetched once, then from the cache), a folder with config.json and
    model.safetensors (or its shards), or a safetensors file. The family is detected by the names of the weights.
    Without a config, defaults of the family are used and reported in `notes`.

    Raises CheckpointError, in one line, for pickles, damaged files, unknown families, and missing or unused weights.
    """
    source = spec if isinstance(spec, OpenedCheckpoint) else open_checkpoint(spec)
    family = _recognise(source)
    described = _described(family, source)
    model = _load_model(described, source)
    return Loaded(model, described.labels, described.preprocess, family.name, short_name(source.name), described.notes)


def save_checkpoint(
    model: Model,
    folder: str | Path,
    family: str,
    labels: list[str] | None = None,
    preprocess: Preprocess | None = None,
) -> None:
    """Write weights and configuration to `folder`, to be loaded by the library of the family or `load_checkpoint`.

    preprocess: default: stretched to the model's native size, mean and std 0.5.
    Raises CheckpointError, before anything is written, if the family cannot represent the model.
    """
    if family not in FAMILIES:
        raise CheckpointError(f"no family of checkpoints is called {family!r}; there are {', '.join(FAMILIES)}")
    vit = vit_of(model.config)
    native = (vit.grid[0] * vit.patch, vit.grid[1] * vit.patch)
    written = FAMILIES[family].write(model.config, labels, preprocess or Preprocess(native))
    weights = write_weights(weights_of(model), written.names, written.prefix) | dict(written.also)
    _check_round_trip(model.config, weights, dict(written.configs), FAMILIES[family])
    write_checkpoint(folder, weights, written.configs)


def _recognise(source: OpenedCheckpoint) -> Family:
    for family in FAMILIES.values():
        if family.looks_like(source.weights):
            return family
    found = ", ".join(list(source.weights)[:3]) or "nothing"
    expected = ", ".join(f"{family.anchor} ({family.name})" for family in FAMILIES.values())
    kind = source.config().get("model_type") or source.config().get("architecture")
    hint = f" (its config says {kind})" if kind else ""
    raise CheckpointError(
        f"{source.name}{hint}: not a vision transformer that can be read here; found weights like {found}, "
        f"expected one of {expected}"
    )


def _described(family: Family, source: OpenedCheckpoint) -> ModelSpec:
    try:
        return family.describe(source)
    except CheckpointError:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise CheckpointError(
            f"{source.name}: the config does not describe a model: {field}: {first['msg']}"
        ) from error
    except (ValueError, ArithmeticError, TypeError, AttributeError, LookupError) as error:
        # Any field of a config may have any value.
        raise CheckpointError(f"{source.name}: its config does not describe a model: {error}") from error


def _load_model(described: ModelSpec, source: OpenedCheckpoint) -> Model:
    with torch.device("meta"), SkipInit():  # the file replaces all weights
        model = build_model(described.config)
    wanted = {name: tensor.shape for name, tensor in weights_of(model).items()}
    state = read_weights(source.weights, described.names, described.prefix, wanted, source.name)
    if isinstance(model, ViT):
        state = {name.removeprefix("vit."): tensor for name, tensor in state.items()}
    model.load_state_dict(state, assign=True)
    return model.eval()


def _check_round_trip(config: Config, weights: dict[str, Tensor], configs: dict, family: Family) -> None:
    """A family cannot represent every configuration: the written files must describe the same model when read."""
    back = family.describe(OpenedCheckpoint("what was to be saved", weights, configs)).config
    mine, theirs = _flat(config), _flat(back)
    changed = [
        f"{name} {mine.get(name)} would come back as {theirs.get(name)}"
        for name in sorted(mine.keys() | theirs.keys())
        if mine.get(name) != theirs.get(name) and not name.endswith("drop_path")
    ]
    if changed:
        raise CheckpointError(f"family {family.name} cannot hold this model: {'; '.join(changed[:3])}")


def _flat(config: Config) -> dict[str, object]:
    out: dict[str, object] = {}
    waiting = [("", config.model_dump())]
    while waiting:
        start, fields = waiting.pop()
        for name, value in fields.items():
            if isinstance(value, dict):
                waiting.append((f"{start}{name}.", value))
            else:
                out[f"{start}{name}"] = value
    return out
