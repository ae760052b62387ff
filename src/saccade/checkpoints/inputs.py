"""What goes into a model of pictures: one tensor, or several values by name."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from saccade.errors import DataError, shorten_list

ModelInput = Tensor | Mapping[str, Any]
PATCHES = ("flattened_patches", "pixel_patches")  # names of lists of patches


def call_model(model: nn.Module, inputs: ModelInput) -> Any:
    """The output for these inputs: a tensor is the only argument, a mapping holds arguments by name."""
    return model(inputs) if isinstance(inputs, Tensor) else model(**inputs)


def precision_of(model: nn.Module) -> str:
    """That of its first weight: "fp32", "bf16" ..., and "fp32" where it has none."""
    kinds = (p.dtype for p in model.parameters() if p.is_floating_point())
    return {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16", "float64": "fp64"}.get(
        name := str(next(kinds, "float32")).removeprefix("torch."), name
    )


def move_inputs(model: nn.Module, inputs: ModelInput) -> Any:
    """The same inputs on the device of the weights, floating-point ones in their precision."""
    weight = next((p for p in model.parameters() if p.is_floating_point()), None)
    if isinstance(inputs, Mapping):
        return {name: move_inputs(model, given) for name, given in inputs.items()}
    if weight is None or not isinstance(inputs, Tensor):
        return inputs
    return inputs.to(weight.device, weight.dtype if inputs.is_floating_point() else None)


def pixels_of(inputs: ModelInput) -> Float[Tensor, "b c y x"]:
    """The picture in the inputs: the tensor itself, `pixel_values`, or the only one of three channels; of (1 1 3 y x),
    one part of one picture, without the axis of parts.

    Raises DataError if there is none, or more than one."""
    given = inputs if isinstance(inputs, Tensor) else inputs[name_of_pixels(inputs)]
    single = given.ndim > 4 and given.shape[:-3].numel() == 1
    return given.view(1, *given.shape[-3:]) if single and given.is_contiguous() else given


def name_of_pixels(inputs: Mapping[str, Any]) -> str:
    """Of the input that holds the picture. Raises DataError if there is none, or more than one."""
    if isinstance(inputs.get("pixel_values"), Tensor):
        return "pixel_values"
    found = [name for name, given in inputs.items() if isinstance(given, Tensor) and _is_picture(given)]
    found = found or [name for name in PATCHES if isinstance(inputs.get(name), Tensor)]
    if len(found) != 1:
        shapes = shorten_list(f"{name} {tuple(getattr(given, 'shape', ()))}" for name, given in inputs.items())
        raise DataError(
            f"which input is the picture cannot be told: expected one tensor (1 3 y x) or pixel_values; found {shapes}"
        )
    return found[0]


def _is_picture(given: Tensor) -> bool:
    return given.ndim >= 4 and given.shape[-3] == 3 and given.is_floating_point()


class PictureOnlyModel(nn.Module):
    """The same model as a function of its picture alone, with its other inputs as they are."""

    def __init__(self, model: nn.Module, inputs: Mapping[str, Any]):
        super().__init__()
        self.model = model
        self._name, self._inputs = name_of_pixels(inputs), dict(inputs)

    def forward(self, picture: Float[Tensor, "b c y x"]) -> Any:
        return self.model(**{**self._inputs, self._name: picture.view(self._inputs[self._name].shape)})


def picture_only_model(model: nn.Module, inputs: ModelInput) -> nn.Module:
    """A module that takes the picture alone: the model itself where it does."""
    if isinstance(inputs, Tensor):
        return model
    alone = len(inputs) == 1 and pixels_of(inputs).shape == next(iter(inputs.values())).shape
    return model if alone else PictureOnlyModel(model, inputs)
