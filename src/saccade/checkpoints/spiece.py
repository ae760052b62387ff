"""The file spiece.model of a sentencepiece tokenizer, which transformers saves without a tokenizer.json.

It is a protocol buffer (sentencepiece_model.proto of google/sentencepiece); of unigram models, as SigLIP's, what
matters is read here, and becomes a tokenizer of the library tokenizers.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from saccade.errors import CheckpointError, in_one_line, is_parser_error

MAX_BYTES = 1 << 26  # of a file; those of the largest vocabularies have 4 MB
_NORMAL, _UNKNOWN, _CONTROL, _USER = 1, 2, 3, 4  # types of pieces
_UNIGRAM = 1
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3  # fields of the whole
_PIECE, _SCORE, _TYPE = 1, 2, 3  # of a piece
_MODEL_TYPE, _BYTES = 3, 35  # of the trainer: the kind of model, and whether unknown characters become bytes
_NAME, _RULES, _SPACES = 1, 2, 4  # of the normalizer: its name, its table, whether repeated spaces become one
_KNOWN = (b"nmt_nfkc", b"nmt_nfkc_cf")  # normalizers under which a text has the tokens that transformers makes of it


def read_sentencepiece(path: Path, end: str) -> Any:
    """The tokenizer, which puts the token `end` after a text. Raises CheckpointError for a damaged file, and for
    models other than SigLIP's kind."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CheckpointError(f"it is larger than {MAX_BYTES >> 20} MB, and no file of a sentencepiece model is")
        return _tokenizer(path.read_bytes(), end)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except BaseException as error:
        if not is_parser_error(error):
            raise
        raise CheckpointError(f"{path} is no sentencepiece model that can be read ({in_one_line(error)})") from error


def _tokenizer(data: bytes, end: str) -> Any:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    vocabulary, special, unknown = list[tuple[str, float]](), list[str](), 0
    trainer: dict[int, Any] = {}
    rules: dict[int, Any] = {}
    for field, value in _fields(data):
        if field == _PIECES:
            piece = dict(_fields(value))
            text, kind = piece[_PIECE].decode(), piece.get(_TYPE, _NORMAL)
            if kind == _UNKNOWN:
                unknown = len(vocabulary)
            if kind in (_UNKNOWN, _CONTROL, _USER):
                special.append(text)
            vocabulary.append((text, struct.unpack("<f", piece.get(_SCORE, bytes(4)))[0]))
        elif field == _TRAINER:
            trainer = dict(_fields(value))
        elif field == _NORMALIZER:
            rules = dict(_fields(value))
    if trainer.get(_MODEL_TYPE, _UNIGRAM) != _UNIGRAM:
        raise CheckpointError("a sentencepiece model that is not unigram, which is not read")
    if (name := rules.get(_NAME)) not in _KNOWN or not rules.get(_SPACES, 1):
        raise CheckpointError(f"texts are normalized by {name!a} in it, which is not read; nmt_nfkc is")
    tokenizer = Tokenizer(models.Unigram(vocabulary, unknown, byte_fallback=bool(trainer.get(_BYTES, 0))))
    table = [normalizers.Precompiled(rules[_RULES])] if rules.get(_RULES) else []
    tokenizer.normalizer = normalizers.Sequence([*table, normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.add_special_tokens([text for text in special if text != end] + [end])
    number = tokenizer.token_to_id(end)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {end}", special_tokens=[(end, number)])
    return tokenizer


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a message: an integer, or bytes (Protocol Buffers, "Encoding")."""
    at = 0
    while at < len(data):
        key, at = _integer(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _integer(data, at)
            yield key >> 3, value
            continue
        size = {1: 8, 5: 4}.get(kind)
        if size is None:
            if kind != 2:
                raise CheckpointError("it is damaged, or no protocol buffer")
            size, at = _integer(data, at)
        if at + size > len(data):
            raise CheckpointError("it is cut short")
        yield key >> 3, data[at : at + size]
        at += size


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and the place after it."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise CheckpointError("it is cut short or damaged")
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at
