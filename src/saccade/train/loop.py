"""The training loop, the same for every task and for one process or many."""

import json
import math
import shutil
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from saccade.device import Device, join, leave
from saccade.errors import SaccadeError
from saccade.train.batches import Batches, Sampler
from saccade.train.config import SHARDS, TrainConfig, nothing_to_resume, saved_options
from saccade.train.guards import deterministic, exclusive_folder, stop_requested
from saccade.train.log import RunLog
from saccade.train.optim import moving_average, optimizers, schedulers
from saccade.train.seeds import combined_seed
from saccade.train.selection import Scores, Selection, validate
from saccade.train.state import load_state, save_state, states


class Trainable(Sampler, Protocol):
    """Interface of a task for the training loop."""

    model: nn.Module
    selection_metric: str  # the score by which the best weights are selected; higher is better

    @property
    def recipe(self) -> BaseModel:
        """Options of the task; stored with the run."""

    @property
    def identity(self) -> str:
        """A string that is equal if and only if training samples, validation samples and initial weights are."""

    def sampler(self) -> Sampler:
        """What makes its batches, without the network, to be sent to worker processes."""

    def loss(self, model: nn.Module, batches: list[Any], device: torch.device) -> Tensor:
        """Mean loss over all samples of the batches."""

    def compiled(self, model: nn.Module) -> nn.Module:
        """The model with `torch.compile` where it pays."""

    def evaluate(self, model: nn.Module, device: Device) -> Scores:
        """Scores on the validation samples."""

    def save(self, model: nn.Module, folder: Path, scores: Scores) -> None:
        """Write the trained model as users load it."""


# Options that may differ when a run is resumed: they change results by rounding only, or not at all.
_MAY_CHANGE = {"device", "precision", "compile", "workers", "patience"}

# About the maximum per run: epochs of a small set are short, and validation would take most of the time.
VALIDATIONS = 50


class Interrupted(SaccadeError):
    """The run was stopped by a signal, and its state is saved."""

    exit_code = 130


def train(
    task: Trainable, config: TrainConfig, folder: Path, resume: bool = False, source: BaseModel | None = None
) -> Scores:
    """Train and validate after every epoch (of more than VALIDATIONS, after every second, third, ...); keep the best
    averaged weights in `folder`/model.

    Writes config.json, log.jsonl, TensorBoard events, and state/ to resume from. source: options that the task
    was built from, stored with the run for resuming it (`resume_options`). Returns the scores of the weights kept.
    Raises SaccadeError on a loss that is not finite (before the update), and Interrupted after saving, when the user
    stops it.
    """
    device = join(config.device, config.precision)
    try:
        with deterministic(config.deterministic):
            return _Run(task, config, folder, device).go(resume, source)
    finally:
        leave(device)


