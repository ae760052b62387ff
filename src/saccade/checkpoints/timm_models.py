"""Any other model of timm, by the library's own class: to look into, not to train. Needs saccade-attention[timm].

Weights are loaded from safetensors only, and passed to timm in memory: it fetches and unpickles nothing.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from saccade.checkpoints.family import short_name
from saccade.checkpoints.files import OpenedCheckpoint
from saccade.checkpoints.picture_module import PictureModule
from saccade.errors import CheckpointError, in_one_line, install_hint

# Arguments of `timm.create_model` that name files or places of weights, or make it return something else than a model.
NOT_ARGUMENTS = ("checkpoint_path", "cache_dir", "scriptable", "exportable", "no_jit", "features_only", "model_name")
SOURCES = ("url", "file", "hf_hub_id", "hf_hub_filename", "source", "state_dict", "custom_load")


def is_timm_model(source: OpenedCheckpoint) -> bool:
    """Whether a checkpoint has a config.json of timm."""
    config = source.config()
    return isinstance(config.get("architecture"), str) and isinstance(config.get("pretrained_cfg"), dict)


def load_timm_model(source: OpenedCheckpoint) -> PictureModule:
    """The model of timm that config.json names, in fp32 and evaluation mode, with its own preprocessing.

    Raises CheckpointError for an architecture that the installed timm does not know, weights that do not fit, and where
    timm cannot be imported.
    """
    timm = _import_timm(source.name)
    config, notes = source.config(), list[str]()
    architecture = config["architecture"]
    if not timm.is_model(architecture):
        raise CheckpointError(f"{source.name}: timm {timm.__version__} knows no architecture {architecture!r}")
    arguments = _arguments(config, source.name)
    described = _described(timm, config, arguments) | {"state_dict": _weights(source)}
    if isinstance(pool := config.get("global_pool"), str):
        arguments.setdefault("global_pool", pool)
    arguments["num_classes"] = described["num_classes"]
    try:
        model = timm.create_model(architecture, pretrained=True, pretrained_cfg=described, **arguments)
    except Exception as error:  # invalid configs and weights raise various errors
        raise CheckpointError(f"{source.name}: timm cannot build {architecture}: {in_one_line(error)}") from error
    model.pretrained_cfg.pop("state_dict", None)
    labels = _labels(timm, config, model, notes)
    return PictureModule(
        model.float().eval(), labels, evaluation_transform(model), architecture, short_name(source.name), notes
    )


def evaluation_transform(model: nn.Module) -> Any:
    """Evaluation preprocessing of a model of timm, from a PIL image to (3 y x), as its `pretrained_cfg` says."""
    from timm.data import create_transform, resolve_model_data_config

    return create_transform(**resolve_model_data_config(model), is_training=False)


def is_timm_module(model: nn.Module) -> bool:
    """Whether a module is a model of timm that describes its preprocessing."""
    return type(model).__module__.startswith("timm.") and isinstance(getattr(model, "pretrained_cfg", None), Mapping)


def _import_timm(where: str) -> Any:
    try:
        import timm
    except Exception as error:  # absent, or its torchvision is built for another torch
        raise CheckpointError(
            f"{where} is a model of timm, which cannot be imported ({in_one_line(error)}); {install_hint('timm')}"
        ) from error
    return timm


def _described(timm: Any, config: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What timm knows of the weights, without the places to fetch them from. Classes and channels are those of the
    model: where they differ, timm initializes these layers at random."""
    known = timm.models.PretrainedCfg.__dataclass_fields__
    described = {k: v for k, v in config["pretrained_cfg"].items() if k in known and k not in SOURCES}
    classes = config.get("num_classes", described.get("num_classes", 0))
    described["num_classes"] = arguments.get("num_classes", classes)
    if "in_chans" in arguments:
        described["input_size"] = [arguments["in_chans"], *described.get("input_size", (3, 224, 224))[1:]]
    return described


def _weights(source: OpenedCheckpoint) -> dict[str, Tensor]:
    """All of them, in fp32."""
    return {name: t.float() if t.is_floating_point() else t for name, t in source.weights.items()}


def _arguments(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    arguments = config.get("model_args") or {}
    if not isinstance(arguments, dict):
        raise CheckpointError(f"{where}: model_args is {arguments!r}; expected arguments of the model by name")
    refused = [name for name in arguments if name in NOT_ARGUMENTS or name.startswith("pretrained")]
    if refused:
        raise CheckpointError(f"{where}: model_args holds {', '.join(refused)}, which no model has: it is refused")
    return dict(arguments)


def _labels(timm: Any, config: Mapping[str, Any], model: nn.Module, notes: list[str]) -> list[str]:
    """Names of the classes: of the config, of ImageNet where the config's tag says so, else numbers."""
    classes = int(getattr(model, "num_classes", 0) or 0)
    described = {**config["pretrained_cfg"], **config}
    named, texts = described.get("label_names"), described.get("label_descriptions")
    if isinstance(named, list) and len(named) == classes:
        return [str((texts if isinstance(texts, dict) else {}).get(name, name)) for name in named]
    subset = timm.data.infer_imagenet_subset({"num_classes": classes})
    if subset is not None and "_in" in f"_{config['pretrained_cfg'].get('tag')}":
        return timm.data.ImageNetInfo(subset).label_descriptions()
    if classes:
        notes.append(f"the checkpoint does not name its {classes} classes: they are numbered from 0")
    return [f"class {i}" for i in range(classes)]
