"""Prompts that a public pipeline takes: without weights, and no longer than its text encoders read."""

from typing import Any

from saccade.checkpoints.pipelines import quiet_diffusers
from saccade.errors import DataError, printable
from saccade.tasks.generate.prompt import parse_prompt


def check_prompts(name: str, tokenizers: list[tuple[Any, int]], prompt: str, negative: str) -> None:
    """name: of the pipeline. tokenizers: each with the number of tokens that is taken from it.

    Raises DataError for a prompt that is empty, and for one with weights or too long."""
    for which, text in (("prompt", prompt), ("negative prompt", negative)):
        if any(weight != 1 for _, _, weight in parse_prompt(text).weights):
            raise DataError(
                f'the {which} "{printable(text[:60])}" has weights, which {name} does not take: leave them out, and '
                "write plain brackets as \\( and \\)"
            )
    if not parse_prompt(prompt).text.strip():
        raise DataError('the prompt is empty: say what to paint, as in "a red star"')
    for which, text in (("prompt", prompt), ("negative prompt", negative)):
        _check_length(name, tokenizers, which, parse_prompt(text).text)


def _check_length(name: str, tokenizers: list[tuple[Any, int]], which: str, text: str) -> None:
    """Against the longest of the pipeline's text encoders."""
    with quiet_diffusers(name):
        room = [(len(tokenizer(text)["input_ids"]) - most, most) for tokenizer, most in tokenizers]
    if room and min(room)[0] > 0:
        more, most = min(room)
        raise DataError(f"the {which} has {most + more} tokens; {name} takes {most}: use fewer words")
