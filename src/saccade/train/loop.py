"""The training loop, the same for every task and for one process or many."""

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from saccade.device import init_device, leave_process_group
from saccade.errors import SaccadeError
from saccade.train.best_scores import Scores
from saccade.train.config import TrainConfig
from saccade.train.guards import deterministic
from saccade.train.run import Run
from saccade.train.signals import Interrupted
from saccade.train.state import describe_saved_state
from saccade.train.trainable import Trainable


def train(
    task: Trainable,
    config: TrainConfig,
    folder: Path,
    resume: bool = False,
    source: BaseModel | None = None,
    describe: Callable[[Path], list[str]] | None = None,
    begun: float | None = None,
) -> Scores:
    """Train and validate after every epoch (of more than VALIDATIONS, after every second, third, ...; with a budget,
    after shares of it); keep the best averaged weights in `folder`/model.

    Writes config.json, log.jsonl, TensorBoard events, and state/ to resume from: in the background, every
    `config.save_every` minutes and before every validation. source: options that the task was built from, stored with
    the run for resuming it (`resume_options`). describe: writes what else the folder of a new run holds, and returns
    notes on it. begun: `time.monotonic()` at which the time of `config.budget` begins; default: now. Returns the scores
    of the weights kept.
    SIGUSR1 saves the state. SIGINT, SIGTERM and SIGHUP save it and raise Interrupted; a second one ends the process.
    Raises SaccadeError on a loss that is not finite (before the update), and if a file cannot be written.
    """
    device = init_device(config.device, config.precision)
    with deterministic(config.deterministic):
        try:
            scores = Run(task, config, folder, device, begun).go(resume, source, describe)
        except Interrupted:  # other processes may still compute: leaving them in order would wait for them
            raise
        except BaseException as error:
            leave_process_group(device)
            if device.world > 1 and isinstance(error, RuntimeError) and "by peer" in str(error):  # of gloo
                raise SaccadeError(f"another process of the run was lost; {describe_saved_state(folder)}") from error
            raise
    leave_process_group(device)
    return scores
