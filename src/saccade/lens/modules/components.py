"""What there is to watch: a module, or the modules of a pipeline by name. No pipeline library is imported for it."""

from collections.abc import Iterator, Mapping

import torch
from torch import nn

from saccade.errors import SaccadeError


def components_of(model: object, function: str) -> dict[str, nn.Module]:
    """The modules of what a function (`watch`, `edit`) was given, by the prefix of their names.

    A module is one component without a name, and so is the module that a wrapper holds (`._module` of nnsight; those of
    PEFT, DataParallel and torch.compile are modules themselves). A pipeline has several: those of its mapping
    `.components` that are modules (diffusers), or its `.model` (transformers). Raises SaccadeError for anything else.
    """
    if isinstance(model, nn.Module):
        return {"": model}
    if isinstance(held := getattr(model, "_module", None), nn.Module):
        return {"": held}
    components = getattr(model, "components", None)
    if not isinstance(components, Mapping):
        components = {"model": getattr(model, "model", None)}
    modules = {str(name): part for name, part in components.items() if isinstance(part, nn.Module)}
    if not modules:
        raise SaccadeError(
            f"{function} was given a {type(model).__name__}; expected a torch.nn.Module, or a pipeline whose "
            ".components or .model hold some"
        )
    return modules


def named_modules(components: Mapping[str, nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """All modules with their names, each once, under the first of its names. Layers that a model does not register as
    modules (functional models of Keras) have the names that they give themselves."""
    seen: set[nn.Module] = set()
    for prefix, component in components.items():
        for name, module in _descendants(component, prefix, seen):
            yield uncompiled(name), module
            if type(module).__module__.startswith("keras."):
                yield from _layers(name, module, seen)


def _descendants(module: nn.Module, prefix: str, seen: set[nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """What `module.named_modules(seen, prefix)` gives, in its order, without a generator inside a generator for each
    level."""
    waiting = [(prefix, module)]
    while waiting:
        name, one = waiting.pop()
        if one in seen:
            continue
        if type(one).named_modules is not nn.Module.named_modules or isinstance(one, torch.jit.ScriptModule):
            yield from one.named_modules(seen, name)
            continue
        seen.add(one)
        yield name, one
        start = f"{name}." if name else ""
        inner = [(start + key, child) for key, child in one._modules.items() if child is not None]
        waiting.extend(reversed(inner))


def _layers(prefix: str, module: nn.Module, seen: set[nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    for layer in getattr(module, "layers", ()):
        if isinstance(layer, nn.Module) and layer not in seen:
            for name, each in layer.named_modules(seen, f"{prefix}.{layer.name}".strip(".")):
                yield name, each
                if type(each).__module__.startswith("keras."):
                    yield from _layers(name, each, seen)


def uncompiled(name: str) -> str:
    """A module's name without the wrapping that torch.compile adds."""
    if "_orig_mod" not in name:
        return name
    return name.replace("_orig_mod.", "").removesuffix("_orig_mod").removesuffix(".")


def component_of(name: str, components: Mapping[str, nn.Module]) -> str:
    """The component that a module of this name belongs to: "" where a module is watched, not a pipeline."""
    return "" if "" in components else name.partition(".")[0]
