"""Every family that the coverage benchmark builds, whichever library it comes from."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import tiny_models
import tiny_torch
import transformers
from tiny_inputs import inputs_for
from torch import nn

OTHERS = ("diffusers", "timm", "vit_pytorch")  # no tiny models are made of these yet


@dataclass
class Subject:
    """A model to watch, what it is called with, and its twin of equal weights with readable attention, if any."""

    model: nn.Module
    args: tuple = ()
    inputs: dict[str, Any] = field(default_factory=dict)
    eager: nn.Module | None = None


@dataclass
class Case:
    """One family, and how to build it."""

    family: str
    group: str
    build: Callable[[], Subject]


def every_case(wanted: re.Pattern) -> tuple[list[Case], list[str]]:
    """The families whose whole name fits, and the libraries of which none is among them."""
    cases = [
        Case(f"torch.{name}", "torch", lambda make=make: Subject(*make())) for name, make in tiny_torch.LAYERS.items()
    ]
    for kind, classes in tiny_models.families(wanted).items():
        cases.append(Case(kind, "transformers", lambda kind=kind, classes=classes: _transformer(kind, classes)))
    return [case for case in cases if wanted.fullmatch(case.family)], list(OTHERS)


def _transformer(kind: str, classes: list[str]) -> Subject:
    """The first class of a family that builds and runs; the error of the first that does not if none does."""
    first: Exception | None = None
    for name in classes[:4]:
        try:
            return _twins(kind, getattr(transformers, name))
        except Exception as error:  # whatever a library raises
            first = first or error
    assert first is not None
    raise first


def _twins(kind: str, cls: type) -> Subject:
    model = tiny_models.tiny_model(cls, tiny_models.tiny_config(kind))
    tiny_models.liven(model)
    inputs = inputs_for(model, kind)
    eager = tiny_models.tiny_model(cls, tiny_models.tiny_config(kind), "eager")
    eager.load_state_dict(model.state_dict())
    return Subject(model, (), inputs, eager)
