"""Every family that the coverage benchmark runs, from all libraries."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from torch import nn

from benchmarks.coverage.families import timm_models, vit_pytorch_models
from benchmarks.coverage.families.diffusers import models as diffusers_models
from benchmarks.coverage.families.torch_layers import LAYERS
from benchmarks.coverage.families.transformers import models as transformers_models
from benchmarks.coverage.families.transformers.input_rules import INPUTS, PREPARE
from benchmarks.coverage.families.transformers.inputs import inputs_for


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
    for kind, classes in transformers_models.families(wanted).items():
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
    transformers_models.liven(model)
    return _run_once(Subject(model, *given))


def _with_twin(build: Callable[[], tuple]) -> Subject:
    """A model of timm, and the same with its attention written out."""
    (model, args), twin = build()
    transformers_models.liven(model)
    twin.load_state_dict(model.state_dict())
    return _run_once(Subject(model, args, {}, twin))


def _run_once(subject: Subject) -> Subject:
    """The same, if it can be run at all."""
    with torch.no_grad():
        subject.model(*subject.args, **subject.inputs)
    return subject


OTHERS = {
    "diffusers": (diffusers_models.families, _alone),
    "timm": (timm_models.families, _with_twin),
    "vit_pytorch": (vit_pytorch_models.families, _alone),
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
    model = transformers_models.tiny_model(cls, transformers_models.tiny_config(kind))
    prepare = PREPARE.get(kind, lambda model: None)
    prepare(model)
    transformers_models.liven(model)
    inputs = inputs_for(model, INPUTS.get(kind))
    eager = transformers_models.tiny_model(cls, transformers_models.tiny_config(kind), "eager")
    prepare(eager)
    eager.load_state_dict(model.state_dict())
    return Subject(model, (), inputs, eager)
