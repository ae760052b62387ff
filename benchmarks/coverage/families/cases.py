"""Every family that the coverage benchmark builds, whichever library it comes from."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import tiny_diffusers
import tiny_models
import tiny_timm
import tiny_vit_pytorch
import torch
import transformers
from tiny_feeding import INPUTS, PREPARE
from tiny_inputs import inputs_for
from tiny_torch import LAYERS
from torch import nn


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
    """The families whose whole name fits, and the libraries that are not there, with why."""
    cases = [Case(f"torch.{name}", "torch", lambda make=make: Subject(*make())) for name, make in LAYERS.items()]
    for kind, classes in tiny_models.families(wanted).items():
        cases.append(Case(kind, "transformers", lambda kind=kind, classes=classes: _transformer(kind, classes)))
    absent = []
    for group, (families, make) in OTHERS.items():
        try:
            found = families()
        except (ImportError, RuntimeError, OSError) as error:  # torchvision of another torch raises these, too
            absent.append(f"{group} ({str(error).strip().splitlines()[0]})")
            continue
        cases += [Case(f"{group}.{name}", group, lambda f=f, make=make: make(f)) for name, f in found.items()]
    return [case for case in cases if wanted.fullmatch(case.family)], absent


def _alone(build: Callable[[], tuple]) -> Subject:
    """A model whose library has one form of it."""
    model, *given = build()
    tiny_models.liven(model)
    return _run_once(Subject(model, *given))


def _with_twin(build: Callable[[], tuple]) -> Subject:
    """A model of timm, and the same with its attention written out."""
    (model, args), twin = build()
    tiny_models.liven(model)
    twin.load_state_dict(model.state_dict())
    return _run_once(Subject(model, args, {}, twin))


def _run_once(subject: Subject) -> Subject:
    """The same, if it can be run at all."""
    with torch.no_grad():
        subject.model(*subject.args, **subject.inputs)
    return subject


OTHERS = {
    "diffusers": (tiny_diffusers.families, _alone),
    "timm": (tiny_timm.families, _with_twin),
    "vit_pytorch": (tiny_vit_pytorch.families, _alone),
}


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
    prepare = PREPARE.get(kind, lambda model: None)
    prepare(model)
    tiny_models.liven(model)
    inputs = inputs_for(model, INPUTS.get(kind))
    eager = tiny_models.tiny_model(cls, tiny_models.tiny_config(kind), "eager")
    prepare(eager)
    eager.load_state_dict(model.state_dict())
    return Subject(model, (), inputs, eager)
