"""A whole task in one file: a regression of the mean brightness of a picture, 0 to 1."""

from collections import namedtuple

import torch
from pydantic import BaseModel
from torch import nn

from saccade.data import find_images, read_image
from saccade.data.preprocess import Preprocess
from saccade.models import ViT, ViTConfig, preset
from saccade.tasks.commands import Evaluation, TaskCommands
from saccade.tasks.saved import TrainedTask

Brightness = namedtuple("Brightness", ["name", "brightness"])
Brightness.to_dict = Brightness._asdict
FIT = Preprocess((16, 16), "crop")


class Config(BaseModel):
    vit: ViTConfig = preset("tiny", depth=1, patch=8, window=8)
    classes: int = 0


class Network(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config, self.vit, self.head = config, ViT(config.vit), nn.Linear(config.vit.block.width, 1)

    def forward(self, picture):
        return self.head(self.vit(picture).mean(1))[:, 0]


class BrightnessTask(TrainedTask):
    kind, network, network_config = "brightness", Network, Config

    def predict_all(self, pictures):
        for picture in map(read_image, pictures):
            yield Brightness(picture.name, float(self.model(FIT(picture.image)[None]).detach()))


class Pictures:
    notes, skipped = (), {}  # noqa: RUF012

    def __init__(self, folder):
        self.files = find_images(folder)
        self.pixels = torch.stack([FIT(read_image(file).image) for file in self.files])
        self.targets = self.pixels.mean(dim=(1, 2, 3))


class Training:
    selection_metric, identity = "accuracy", "brightness"
    collate = list

    def __init__(self, train, val, recipe, seed, pretrained):
        self.data, self.recipe, self.model = train, recipe, Network(Config())

    def __len__(self):
        return len(self.data.files)

    def batch(self, indices, generator, progress):
        return self.data.pixels[indices], self.data.targets[indices]

    def loss(self, model, batches, device):
        return torch.stack([(model(pixels).float() - target).square().mean() for pixels, target in batches]).mean()

    def evaluate(self, model, device):
        return {"accuracy": 1 - float((model(self.data.pixels) - self.data.targets).abs().mean().detach())}

    def save(self, model, folder, scores):
        BrightnessTask(model, FIT, folder.parent.name).save(folder, scores=scores)


class Commands(TaskCommands):
    name = "brightness"
    help = "Train a regression of brightness.\n\nExample:\n\n    saccade train brightness --data photos/\n"
    task_class, training = (lambda self: BrightnessTask), (lambda self: Training)

    def open_splits(self, options, recipe, seed):
        return Pictures(options.data), Pictures(options.data)

    def evaluate(self, task, data, split, on_error, device, out, options):
        error = (task.model(Pictures(data).pixels) - Pictures(data).targets).abs().mean().item()
        return Evaluation({"error": error, "pictures": len(Pictures(data).files), "skipped": {}}, {})


COMMANDS = Commands()
