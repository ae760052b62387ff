"""Training batches of few different shapes, so that what is compiled once fits every step."""

from dataclasses import replace
from typing import cast

import torch
import torch.nn.functional as F

from saccade.layers import DiTBlock
from saccade.models.generator import Generator
from saccade.ops import WordBatch
from saccade.tasks.generate.batches import NoisedBatch

WORDS = 48  # of a caption
DIFFERENT = 512  # words of a batch
PARTS = 4  # of a batch; some hold the samples that are painted from pictures. Fewer mean fewer shapes to compile


def pad_words(words: WordBatch, max_bytes: int) -> WordBatch:
    """The words with padding to the same shapes for every batch; unchanged where they do not fit."""
    u, w = words.ids.shape
    m = words.index.shape[1]
    if u > DIFFERENT or m > WORDS:
        return words
    ids = F.pad(words.ids, (0, max_bytes - w, 0, DIFFERENT - u))
    byte_mask = F.pad(words.byte_mask, (0, max_bytes - w, 0, DIFFERENT - u))
    byte_mask[u:, 0] = True  # a word of no bytes has nothing to attend to
    index, word_mask = F.pad(words.index, (0, WORDS - m)), F.pad(words.word_mask, (0, WORDS - m))
    return replace(words, ids=ids, byte_mask=byte_mask, index=index, word_mask=word_mask)


def split_by_sources(batch: NoisedBatch) -> list[NoisedBatch]:
    """The samples without pictures to be painted from, whose absent sources are one token each, and the others, whose
    sources have a token for each patch. The others are filled up to a multiple of a quarter of the batch, at least one:
    all processes of a training use all weights."""
    b, sources = len(batch.t), batch.sources.values()
    if not sources or b % PARTS:
        return [batch]
    present = torch.stack([source.present for source in sources]).any(dim=0)
    n = max(1, -(-int(present.sum()) // (b // PARTS))) * (b // PARTS)
    order = present.int().argsort(descending=True, stable=True)
    plain = batch.part(order[n:])._replace(sources={})
    return [each for each in (plain, batch.part(order[:n])) if len(each.t)]


def compile_parts(generator: Generator, methods: bool) -> None:
    """Compile the parts that repeat, each once for all its repetitions and each shape for itself.

    methods: compile the keys and values of sources too, which takes a module's method, not a module."""
    encoder = generator.caption.encoder
    encoder.pool.compile(dynamic=False)
    for block in (*encoder.blocks, *generator.blocks, *([] if generator.refine is None else [generator.refine])):
        block.compile(dynamic=False)
    for block in generator.blocks if methods else ():
        attention = cast(DiTBlock, block).cross_attention
        setattr(attention, "keys_values", torch.compile(attention.keys_values, dynamic=False))  # noqa: B010
