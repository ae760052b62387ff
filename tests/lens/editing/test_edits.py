"""Every edit against the explicit map of the same edit in float64, for random shapes, masks, groups and scales."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import saccade
from saccade.errors import SaccadeError
from saccade.lens import bias_source, borrow, cut, drop_heads, edit, scale_heads, scale_source, swap

from .cases import SDPA, Case, Raw, close, normal, run_edited


def one_edit(draw, h, n, m):
    """An edit, and what it does to a map, to the factors of its columns and to those of its heads."""
    heads = draw(st.lists(st.integers(-h, h - 1), min_size=1, max_size=2))
    sources = draw(st.lists(st.integers(-m, m - 1), min_size=1, max_size=2))
    targets = draw(st.lists(st.integers(-n, n - 1), min_size=1, max_size=3))
    factor = draw(st.sampled_from([0.0, 0.25, 3.0, -2.0]))
    heads_, sources_, targets_ = ([i % size for i in idx] for idx, size in ((heads, h), (sources, m), (targets, n)))

    def scaled(w, columns, rows):
        columns = columns.clone()
        columns[list(set(sources_))] *= factor
        return w, columns, rows

    def biased(w, columns, rows):
        w = w.clone()
        w[..., list(set(sources_))] *= abs(factor)
        return normal(w), columns, rows

    def severed(of, to):
        def apply(w, columns, rows):
            gone = torch.zeros(n, m, dtype=torch.bool)
            gone[torch.tensor(of)[:, None], torch.tensor(to)] = True
            return normal(w.masked_fill(gone, 0.0)), columns, rows

        return apply

    def headed(by):
        def apply(w, columns, rows):
            rows = rows.clone()
            rows[list(set(heads_))] *= by
            return w, columns, rows

        return apply

    every = list(range(n)), list(range(m))
    return draw(
        st.sampled_from(
            [
                (drop_heads(*heads), headed(0.0)),
                (scale_heads(factor, *heads), headed(factor)),
                (scale_source(sources, factor), scaled),
                (bias_source(torch.tensor(sources), abs(factor)), biased),
                (cut(targets, sources), severed(targets_, sources_)),
                (cut(targets=targets), severed(targets_, every[1])),
                (cut(sources=sources[0]), severed(every[0], sources_[:1])),
            ]
        )
    )


@given(data=st.data())
def test_edits_and_their_composition_are_exact(data):
    case = Case(data.draw)
    w, v = case.weights(), case.values()
    edits, columns, rows = [], torch.ones(w.shape[3]).double(), torch.ones(w.shape[1]).double()
    for _ in range(data.draw(st.integers(1, 3))):
        each, apply = one_edit(data.draw, *w.shape[1:])
        w, columns, rows = apply(w, columns, rows)
        edits.append(each)
    out, call = run_edited(case, edits, data.draw(st.booleans()))
    close(out, rows[:, None, None] * ((w * columns) @ v))
    close(call.weights(), w)
    shown = call.v.repeat_interleave(w.shape[1] // call.v.shape[1], dim=1)
    close(shown[..., : v.shape[-1]], rows[:, None, None] * columns[:, None] * v)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: drop_heads(), "drop_heads: head numbers .*at least one"),
        (lambda: drop_heads(1.5), "expected whole numbers"),
        (lambda: drop_heads(True), "whole number"),
        (lambda: scale_heads("a", 1), "scale_heads: a factor of 'a'"),
        (lambda: scale_heads(math.nan, 1), "a factor of nan"),
        (lambda: scale_source("ab", 2.0), "scale_source: token numbers 'ab'"),
        (lambda: bias_source(1, -1.0), "bias_source: a factor of -1.0; before the softmax it is 0 or more"),
        (lambda: cut(), "names neither targets nor sources"),
        (lambda: cut(sources=[]), "at least one"),
        (lambda: swap(3), "swap was given a int; expected the Trace"),
        (lambda: swap(saccade.Trace(), [1]), r"swap: tokens \[1\]"),
        (lambda: borrow(None), "borrow was given a NoneType"),
        (lambda: saccade.during(drop_heads, range(3)), "during: the function drop_heads; expected an edit"),
        (lambda: saccade.during(drop_heads(1), 3), "during: runs 3; expected a range"),
    ],
)
def test_what_is_no_edit_is_refused(make, message):
    with pytest.raises(SaccadeError, match=message):
        make()


@pytest.mark.parametrize(
    ("each", "message"),
    [
        (drop_heads(7), r"drop_heads of 'Raw': head 7; it has 4 heads, 0 to 3"),
        (scale_heads(2.0, -5), r"scale_heads of 'Raw': head -5"),
        (scale_source(5, 2.0), r"scale_source of 'Raw': source 5; it has 5 sources, 0 to 4"),
        (bias_source([0, 6], 2.0), r"bias_source of 'Raw': source 6"),
        (cut(targets=9), r"cut of 'Raw': target 9; it has 7 targets"),
        (cut(sources=-6), r"cut of 'Raw': source -6"),
    ],
)
def test_edits_that_do_not_fit_name_the_module(each, message):
    model, (q, k, v) = Raw(), (torch.randn(2, h, n, 3) for h, n in ((4, 7), (2, 5), (2, 5)))
    with pytest.raises(SaccadeError, match=message), edit(model, {"*": each}):
        model(SDPA, q, k, v, None, None, False)
