"""Cases that failed once, and the driver itself."""

import mmap
import random
import time
from pathlib import Path

import pytest

from saccade.errors import DataError
from tests.fuzz import cases
from tests.fuzz.cases import SECONDS, make_case, open_case, reduce_case, run_case, save_case
from tests.fuzz.mutate import VALUES, mutate_json, mutate_png
from tests.fuzz.readers import READERS, Reader

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.json"))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_corrected_cases_stay_so(path):
    failure = run_case(*open_case(path))
    assert failure is None, failure.text


@pytest.mark.parametrize("reader", READERS)
def test_valid_files_are_read(reader):
    for tree in READERS[reader].seeds():
        failure = run_case(reader, tree)
        assert failure is None, failure.text


def test_a_case_is_the_same_every_time():
    assert make_case("coco", 7) == make_case("coco", 7)
    assert len({str(make_case("coco", i)) for i in range(20)}) > 15


def wrong(root: Path) -> None:
    data = b"".join(path.read_bytes() for path in sorted(root.iterdir()))
    if b"slow" in data:
        while True:
            time.process_time()
    if b"big" in data:
        with mmap.mmap(-1, 1 << 27) as fresh:  # not memory that the process has freed and holds still
            fresh[::4096] = bytes(1 << 15)
    if b"long" in data:
        raise DataError("long" * 1000)
    if b"x" in data and b"y" in data:
        raise KeyError("both")
    raise DataError("one line")


def test_what_counts_as_a_failure(monkeypatch, tmp_path):
    monkeypatch.setitem(cases.READERS, "wrong", Reader(list, wrong))
    monkeypatch.setattr(cases, "SECONDS", 0.3)
    monkeypatch.setattr(cases, "BYTES", 1 << 26)
    assert run_case("wrong", {"a": b"fine"}) is None
    kinds = {text: run_case("wrong", {"a": text}) for text in (b"slow", b"big", b"long", b"xy")}
    assert {text: failure and failure.kind for text, failure in kinds.items()} == {
        b"slow": "TooSlow in test_corpus.py:wrong",
        b"big": "wrong: over 1 GB",
        b"long": "DataError in test_corpus.py:wrong (message)",
        b"xy": "KeyError in test_corpus.py:wrong",
    }
    tree = {"a": b"..x..", "b": b"1234", "c": b"...y"}
    failure = run_case("wrong", tree)
    assert failure is not None
    small = reduce_case("wrong", tree, failure.kind)
    assert small == {"a": b"x", "c": b"y"}
    assert open_case(save_case(tmp_path, "wrong", small, failure)) == ("wrong", small)
    assert SECONDS == 5


def test_mutations_of_structure():
    rng = random.Random(0)
    document = b'{"a": [1, {"b": null}]}'
    changed = {mutate_json(document, rng) for _ in range(200)}
    assert len(changed) > 50
    assert len(VALUES) > 20
    assert mutate_png(b"\x89PNG\r\n\x1a\n", rng) is not None