class _Run:
    def __init__(self, task: Trainable, config: TrainConfig, folder: Path, device: Device):
        config = config.fitted(len(task))
        assert config.batch is not None
        assert config.epochs is not None
        _check(len(task), config.batch, device)
        self.batch, self.epochs = config.batch, config.epochs
        self.task, self.config, self.folder, self.device = task, config, folder, device
        self.per_epoch = max(1, len(task) // self.batch)
        self.steps = self.per_epoch * self.epochs
        self.between = self.per_epoch * max(1, round(self.epochs / VALIDATIONS))  # steps between validations
        self.model = task.model.to(device.device)
        self.average = moving_average(self.model, config.ema)
        self.optimizers = optimizers(self.model, config)
        self.best = Selection(task.selection_metric)
        self.patience = None if config.patience is None else config.patience * self.per_epoch
        self.step = 0

    def go(self, resume: bool, source: BaseModel | None) -> Scores:
        if resume:
            self._check_same_options()
        with exclusive_folder(self.folder, self.device):
            self._begin(resume, source)
            try:
                self._train()
            finally:
                self.log.close()
        return self.best.kept

    def _begin(self, resume: bool, source: BaseModel | None) -> None:
        notes: list[str] = []
        if resume:
            notes = self._resume()
        else:
            self._write_options(source)
        self.schedulers = schedulers(self.optimizers, self.steps, self.config.warmup, self.step)
        self.forward = self._wrapped()
        self.log = RunLog(self.folder, self.steps, self.step, self.device.main)
        for note in notes:
            self.log.say(f"note: {note}")
        self.log.say(
            f"training on {self.device}: {len(self.task)} samples, {self.epochs} epochs of {self.per_epoch} steps of "
            f"{self.batch}{f', from step {self.step} on' if self.step else ''}; results go to {self.folder}"
        )
        if len(self.task) < self.batch:
            self.log.say(f"note: a batch has more pictures than the {len(self.task)} there are: it repeats them")

    def _train(self) -> None:
        if self._ended_early():
            return
        with stop_requested() as interrupted, closing(self._batches()) as ahead:
            for batches in ahead:
                stop = self._update(batches, interrupted)
                ended = self.step % self.between == 0 or self.step == self.steps
                if ended:
                    self._validate()
                if ended or stop:
                    self._save()
                if ended and self._ended_early():
                    return
                if stop and self.step < self.steps:
                    raise Interrupted(f"stopped after step {self.step}; {self.folder} can be resumed with --resume")

    def _ended_early(self) -> bool:
        """Whether the score has not risen for `--patience` epochs."""
        if self.step == self.steps or not self.best.exhausted(self.step, self.patience):
            return False
        epoch = self.best.improved // self.per_epoch
        self.log.say(f"ended early: {self.best.metric} has not risen since epoch {epoch} (--patience)")
        return True

    def _batches(self) -> Generator[list[Any]]:
        """This process's share of every remaining batch."""
        workers, device = self.config.workers, self.device
        sampler = self.task.sampler() if workers else self.task
        batches = Batches(sampler, self.batch, self.steps, self.config.seed, device.rank, device.world)
        return batches.ahead(self.step, workers)

    def _update(self, batches: list[Any], interrupted: Callable[[], bool]) -> bool:
        """One step. Returns whether to stop after it; the same in all processes."""
        torch.manual_seed(combined_seed(self.config.seed, self.step, self.device.rank, 1))  # for drop-path
        self.model.train()
        with self.device.precision():
            loss = self.task.loss(self.forward, batches, self.device.device)
        loss.backward()
        total, stops = self.device.sum(torch.stack([loss.detach(), loss.new_tensor(float(interrupted()))])).tolist()
        value = total / self.device.world
        self._check_finite(value)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        for scheduler in self.schedulers:
            scheduler.step()
        self.average.update_parameters(self.model)
        self.step += 1
        self.log.step(self.step, value, lr=float(self.schedulers[0].get_last_lr()[0]))
        return stops > 0

    def _check_finite(self, loss: float) -> None:
        """A finite loss can have a gradient that is not finite (0 * inf, the square root at 0)."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        found = {"loss": loss, "gradient": torch.nn.utils.get_total_norm(gradients).item()}
        for name, value in found.items():
            if not math.isfinite(value):
                raise SaccadeError(
                    f"the {name} of step {self.step} (epoch {self.step // self.per_epoch + 1}) is {value}: stopped "
                    f"before the update, so what {self.folder} holds is sound. Lower --lr, or look at the pictures of "
                    "that batch"
                )

    def _validate(self) -> None:
        """Validate the averaged weights at full size even while training images are smaller, so that weights are
        selected for the size at which they are used."""
        model = self.average.module.eval()
        scores, failure = validate(lambda: self.task.evaluate(model, self.device), self.device)
        if failure:
            self.log.say(f"note: no scores of step {self.step}, training goes on ({failure})")
        else:
            self.log.scores(self.step, self.step // self.per_epoch, scores, self._current_size())
        if self.best.update(scores, self.step) and self.device.main:
            self.task.save(model, self.folder / "model", scores)

    def _current_size(self) -> int | None:
        """Side of the images of the last step; None at full size."""
        size_at = getattr(self.task.recipe, "size_at", None)
        if size_at is None:
            return None
        size = size_at((self.step - 1) / self.steps)
        return size if size < size_at(1.0) else None

    def _save(self) -> None:
        if self.device.main:
            modules = {"weights": self.model, "average": self.average}
            extra = {"kept": self.best.kept, "improved": self.best.improved}
            save_state(self.folder / "state", self.step, modules, self.optimizers, extra)
        self.device.wait()  # torchrun ends all processes when one of them ends

    def _write_options(self, source: BaseModel | None) -> None:
        if states(self.folder / "state"):
            raise SaccadeError(f"{self.folder} already holds a run: resume it, or start one under another name")
        if self.device.main:
            made = {} if source is None else {"source": source.model_dump(mode="json")}
            (self.folder / "config.json").write_text(json.dumps({**self._options(), **made}, indent=1))

    def _options(self) -> dict[str, Any]:
        return {
            **self.config.model_dump(),
            "data": self.task.identity,
            "recipe": self.task.recipe.model_dump(),
        }

    def _check_same_options(self) -> None:
        """Learning rates, order and augmentation follow from the options, so a resumed run must have the same."""
        before = _flat(saved_options(self.folder))
        for name, value in _flat(json.loads(json.dumps(self._options()))).items():
            if name == "epochs" and value > before.get(name, value):  # the rates follow the longer schedule
                continue
            if name not in _MAY_CHANGE and before.get(name, value) != value:
                raise SaccadeError(
                    f"{self.folder} was started with {name} {before[name]}, and is now given {value}: resume it with "
                    "the options it was started with"
                )

    def _resume(self) -> list[str]:
        """Restore the newest intact state. Returns notes for the log."""
        modules = {"weights": self.model, "average": self.average}
        found = load_state(self.folder / "state", modules, self.optimizers)
        if found is None:
            raise nothing_to_resume(self.folder)
        state, notes = found
        self.step = state["step"]
        self.best.kept, self.best.improved = state.get("kept", {}), state.get("improved", self.step)
        before = saved_options(self.folder)
        if before.get("epochs") != self.epochs:
            notes.append(f"the run has {self.epochs} epochs now, and had {before.get('epochs')}")
            if self.device.main:
                (self.folder / "config.json").write_text(json.dumps({**before, "epochs": self.epochs}, indent=1))
        return notes

    def _wrapped(self) -> nn.Module:
        model: Any = self.model
        if _should_compile(self.config, self.device, self.steps):
            model = self.task.compiled(model)
        if self.device.world > 1:
            model = DistributedDataParallel(model)
        return model


def _check(samples: int, batch: int, device: Device) -> None:
    if not samples:
        raise SaccadeError("there is no training sample: give pictures to train on")
    if batch > max(samples, SHARDS):
        raise SaccadeError(f"a batch of {batch} is more than the {samples} training samples: lower --batch")
    if batch % SHARDS or SHARDS % device.world:
        raise SaccadeError(
            f"a batch of {batch} on {device.world} processes: the batch must be a multiple of {SHARDS}, and the "
            f"processes a divisor of {SHARDS}"
        )


def _should_compile(config: TrainConfig, device: Device, steps: int) -> bool:
    """Compiling takes one or two minutes per image size and makes steps 2 to 8 times faster."""
    if config.compile != "auto":
        return config.compile == "yes"
    compiler = device.device.type == "cuda" or any(map(shutil.which, ("g++", "clang++")))
    return compiler and steps > 500


def _flat(options: dict[str, Any]) -> dict[str, Any]:
    return {**{k: v for k, v in options.items() if k != "recipe"}, **options.get("recipe", {})}
