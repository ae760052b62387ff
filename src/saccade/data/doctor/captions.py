"""What is wrong with the captions of a set."""

from collections import Counter
from collections.abc import Mapping

from saccade.data.captions.annotations import Captions
from saccade.data.doctor.findings import Findings, Split
from saccade.data.doctor.scan import ScannedFilm, ScannedImage
from saccade.data.files import escape
from saccade.data.store import relative_to
from saccade.ops.words import split_words

LONG = 64  # words of a caption; CLIP reads 77 tokens, SigLIP 64


def examine_captions(captions: Captions, seen: Mapping[str, ScannedImage], findings: Findings) -> Split:
    """Add what is wrong with the captions of a split to `findings`. seen: name -> picture or film."""
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
    films = [seen[name] for name in (*(each.name for each in captions.pictures), *captions.uncaptioned)]
    seconds = [each.seconds for each in films if isinstance(each, ScannedFilm)]
    length = float(sum(seconds)) if seconds else None
    return Split(len(films), {}, captions=sum(counts.values()), seconds=length)


def _start(text: str) -> str:
    return f"'{escape(text[:60])}{'…' if len(text) > 60 else ''}'"
