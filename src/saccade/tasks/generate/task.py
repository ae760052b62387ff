"""A trained generator."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel
from torch import nn

from saccade.models.generator import Generator, GeneratorConfig
from saccade.tasks.saved import TrainedTask


@dataclass
class GenerateTask(TrainedTask):
    """A generator; `save` and `GenerateTask.open` for its folder."""

    model: Generator

    kind: ClassVar[str] = "generate"
    network: ClassVar[type[nn.Module]] = Generator
    network_config: ClassVar[type[BaseModel]] = GeneratorConfig
