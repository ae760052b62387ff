"""Several asyncio tasks in one thread, blocks that end in any order, and many inside one another."""

import asyncio

import pytest
import torch

from saccade.errors import SaccadeError
from saccade.lens import drop_heads, edit, watch

from ..models import Attend
from .test_watch import assert_untouched

X = torch.randn(2, 5, 14)


@torch.no_grad()
def test_a_task_watches_its_own_calls_only():
    model = Attend()

    async def watched(steps, others):
        with watch(model) as trace:
            for _ in range(steps):
                model(X)
                others.set()
                await asyncio.sleep(0)
        return trace

    async def main():
        event = asyncio.Event()
        return await asyncio.gather(watched(3, event), watched(5, event), unwatched(event))

    async def unwatched(event):
        await event.wait()
        for _ in range(4):
            model(X)
            await asyncio.sleep(0)

    first, second, _ = asyncio.run(main())
    assert (len(first), len(second)) == (3, 5)
    assert [call.run for call in first] == [0, 1, 2]
    assert_untouched(model)


@torch.no_grad()
def test_tasks_that_are_created_inside_a_block_belong_to_it():
    model = Attend()

    async def run():
        model(X)

    async def main():
        with watch(model) as trace:
            await asyncio.gather(run(), run())
        return trace

    assert len(asyncio.run(main())) == 2


@torch.no_grad()
def test_an_edit_of_one_task_changes_nothing_for_another():
    model = Attend()
    plain = model(X)

    async def edited(ready, done):
        with edit(model, {"*": drop_heads(0)}):
            out = model(X)
            ready.set()
            await done.wait()
        return out

    async def unedited(ready, done):
        await ready.wait()
        out = model(X)
        done.set()
        return out

    async def main():
        ready, done = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(edited(ready, done), unedited(ready, done))

    changed, same = asyncio.run(main())
    assert torch.equal(same, plain)
    assert not torch.equal(changed, plain)
    assert_untouched(model)


@torch.no_grad()
def test_blocks_that_end_in_the_order_in_which_they_began():
    model = Attend()
    first, second = watch(model), watch(model)
    one, two = first.__enter__(), second.__enter__()
    model(X)
    first.__exit__(None, None, None)
    model(X)
    second.__exit__(None, None, None)
    model(X)
    assert (len(one), len(two)) == (1, 2)
    assert_untouched(model)


@torch.no_grad()
def test_blocks_inside_one_another_up_to_a_limit():
    model = Attend()
    blocks = [watch(model) for _ in range(65)]
    traces = [block.__enter__() for block in blocks[:64]]
    with pytest.raises(SaccadeError, match="64 watches and edits are inside one another already"):
        blocks[64].__enter__()
    model(X)
    for block in reversed(blocks[:64]):
        block.__exit__(None, None, None)
    assert {len(trace) for trace in traces} == {1}
    assert_untouched(model)
