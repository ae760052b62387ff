"""Options of a training run: one schema for the command line and for the config.json of a run."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from saccade.data.digests import check_digest, with_digest
from saccade.data.output import write_file
from saccade.errors import SaccadeError, UsageError, in_one_line
from saccade.train.durations import format_run_length, parse_duration

if TYPE_CHECKING:
    from saccade.device import Device

# Every batch is divided into this many shards, each with its own random generator, so that images and losses are the
# same for any number of processes.
SHARDS = 8

CONFIG, LOCK = "config.json", ".lock"  # in the folder of a run

# Options that may differ when a run is resumed: they change results by rounding only, or not at all.
_MAY_CHANGE = {"device", "precision", "compile", "workers", "patience", "save_every", "cache"}

_MAY_GROW = {"epochs", "budget"}

Options = TypeVar("Options", bound=BaseModel)


class TrainConfig(BaseModel):
    """How to train. Rates are for the default batch."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, defer_build=True)

    epochs: Annotated[int | None, Field(gt=0)] = None
    """Passes over the training pictures; default: 30, or as many as 1,000 updates take. With --resume, more than the
    run had continue it, at the rates of the longer schedule."""
    budget: Annotated[Annotated[float, Field(gt=0)] | None, BeforeValidator(parse_duration)] = None
    """Time of the whole run, such as 1h, 30m, 90s or 2h30m, instead of --epochs: rates, sizes and validations follow
    the share of it that is used, and the number of passes follows from the speed of the machine, so that a run is not
    repeated bit for bit. --resume goes on with the time that is left, or with a larger budget."""
    batch: Annotated[int | None, Field(gt=0)] = None
    """Pictures an update, over all processes together; default: 256, less for small sets."""
    lr: Annotated[float, Field(gt=0)] = 0.02
    """Peak learning rate of Muon, which trains the matrices inside the blocks."""
    adam_lr: Annotated[float, Field(gt=0)] = 2e-3
    """Peak learning rate of AdamW, which trains everything else."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.02
    """Decoupled weight decay of matrices."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Part of the run over which rates rise from 0; afterwards they fall as a half cosine."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.998
    """Decay of the moving average of the weights, which is what is validated and kept."""
    patience: Annotated[int | None, Field(gt=0)] = None
    """Epochs without a better validation score after which the run ends early; default: it never does."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of everything random in the run."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """auto: bf16 where the hardware computes faster in it, else fp32."""
    compile: Literal["auto", "yes", "no"] = "auto"
    """Use torch.compile; auto: where a compiler is found, unless the run is too short to earn it back."""
    workers: Annotated[int, Field(ge=0, le=256)] = 0
    """Processes that prepare batches beside the training, which a GPU needs; 0 prepares them in its own process. The
    batches are the same for any number."""
    save_every: Annotated[float, Field(gt=0)] = 5.0
    """Minutes between states of the run, from which --resume goes on; one is also written before every validation."""
    deterministic: bool = False
    """Ask PyTorch for deterministic algorithms throughout."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        """Raises UsageError for a run whose length is given twice."""
        if self.epochs is not None and self.budget is not None:
            raise UsageError("--budget ends a run by time and --epochs by passes: give one of them")
        return self

    def with_auto_defaults(self, samples: int) -> "TrainConfig":
        """A copy whose unset batch size and, without a budget, number of epochs are chosen for this many training
        samples."""
        batch = self.batch or max(SHARDS, min(256, samples // 8 // SHARDS * SHARDS))
        epochs = None if self.budget else self.epochs or max(30, math.ceil(1000 / max(1, samples // batch)))
        return self.model_copy(update={"batch": batch, "epochs": epochs})


def saved_options(folder: Path) -> dict[str, Any]:
    """Contents of the config.json of a run: the fields of its TrainConfig, "recipe" and "source" (both objects), and
    "data", the task's identity. Empty for a run that was killed before it wrote them. Raises SaccadeError if there is
    no run to resume, or they cannot be read."""
    file = folder / CONFIG
    if not file.exists() and not any((folder / "state").glob("step-*")):
        if not (folder / LOCK).exists():
            raise SaccadeError(f"{folder} holds no complete state to resume from: start a run there without --resume")
        return {}
    try:
        before = check_digest(json.loads(file.read_bytes()))
        if not all(isinstance(part, dict) for part in (before, before.get("recipe", {}), before.get("source", {}))):
            raise TypeError("it does not hold the options of a run")
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise SaccadeError(f"{file} of the run to resume cannot be read: {in_one_line(error)}") from error
    return before


def write_options(folder: Path, options: dict[str, Any]) -> None:
    """Write the config.json of a run. Raises DataError if it cannot be written."""
    write_file(folder / CONFIG, json.dumps(with_digest(options), indent=1).encode())


def resume_options(folder: Path, given: Options, part: Literal["recipe", "source"] | None = None) -> Options:
    """`given` with its unset fields taken from the run in `folder`, for resuming it.

    part: where config.json holds these options; None for those of TrainConfig. A field is unset if
    it was not passed to the constructor of `given`. Raises SaccadeError as `saved_options` does, and for invalid
    options.
    """
    before = saved_options(folder)
    if part is None:
        before = {name: before[name] for name in type(given).model_fields if name in before}
        _check_length(folder, before, given)
    else:
        before = before.get(part, {})
    where = f"{folder / CONFIG} of the run to resume"
    try:
        return type(given).model_validate({**before, **given.model_dump(include=given.model_fields_set)})
    except ValidationError as error:
        found = error.errors()[0]
        if found["type"] == "extra_forbidden":
            raise SaccadeError(
                f"{where} has the option {found['loc'][0]}, which is unknown here: resume it with the task, and the "
                "version of saccade, that it was started with"
            ) from error
        raise SaccadeError(f"{where}: {in_one_line(error)}") from error


def check_same_options(folder: Path, options: dict[str, Any]) -> None:
    """Learning rates, order and augmentation follow from the options, so a resumed run must have those it was started
    with. Raises SaccadeError for others."""
    before = _flat(saved_options(folder))
    for name, value in _flat(json.loads(json.dumps(options))).items():
        if name in _MAY_GROW and None not in (value, old := before.get(name, value)) and value > old:
            continue  # the rates follow the longer schedule
        if name not in _MAY_CHANGE and before.get(name, value) != value:
            if name == "data":  # a digest, which says nothing to a reader
                raise SaccadeError(
                    f"{folder} was started with other pictures, classes, held-out pictures or --weights: resume it "
                    "with these, or start a run under another name"
                )
            raise SaccadeError(
                f"{folder} was started with {name} {before[name]}, and is now given {value}: resume it with the "
                "options it was started with"
            )


def update_run_length(folder: Path, config: TrainConfig, write: bool) -> list[str]:
    """Give a resumed run the length of `config`, if it had another. Returns notes for the log."""
    before = saved_options(folder)
    length = {name: getattr(config, name) for name in ("epochs", "budget")}
    if length == (old := {name: before.get(name) for name in length}):
        return []
    if write:
        write_options(folder, {**before, **length})
    return [f"the run has {format_run_length(**length)} now, and had {format_run_length(**old)}"]


def check_batch_size(samples: int, batch: int, device: "Device") -> None:
    """Raises SaccadeError for a batch that cannot be divided among the processes."""
    if not samples:
        raise SaccadeError("there is no training sample: give pictures to train on")
    if batch > max(samples, SHARDS):
        raise SaccadeError(f"a batch of {batch} is more than the {samples} training samples: lower --batch")
    if batch % SHARDS or SHARDS % device.world:
        raise SaccadeError(
            f"a batch of {batch} on {device.world} processes: the batch must be a multiple of {SHARDS}, and the "
            f"processes a divisor of {SHARDS}"
        )


def _check_length(folder: Path, before: dict[str, Any], given: BaseModel) -> None:
    """Raises SaccadeError where passes are given to a run by time, or time to one by passes."""
    for name, other in (("epochs", "budget"), ("budget", "epochs")):
        if getattr(given, name, None) is not None and before.get(other) is not None:
            raise SaccadeError(
                f"{folder} was started with a length of {format_run_length(before.get('epochs'), before.get('budget'))}"
                f": resume it without --{name}, or with a larger --{other}"
            )


def _flat(options: dict[str, Any]) -> dict[str, Any]:
    return {**{k: v for k, v in options.items() if k != "recipe"}, **options.get("recipe", {})}
