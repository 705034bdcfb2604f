"""What a training uses is measured in the process that it is measured for."""

from __future__ import annotations

import pickle

from workbench.training.resources import ResourceMeter


def test_a_meter_that_was_pickled_measures_where_it_arrives() -> None:
    meter = ResourceMeter()
    meter.measure()
    used = pickle.loads(pickle.dumps(meter)).measure()
    assert used.memory > 1e7
    assert used.memory_free > 0
    assert used.gpu_memory <= used.gpu_memory_total
