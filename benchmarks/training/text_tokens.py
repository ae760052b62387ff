"""Words pooled from their bytes against a trained byte-pair encoding, as the tokens of a text tower.

    python -m benchmarks.training.text_tokens
    python -m benchmarks.training.text_tokens --quick        # shows that it works

Both towers have the same blocks and pool, start from random weights and learn by the sigmoid loss to match the vectors
that the bundled matcher's frozen picture tower gives drawn scenes, for the same processor seconds of training steps.
One reads a token a word, pooled from the word's bytes (`saccade.models.text`), the other the tokens of a BPE of the
`tokenizers` library (Sennrich et al. 2016; byte level), trained on the captions, with an embedding each.

Recall@1 of texts in sets of 100 other scenes with one caption each (captions that other scenes share count as wrong),
in English, in Korean, and in English with two neighbouring letters of one word exchanged. A small comparison: it tells
which learns faster in seconds, not where both end; and the picture tower was trained beside a tower of the first kind.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import cyclopts
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.common.machine import print_machine
from benchmarks.common.outputs import FLAT, Outputs
from saccade.data.scenes import Scenes, sample_caption
from saccade.data.scenes.phrasing import Language
from saccade.data.scenes.random_stream import RandomStream
from saccade.layers import NORMS, AttentionPool, Block
from saccade.models.matcher import unit_vectors
from saccade.models.text import TextEncoder, TextEncoderConfig, word_rotary_angles
from saccade.ops import tokenize
from saccade.ops.image_text_matching import sigmoid_loss
from saccade.tasks.judge.scores import Share
from saccade.tasks.loading import load

BATCH, SET, SEED = 64, 100, 9_000_011  # of scenes that nothing else draws
WIDTH = 128

app = cyclopts.App(help=__doc__, help_format="plaintext")


@dataclass
class TokenSettings:
    """What is compared.

    Parameters
    ----------
    seconds
        Processor seconds of the training steps of each tower.
    scenes
        To train on, each with four captions.
    held_out
        To score on, in sets of 100.
    vocabulary
        Tokens of the byte-pair encoding.
    seeds
        Runs of each tower.
    quick
        One second each; the figures mean nothing.
    """

    seconds: float = 30.0
    scenes: int = 2000
    held_out: int = 500
    vocabulary: int = 1000
    seeds: int = 2
    quick: bool = False

    def __post_init__(self) -> None:
        if self.quick:
            self.seconds, self.scenes, self.held_out, self.seeds = 1.0, 100, 100, 1


class Words(nn.Module):
    """One token a word, from its bytes."""

    def __init__(self, _: Sequence[str], __: int):
        super().__init__()
        config = TextEncoderConfig.model_validate({"max_words": 128})
        self.encoder, self.pool = TextEncoder(config), AttentionPool(WIDTH, config.block.heads, config.block.width)

    def tokens(self, texts: Sequence[str]) -> Any:
        return tokenize(texts, 128, 32)

    def forward(self, words: Any) -> Tensor:
        return unit_vectors(self.pool(self.encoder(words), words.word_mask))


class Subwords(nn.Module):
    """The tokens of a byte-pair encoding of the captions."""

    def __init__(self, texts: Sequence[str], vocabulary: int):
        super().__init__()
        from tokenizers import ByteLevelBPETokenizer

        self.bpe, config = ByteLevelBPETokenizer(), TextEncoderConfig()
        self.bpe.train_from_iterator(texts, vocab_size=vocabulary, show_progress=False)
        self.block = config.block
        self.embed = nn.Embedding(self.bpe.get_vocab_size(), self.block.width)
        self.blocks = nn.ModuleList(Block(self.block) for _ in range(config.depth))
        self.norm = NORMS[self.block.norm](self.block.width, eps=self.block.eps)
        self.pool = AttentionPool(WIDTH, self.block.heads, self.block.width)

    def tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        rows = [torch.tensor(each.ids) for each in self.bpe.encode_batch(list(texts))]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
        return ids.clamp(min=0), ids >= 0

    def forward(self, tokens: tuple[Tensor, Tensor]) -> Tensor:
        ids, mask = tokens
        x = self.embed(ids)
        angles = word_rotary_angles(x, self.block)
        for block in self.blocks:
            x = block(x, mask=mask[:, None, None, :], angles=angles)
        return unit_vectors(self.pool(self.norm(x), mask))


@app.default
def main(settings: Annotated[TokenSettings, FLAT] | None = None, out: Annotated[Outputs, FLAT] | None = None) -> None:
    settings, out = settings or TokenSettings(), out or Outputs()
    print_machine()
    vectors, captions = drawn(Scenes(settings.scenes, 64, SEED, objects=(1, 3), apart=True, combinations="seen"), 4)
    world = Scenes(settings.held_out, 64, SEED + 1, objects=(1, 3), apart=True, combinations="seen")
    others = {language: drawn(world, 1, language) for language in ("en", "ko")}
    tests = {name: (found, [row[0] for row in rows]) for name, (found, rows) in others.items()}
    tests["en, letters exchanged"] = (tests["en"][0], [misspelt(text, i) for i, text in enumerate(tests["en"][1])])
    texts = [text for row in captions for text in row]
    results: dict[str, list[dict[str, Any]]] = {"words": [], "subwords": []}
    for seed in range(settings.seeds):
        for name, kind in (("words", Words), ("subwords", Subwords)):
            torch.manual_seed(seed)
            tower = kind(texts, settings.vocabulary)
            steps = train(tower, vectors, captions, settings.seconds, seed)
            recalls = {test: recall(tower, *each) for test, each in tests.items()}
            results[name].append({"steps": steps, **{test: each.value for test, each in recalls.items()}})
            figures = "  ".join(f"{test} {share}" for test, share in recalls.items())
            print(f"{name:<9} seed {seed}  {steps} steps  recall@1: {figures}")
    out.write(results, settings)


def drawn(world: Scenes, count: int, language: Language | None = None) -> tuple[Tensor, list[list[str]]]:
    """The vectors of the scenes, and `count` captions of each."""
    task, pixels, captions = load("matcher"), [], []
    for i in range(len(world)):
        scene = world.scene(i)
        pixels.append(torch.from_numpy(scene.pixels).permute(2, 0, 1))
        captions.append(
            [sample_caption(scene.description, RandomStream(SEED, i, k), language).text for k in range(count)]
        )
    with torch.no_grad():
        parts = torch.stack(pixels).split(BATCH)
        vectors = [task.model.eval().encode_pictures(task.preprocess.normalize(part)).vector for part in parts]
    return torch.cat(vectors), captions


def misspelt(text: str, seed: int) -> str:
    """With two neighbouring letters of its longest word exchanged, but not the first one."""
    words = text.split(" ")
    at = max(range(len(words)), key=lambda i: len(words[i]))
    word = words[at]
    i = random.Random(seed).randrange(1, max(2, len(word) - 1))
    words[at] = word[:i] + word[i + 1 : i + 2] + word[i : i + 1] + word[i + 2 :]
    return " ".join(words)


def train(tower: Any, vectors: Tensor, captions: list[list[str]], seconds: float, seed: int) -> int:
    """Steps done in so many processor seconds; tokens are made outside of them, as by workers."""
    scale = nn.Parameter(torch.tensor([2.3, -10.0]))  # log of the factor, and bias, as SigLIP starts them
    optimizer = torch.optim.AdamW([*tower.parameters(), scale], lr=1e-3, weight_decay=0.01)
    generator, spent, steps = torch.Generator().manual_seed(seed), 0.0, 0
    labels = torch.eye(BATCH, dtype=torch.long)
    tower.train()
    while spent < seconds:
        chosen = torch.randint(len(captions), (BATCH,), generator=generator).tolist()
        kinds = torch.randint(len(captions[0]), (BATCH,), generator=generator).tolist()
        tokens = tower.tokens([captions[i][k] for i, k in zip(chosen, kinds, strict=True)])
        begun = time.process_time()
        logits = scale[0].exp() * F.linear(vectors[chosen], tower(tokens)) + scale[1]
        optimizer.zero_grad()
        sigmoid_loss(logits, labels).backward()
        optimizer.step()
        spent, steps = spent + time.process_time() - begun, steps + 1
    return steps


@torch.no_grad()
def recall(tower: Any, vectors: Tensor, texts: list[str]) -> Share:
    """Of pictures whose own text is the best of its set."""
    tower.eval()
    right = 0
    for first in range(0, len(texts), SET):
        part = slice(first, first + SET)
        found = (vectors[part] @ tower(tower.tokens(texts[part])).T).argmax(dim=1)
        right += int((found == torch.arange(len(found))).sum())
    return Share(right, len(texts))


if __name__ == "__main__":
    app()
