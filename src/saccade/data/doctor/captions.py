"""What is wrong with the captions of a set."""

from collections import Counter

from saccade.data.captions.annotations import Captions
from saccade.data.doctor.findings import Findings, Split
from saccade.data.files import escape
from saccade.data.store import relative_to
from saccade.ops.words import split_words

LONG = 64  # words of a caption; CLIP reads 77 tokens, SigLIP 64


def examine_captions(captions: Captions, findings: Findings) -> Split:
    """Add what is wrong with the captions of a split to `findings`."""
    for problem in captions.problems:
        findings.add(problem.kind, problem.text)
    findings.extend("picture uncaptioned", (escape(relative_to(captions.root, name)) for name in captions.uncaptioned))
    counts: Counter[str] = Counter(caption for picture in captions.pictures for caption in picture.captions)
    findings.extend("caption shared", (f"{_start(text)}: {n} pictures" for text, n in counts.items() if n > 1))
    for picture in captions.pictures:
        for caption in picture.captions:
            words = len(split_words(caption)) if len(caption) > LONG else 0
            if words > LONG:
                name = escape(relative_to(captions.root, picture.name))
                findings.add("caption long", f"{name}: {_start(caption)}, {words} words")
    return Split(len(captions.pictures) + len(captions.uncaptioned), {}, captions=sum(counts.values()))


def _start(text: str) -> str:
    return f"'{escape(text[:60])}{'…' if len(text) > 60 else ''}'"
