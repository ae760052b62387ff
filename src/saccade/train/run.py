"""One training run: its steps, validations and states."""

import copy
import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from saccade.data.output import WriteError
from saccade.device import Device, precision_cost
from saccade.errors import SaccadeError, pluralize
from saccade.tasks.saved import is_intact
from saccade.train.batches import Batches
from saccade.train.best_scores import BestScoreTracker, Scores, validate
from saccade.train.config import TrainConfig, check_batch_size, check_same_options, update_run_length, write_options
from saccade.train.durations import format_duration
from saccade.train.estimate import DurationEstimator
from saccade.train.forward import ForwardBackwardPass
from saccade.train.guards import check_finite, exclusive_folder
from saccade.train.log import RunLog
from saccade.train.optim import moving_average, optimizers, schedulers
from saccade.train.schedule import make_schedule
from saccade.train.seeds import combined_seed
from saccade.train.signals import Interrupted, Signals, Stopped
from saccade.train.state import (
    State,
    copy_state,
    copy_weights,
    describe_saved_state,
    list_states,
    load_state,
    remove_partial_files,
    write_state,
)
from saccade.train.state_writer import StateWriter
from saccade.train.trainable import Stateful, SupportsCalibration, Trainable


class Run:
    """A task trained in a folder, from its first step or from the state of an earlier process."""

    def __init__(self, task: Trainable, config: TrainConfig, folder: Path, device: Device, begun: float | None = None):
        config = config.with_auto_defaults(len(task))
        assert config.batch is not None
        check_batch_size(len(task), config.batch, device)
        self.batch = config.batch
        self.task, self.config, self.folder, self.device = task, config, folder, device
        self.per_epoch = max(1, len(task) // self.batch)
        calibrations = task.calibration_cost if isinstance(task, SupportsCalibration) else 0.0
        self.schedule = make_schedule(config, self.per_epoch, device, begun, calibrations)
        self.size_at: Callable[[float], int] | None = getattr(task.recipe, "size_at", None)
        self.model = task.model.to(device.device)
        self.average = moving_average(self.model, config.ema)
        self.modules = {"weights": self.model, "average": self.average}
        self.optimizers = optimizers(self.model, config)
        self.best = BestScoreTracker(task.selection_metric)
        self.best_weights: dict[str, Tensor] | None = None
        self.patience = None if config.patience is None else config.patience * self.per_epoch
        self.step = self.validated = 0  # updates so far, and before the last validation
        self.sound = True  # no update is half done
        self.saved = time.monotonic()
        self.signals = Signals(self._save)
        self.writer = StateWriter(self._copy, self._write)

    def go(self, resume: bool, source: BaseModel | None, describe: Callable[[Path], list[str]] | None = None) -> Scores:
        if resume:
            check_same_options(self.folder, self._options())
        with exclusive_folder(self.folder, self.device):
            self._begin(resume, source)
            if describe is not None and self.device.main and not self.step:
                self.log.notes(*describe(self.folder))
            try:
                with self.writer, self.signals.handled():
                    self._train()
            except WriteError as error:
                raise WriteError(
                    f"{error}. Stopped after step {self.step}: {describe_saved_state(self.folder)}"
                ) from error
            finally:
                self.log.close()
        return self.best.kept

    def _begin(self, resume: bool, source: BaseModel | None) -> None:
        if self.device.main:
            remove_partial_files(self.folder)
        resumed = resume and bool(list_states(self.folder / "state"))
        notes = self._resume() if resumed else self._start(resume, source)
        self.schedulers = schedulers(self.optimizers, self.schedule.lr_factor(self.config.warmup), self.step)
        self.estimate = DurationEstimator(self.schedule, self.step, self.per_epoch, self.size_at)
        self.log = RunLog(self.folder, self.schedule.steps, self.step, self.validated, self.device.main)
        self.gradients = ForwardBackwardPass(
            self.task, self.model, self.config, self.device, self.schedule.steps, self.log.notes
        )
        self.log.notes(*notes, precision_cost(self.device))
        self.log.say(
            f"training on {self.device}: {pluralize(len(self.task), 'sample')}, {self.schedule} of "
            f"{self.batch}{f', from step {self.step} on' if self.step else ''}; results go to {self.folder}"
        )
        if len(self.task) < self.batch:
            self.log.notes(f"a batch has more samples than the {len(self.task)} there are: it repeats them")

    def _train(self) -> None:
        try:
            self._validate()  # before which the run was stopped
            with closing(self._batches()) as ahead:
                while not self.schedule.ended(self.step) and not self._ended_early():
                    self._update(ahead)
                    self._validate()
            self._finish()
            self._calibrate()
            self.device.barrier()  # torchrun ends all processes when one of them ends
        except Stopped as stopped:
            self._finish()
            raise Interrupted(
                f"stopped after step {self.step}; {self.folder} can be resumed with --resume", stopped.number
            ) from None
        except Exception:
            if self.sound and self.step:
                with suppress(Exception):  # the error before it is the one to report
                    self._finish()
            raise

    def _ended_early(self) -> bool:
        """Whether the score has not risen for `--patience` epochs."""
        if self.step == 0 or self.schedule.ended(self.step) or self.step != self.validated:
            return False
        if not self.best.out_of_patience(self.step, self.patience):
            return False
        epoch = self.best.improved // self.per_epoch
        self.log.say(f"ended early: {self.best.metric} has not risen since epoch {epoch} (--patience)")
        return True

    def _batches(self) -> Generator[list[Any]]:
        """This process's share of every remaining batch."""
        workers, device = self.config.workers, self.device
        sampler = self.task.sampler() if workers else self.task
        batches = Batches(sampler, self.batch, self.config.seed, device.rank, device.world)
        return batches.prefetch(self.schedule.upcoming(self.step), workers)

    def _update(self, ahead: Iterator[list[Any]]) -> None:
        """One step. Before its update it is given up on a signal; of several processes, all end after the same one."""
        alone, begun = self.device.world == 1, time.monotonic()
        with self.signals.interruptible(ends=alone):
            batches = next(ahead)
            loss = self.gradients(batches, combined_seed(self.config.seed, self.step, self.device.rank, 1))
            stop = loss.new_tensor(float(self.signals.number > 0 and not alone))
            total, stops = self.device.sum_over_processes(torch.stack([loss, stop])).tolist()
            value = total / self.device.world
            check_finite(self.model, value, self.step, self.per_epoch, self.folder)
        self.writer.wait_for_copy()
        self.schedule.tick()
        self.sound = False
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        for scheduler in self.schedulers:
            scheduler.step()
        self.average.update_parameters(self.model)
        self.step += 1
        self.sound = True
        rate = float(self.schedulers[0].get_last_lr()[0])
        self.log.step(self.step, value, self.schedule.ended(self.step), lr=rate)
        if (estimated := self.estimate.add(time.monotonic() - begun)) is not None:
            self.log.log_estimate(self.step, *estimated)
        if stops:
            self._finish()
            self.device.barrier()
            raise Stopped(self.signals.number or signal.SIGTERM)
        if time.monotonic() - self.saved >= 60 * self.config.save_every:
            self._save()

    def _validate(self) -> None:
        """Where it is time, validate the averaged weights: at full size even while training images are smaller, so that
        weights are selected for the size at which they are used."""
        if self.step == self.validated or not self.schedule.validates(self.step):
            return
        begun = time.monotonic()
        self._save()
        with self.signals.interruptible():
            model = self.average.module.eval()
            torch.manual_seed(combined_seed(self.config.seed, self.step, self.device.rank, 2))  # the same when repeated
            scores, failure = validate(lambda: self.task.evaluate(model, self.device), self.device)
        self.writer.wait_for_copy()
        if failure:
            self.log.notes(f"no scores of step {self.step}, training goes on ({failure})")
        else:
            self.log.log_scores(self.step, self._epoch(), scores, self._current_size())
        self.validated = self.step
        if self.best.update(scores, self.step) and self.device.main:
            self.best_weights = copy_weights(model)
            if not list_states(self.folder / "state"):  # a model is never there before a state to resume from
                self.writer.wait()
            self.task.save(model, self.folder / "model", scores)
        self.schedule.add_validation_time(time.monotonic() - begun)

    def _epoch(self) -> float:
        """Passes over the training samples so far."""
        whole, part = divmod(self.step, self.per_epoch)
        return round(self.step / self.per_epoch, 2) if part else whole

    def _calibrate(self) -> None:
        """Calibrate the trained model. It may be interrupted: resuming the finished run does it again."""
        place = self.folder / "model"
        if not (self.device.main and isinstance(self.task, SupportsCalibration) and place.is_dir()):
            return
        with self.signals.interruptible():
            calibrated, note = self.task.calibrate(place, self.device)
        if calibrated is not None:
            calibrated.save(place)
        self.log.notes(note)

    def _current_size(self) -> int | None:
        """Side of the images of the last step; None at full size."""
        if self.size_at is None:
            return None
        size = self.size_at(self.schedule.progress(self.step - 1))
        return size if size < self.size_at(1.0) else None

    def _save(self) -> None:
        """Begin to write the state, unless one is being written."""
        if self.device.main and self.writer.start((self.step, self.validated), self._fields()):
            self.saved = time.monotonic()

    def _finish(self) -> None:
        """Return when the state is written."""
        if self.device.main:
            self.writer.finish((self.step, self.validated), self._fields())

    def _fields(self) -> dict[str, Any]:
        """Of the state, besides weights and optimizers."""
        gathered = {"task": self.task.state_dict()} if isinstance(self.task, Stateful) else {}
        return {
            "step": self.step,
            "validated": self.validated,
            "kept": self.best.kept,
            "improved": self.best.improved,
            "device": self.device.device.type,
            "bf16": self.device.bf16,
            **self.schedule.state(),
            **gathered,
        }

    def _copy(self, fields: dict[str, Any]) -> State:
        return copy_state(fields["step"], self.modules, self.optimizers, fields, self.best_weights)

    def _write(self, state: State) -> None:
        self.log.sync()
        write_state(self.folder / "state", state)

    def _start(self, again: bool, source: BaseModel | None) -> list[str]:
        """Write the options of a new run. Returns notes for the log."""
        if list_states(self.folder / "state"):
            raise SaccadeError(f"{self.folder} already holds a run: resume it, or start one under another name")
        if again and (self.folder / "model").is_dir():
            raise SaccadeError(
                f"{self.folder} holds a model but no state to resume from, and beginning anew would replace the model: "
                f"start a run under another name, with --weights {self.folder} to begin with its weights"
            )
        self.schedule.begin({})
        if self.schedule.ended(0):
            used = format_duration(self.schedule.state()["used"])
            raise SaccadeError(f"the time of --budget was over before the training began, after {used}: give more")
        if self.device.main:
            made = {} if source is None else {"source": source.model_dump(mode="json")}
            write_options(self.folder, {**self._options(), **made})
        return [f"{self.folder} was ended before its first state was saved: it starts from the beginning"] * again

    def _options(self) -> dict[str, Any]:
        return {
            **self.config.model_dump(),
            "data": self.task.identity,
            "recipe": self.task.recipe.model_dump(mode="json"),
        }

    def _resume(self) -> list[str]:
        """Restore the newest intact state. Returns notes for the log."""
        found = load_state(self.folder / "state", self.modules, self.optimizers)
        assert found is not None
        state, notes = found
        self.step = state["step"]
        self.validated = state.get("validated", self.step)  # earlier versions saved it after validating
        self.best.kept, self.best.improved = state.get("kept", {}), state.get("improved", self.step)
        self.best_weights = state.get("best")
        self.schedule.begin(state)
        if self.config.precision == "auto" and state.get("device") == self.device.device.type:
            self.device = replace(self.device, bf16=state["bf16"])  # a measured choice could differ at each start
        if "task" in state and isinstance(self.task, Stateful):
            self.task.load_state_dict(state["task"])
        self._restore_model()
        return [*notes, *update_run_length(self.folder, self.config, self.device.main)]

    def _restore_model(self) -> None:
        """Make model/ that of the state, unless the run is finished and it is sound."""
        place = self.folder / "model"
        finished = self.validated == self.step and self.schedule.ended(self.step)
        if self.best_weights is not None and not (finished and is_intact(place)):
            model = copy.deepcopy(self.average.module)
            model.load_state_dict(self.best_weights)
            if self.device.main:
                self.task.save(model.eval(), place, self.best.kept)
        elif self.best_weights is None and not place.is_dir():  # of an earlier version: found anew
            self.best.kept, self.validated = {}, 0
