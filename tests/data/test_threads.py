"""Items computed in threads while the caller works: in order, bounded, and with the error of each in its place."""

import threading
import time
from contextlib import closing

import pytest

from saccade.data.threads import in_background, map_threads, read_ahead


def test_results_come_in_order_though_the_first_takes_longest():
    def double(i: int) -> int:
        time.sleep(0.01 * (7 - i))
        return 2 * i

    assert [future.result() for future in read_ahead(double, range(7), 5, threads=5)] == list(range(0, 14, 2))
    assert list(map_threads(double, range(7), "items")) == list(range(0, 14, 2))
    assert list(read_ahead(double, [], 5)) == []


def test_the_next_ones_are_computed_while_the_caller_works():
    second = threading.Event()

    def compute(i: int) -> int:
        if i == 1:
            second.set()
        return i

    for future in read_ahead(compute, range(3), 2, threads=1):
        if future.result() == 0:
            assert second.wait(5)


def test_no_more_than_may_wait_are_begun():
    begun: list[int] = []
    for taken, future in enumerate(read_ahead(lambda i: begun.append(i), range(40), 3, threads=2), 1):
        future.result()
        time.sleep(0.002)
        assert len(begun) <= taken + 3
    assert sorted(begun) == list(range(40))


def test_none_is_begun_where_the_results_leave_no_room():
    begun: list[int] = []

    def compute(i: int) -> int:
        begun.append(i)
        return i

    def has_room(results) -> bool:
        assert results
        return len(results) < 2

    with closing(read_ahead(compute, range(11), 5, threads=1, has_room=has_room)) as futures:
        for taken, future in enumerate(futures, 1):
            assert future.result() == taken - 1
            time.sleep(0.01)
            assert len(begun) == min(11, taken + 2)  # those behind the one that was returned


def test_others_are_begun_while_the_caller_works():
    """As soon as one has ended, not when the caller comes back."""
    begun: list[int] = []
    futures = read_ahead(lambda i: begun.append(i), range(50), 7, threads=2)
    next(futures).result()
    time.sleep(0.1)
    assert begun == list(range(8))
    futures.close()


def test_an_error_is_raised_by_its_own_item():
    def compute(i: int) -> int:
        if i % 3 == 1:
            raise ValueError(f"item {i}")
        return i

    found = [future.exception() or future.result() for future in read_ahead(compute, range(6), 4)]
    assert [str(each) for each in found] == ["0", "item 1", "2", "3", "item 4", "5"]


def test_what_was_begun_has_ended_when_the_iterator_is_closed():
    running, ended = threading.Event(), threading.Event()

    def compute(i: int) -> int:
        if i == 1:
            running.set()
            time.sleep(0.05)
            ended.set()
        return i

    begun = read_ahead(compute, range(100), 10, threads=1)
    assert next(begun).result() == 0
    assert running.wait(5)
    begun.close()
    assert ended.is_set()


def test_a_generator_in_the_background():
    threads = set()

    def count(n: int):
        for i in range(n):
            threads.add(threading.current_thread())
            yield i
        raise ValueError("the end")

    items = in_background(count(5), 3)
    assert [next(items) for _ in range(5)] == list(range(5))
    with pytest.raises(ValueError, match="the end"):
        next(items)
    assert threading.current_thread() not in threads
    assert len(threads) == 1
    assert list(in_background(range(3), 2)) == [0, 1, 2]
