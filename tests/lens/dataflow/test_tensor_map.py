"""Tables by tensor: keys are objects, and none is kept alive."""

import gc
import weakref

import torch

from saccade.lens.dataflow.tensor_map import TensorMap


def test_keys_are_objects_not_numbers():
    table: TensorMap[str] = TensorMap()
    a, b = torch.zeros(3), torch.zeros(3)
    table[a] = "a"
    assert a in table
    assert b not in table
    assert a.view(3) not in table
    assert (table.get(b), table.get(b, "none"), table[a]) == (None, "none", "a")
    table[a] = "again"
    assert [(t is a, value) for t, value in table.items()] == [(True, "again")]
    assert (table.pop(b), table.pop(a), len(table)) == (None, "again", 0)


def test_a_table_keeps_no_tensor_alive_and_forgets_it():
    table: TensorMap[int] = TensorMap()
    tensors = [torch.zeros(1) for _ in range(7)]
    for i, t in enumerate(tensors):
        table[t] = i
        table[t] = i + 10
    watched = weakref.ref(tensors[3])
    del t, tensors[3]
    gc.collect()
    assert watched() is None
    assert sorted(value for _, value in table.items()) == [10, 11, 12, 14, 15, 16]
    for t in table:
        table.pop(t)
    assert not table


def test_a_new_tensor_in_the_place_of_a_dead_one_is_unknown():
    table: TensorMap[int] = TensorMap()
    for i in range(200):
        t = torch.zeros(1)
        assert t not in table
        table[t] = i
        del t
    assert len(table) == 0
