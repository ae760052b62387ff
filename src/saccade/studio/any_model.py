"""`saccade.look`: one picture through any model, in Python."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from saccade.checkpoints.inputs import ModelInput
from saccade.checkpoints.picture_module import PictureModule, add_batch_axis
from saccade.checkpoints.timm_models import evaluation_transform, is_timm_module
from saccade.data import Picture
from saccade.data.files import is_video
from saccade.data.images import Source, read_image
from saccade.errors import SaccadeError, UsageError
from saccade.studio.look import ask_about, look_at, look_at_film
from saccade.studio.look import look as look_with_task
from saccade.studio.views import LookOptions, View
from saccade.tasks.vision import PublicVisionTask


def look(
    model: str | os.PathLike[str] | nn.Module | Any,
    picture: Source | list[Source],
    *,
    preprocess: Callable[[Image.Image], ModelInput] | None = None,
    labels: Sequence[str] = (),
    ask: str | None = None,
    texts: Sequence[str] = (),
    size: int | None = None,
    threshold: float | None = None,
    top: int = 5,
    classes: Sequence[str] = (),
    other: Source | None = None,
    module: str = "",
) -> View:
    """One picture as a model sees it, and where the model attends; with `.save(path)` a page to explore it on.

    Args:
        model: name or path, as for `saccade.load`; a task that it returned; or any module that takes a picture, which
            is run in evaluation mode, and neither changed nor moved.
        picture: path, encoded bytes, Pillow image, array (y x 3), or tensor. For a module without `preprocess`, a
            tensor (3 y x) or (1 3 y x) is its input as it is; otherwise one (3 y x) in 0..1 is a picture like others.
            With `ask`, a list of pictures is given to the model together.
        preprocess: of a module: from a PIL image to its input, a tensor (3 y x) or (1 3 y x), or a dict of inputs by
            name, in which a picture may also be a list of patches, or several parts. From two PIL images, the second
            `other`, for one that takes both at once. Default: none for tensors, and timm's own for models of timm.
        labels: names of a module's classes, for an output of logits (or probabilities) of that many classes.
        ask: a question, for a model of transformers that writes about pictures, by name, path or as a task.
        texts: of models that match text with pictures, what the picture may show.
        size: side in pixels at which a model sees the picture, instead of its own; not for modules.
        threshold: least score of an object of a detector, 0 to 1.
        top: number of classes of a classifier.
        classes: names of classes to show the evidence for, besides the most likely ones.
        other: a second picture, in which patches of the first are looked for; of a model that takes two pictures at
            once, the second of them.
        module: pattern of the names of the modules to show ("*.layer.3.*"), of models in their library's own class.

    Returns:
        The view: `.predictions` (label, probability), `.heat` (y x) or None, `.grid`, `.trace`, `.notes`; `print(view)`
        is a summary, and `.save("look.html")` writes the page.

    Raises:
        SaccadeError: the model's attention cannot be shown, with the reason (the tokens' places cannot be told, for
            one); options that do not apply to it; a picture or model that cannot be read.
    """
    _check(model, top, labels=labels, texts=texts, classes=classes)
    if ask is not None:
        given: dict[str, Any] = {"preprocess": preprocess, "labels": labels, "texts": texts, "size": size}
        given |= {"threshold": threshold, "classes": classes, "other": other, "module": module}
        if wrong := [f"{name}=" for name, value in given.items() if value is not None and not _is_empty(value)]:
            raise UsageError(f"{', '.join(wrong)} and ask= do not go together: with ask=, a model writes an answer")
        many = picture if isinstance(picture, list) else [picture]
        return ask_about(model, [read_image(one) for one in many], ask, "cpu")
    if isinstance(picture, list):
        raise UsageError(f"{len(picture)} pictures: several are for a model that writes, with ask=; two with other=")
    second = None if other is None else read_image(other)
    options = LookOptions(size, threshold, top, tuple(texts), tuple(classes), second, module=module)
    if isinstance(model, nn.Module):
        return _look_with_module(model, picture, preprocess, labels, options)
    if preprocess is not None or labels:
        raise UsageError(f"preprocess= and labels= are for modules; {_name(model)} has its own")
    if not isinstance(model, str | os.PathLike):
        return look_with_task(model, read_image(picture), options)
    if isinstance(picture, str | os.PathLike) and is_video(Path(picture)):
        return look_at_film(os.fspath(model), Path(picture), options, "cpu")
    return look_at(os.fspath(model), read_image(picture), options, "cpu")


def _is_empty(value: Any) -> bool:
    return isinstance(value, Sequence) and not value


def _check(model: Any, top: int, **names: Sequence[str]) -> None:
    """Raise UsageError for a model that is none, and for options of another type."""
    if not isinstance(model, str | os.PathLike | nn.Module) and (isinstance(model, type) or not hasattr(model, "name")):
        found = f"the class {model.__name__} (an instance is needed)" if isinstance(model, type) else repr(type(model))
        raise UsageError(f"a model: expected its name or path, a task of saccade.load or a module, found {found}")
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise UsageError(f"top={top!r}: expected a whole number of 1 or more")
    for option, given in names.items():
        if isinstance(given, str) or not all(isinstance(each, str) for each in given):
            raise UsageError(f"{option}={given!r}: expected a list of strings")


def _look_with_module(
    model: nn.Module,
    picture: Source,
    preprocess: Callable[[Image.Image], ModelInput] | None,
    labels: Sequence[str],
    options: LookOptions,
) -> View:
    name = type(model).__name__
    if options.texts or options.size is not None or options.threshold is not None:
        raise UsageError(
            f"texts=, size= and threshold= are not for a module ({name}): its preprocess= prepares its input"
        )
    if any(parameter.is_meta for parameter in model.parameters()):
        raise UsageError(f"{name} has weights on the meta device, which hold no numbers: load them first")
    if isinstance(picture, Tensor) and preprocess is None:
        given = add_batch_axis(picture)
        shown, prepare = Picture(Image.new("RGB", (1, 1)), "tensor"), lambda _: given
    else:
        shown, prepare = read_image(picture), preprocess or _usual(model)
    wrapper = PictureModule(model, list(labels), prepare, name, name)
    with _evaluation_mode(model):
        view = look_with_task(PublicVisionTask(wrapper), shown, options)
    if labels and view.prediction is None:
        raise SaccadeError(f"labels= names {len(labels)} classes, and {name} returns no tensor (1, {len(labels)})")
    return view


def _usual(model: nn.Module) -> Callable[[Image.Image], ModelInput]:
    if is_timm_module(model):
        return evaluation_transform(model)
    raise UsageError(
        f"how a picture becomes the input of {type(model).__name__} is not known: give preprocess=, a function from a "
        "PIL image to a tensor (1 3 y x) or a dict of inputs, or give a prepared tensor"
    )


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def _name(model: Any) -> str:
    return str(model) if isinstance(model, str | os.PathLike) else getattr(model, "name", type(model).__name__)
