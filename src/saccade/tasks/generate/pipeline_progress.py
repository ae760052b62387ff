"""The steps of a public pipeline, for a callback of ours."""

from collections.abc import Mapping
from typing import Any

from saccade.tasks.generate.sample import Callback


class PipelineProgress:
    """From a pipeline's callbacks to ours: `steps` of `total`, after the `done` of earlier pictures."""

    def __init__(self, callback: Callback | None, done: int, total: int, steps: int):
        self.callback, self.done, self.total, self.steps = callback, done, total, steps

    def callback_arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The argument of the pipeline's call. arguments: those that it has."""
        if self.callback is None:
            return {}
        return {"callback_on_step_end": self.end} if "callback_on_step_end" in arguments else {"callback": self.step}

    def end(self, pipeline: Any, index: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        # A scheduler may make more evaluations than steps (PNDM, Heun).
        self._report((index + 1) * self.steps // max(pipeline.num_timesteps, 1))
        return tensors

    def step(self, index: int, time: Any, latents: Any) -> None:
        self._report(index + 1)

    def _report(self, steps: int) -> None:
        assert self.callback is not None
        self.callback(self.done + min(steps, self.steps), self.total)
