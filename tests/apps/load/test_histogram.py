import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.apps.load.histogram import Histogram, bucket_of, highest_in


@given(st.integers(0, 10**10))
def test_a_bucket_is_exact_to_a_thousandth(value):
    highest = highest_in(bucket_of(value))
    assert value <= highest <= value + value // 1000
    assert bucket_of(highest) == bucket_of(value)
    assert bucket_of(highest + 1) != bucket_of(value)


@given(st.integers(0, 10**10), st.integers(0, 10**10))
def test_buckets_are_in_the_order_of_their_values(one, other):
    assert (bucket_of(one) < bucket_of(other)) <= (one < other)


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=200), st.floats(0.001, 1.0))
def test_percentiles_are_those_of_a_sorted_list(values, share):
    histogram = Histogram()
    for value in values:
        histogram.record(value / 1e6)
    exact = sorted(values)[max(1, math.ceil(round(len(values) * share, 6))) - 1]
    assert exact <= histogram.percentile(share) <= exact + exact // 1000
    assert histogram.percentile(1.0) == histogram.longest == max(values)
    assert histogram.mean == pytest.approx(sum(values) / len(values))


@given(st.lists(st.integers(0, 10**7)), st.lists(st.integers(0, 10**7)))
def test_added_histograms_are_one_of_all_values(first, second):
    parts = [Histogram(), Histogram()]
    whole = Histogram()
    for part, values in zip(parts, (first, second), strict=True):
        for value in values:
            part.record(value / 1e6)
            whole.record(value / 1e6)
    merged = Histogram()
    for part in parts:
        merged.add(part.counts.items(), part.longest, part.total)
    assert merged.counts == whole.counts
    assert (merged.count, merged.longest, merged.total) == (whole.count, whole.longest, whole.total)


def test_nothing_has_no_latency():
    assert (Histogram().percentile(0.99), Histogram().mean) == (0, 0.0)
