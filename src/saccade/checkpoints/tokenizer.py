"""The tokenizer of a checkpoint: how a text is prepared and cut into tokens, as the class that the checkpoint names
does it.

tokenizer.json does not tell all: some classes of transformers change the text in Python first.
"""

import string
from typing import Any

from saccade.checkpoints.files import OpenedCheckpoint, read_json
from saccade.checkpoints.spiece import read_sentencepiece
from saccade.errors import CheckpointError, in_one_line, is_parser_error


def tokenizer_settings(source: OpenedCheckpoint) -> dict[str, Any]:
    """The contents of tokenizer_config.json, {} without one."""
    path = source.tokenizer.get("tokenizer_config.json")
    return {} if path is None else read_json(path)


def read_tokenizer(source: OpenedCheckpoint, family: str, notes: list[str]) -> Any:
    """A tokenizer of the library tokenizers that makes the tokens that the checkpoint's own makes. family: of the
    matcher. Appends to `notes`.

    Raises CheckpointError for a missing or damaged file."""
    settings = tokenizer_settings(source)
    name = str(settings.get("tokenizer_class", "")).removesuffix("Fast")
    if "tokenizer.json" in source.tokenizer:
        tokenizer = _from_json(source)
    elif name == "SiglipTokenizer" and "spiece.model" in source.tokenizer:
        tokenizer = read_sentencepiece(source.tokenizer["spiece.model"], _content(settings.get("eos_token"), "</s>"))
    else:
        raise CheckpointError(
            f"{source.name}: no tokenizer.json, which says how text is cut into tokens; make one with transformers: "
            "AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER)"
        )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if name == "Siglip2Tokenizer" and settings.get("do_lower_case", True):
        _prepend(tokenizer, lower=True)
    elif name == "SiglipTokenizer":
        _prepend(tokenizer, lower=bool(settings.get("do_lower_case", True)), marks=string.punctuation)
    elif name == "GemmaTokenizer" and family == "siglip":
        notes.append("SigLIP 2 was trained on lower-case texts, and this tokenizer keeps capitals: write in lower case")
    return tokenizer


def _from_json(source: OpenedCheckpoint) -> Any:
    path = source.tokenizer["tokenizer.json"]
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except BaseException as error:  # it raises nothing narrower
        if not is_parser_error(error):
            raise
        raise CheckpointError(f"{path} is no tokenizer that can be read: {in_one_line(error)}") from error


def _prepend(tokenizer: Any, lower: bool, marks: str = "") -> None:
    """Lower a text and remove marks before anything else; a text that has been through it does not change again."""
    from tokenizers import Regex, normalizers

    steps: list[Any] = [normalizers.Lowercase()] if lower else []
    if marks:
        every = "".join(f"\\{mark}" for mark in marks)
        steps += [normalizers.Replace(Regex(f"[{every}]"), ""), normalizers.Replace(Regex(r"\s+"), " ")]
        steps.append(normalizers.Strip())
    own = [] if tokenizer.normalizer is None else [tokenizer.normalizer]
    tokenizer.normalizer = normalizers.Sequence([*steps, *own])


def _content(token: Any, default: str) -> str:
    """A token of tokenizer_config.json is its text, or a record with it."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else default
