"""The index of Services by name and address: after any changes it knows what one made anew would."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.service import Service
from emulator.api.objects.view import view
from emulator.kube.service_directory import ServiceIndex

NAMES = ("a", "b")
ADDRESSES = ("10.0.0.1", "10.0.0.2", "fd00::1", "None", "")


def service(name: str, address: str) -> Service:
    return view({"metadata": {"name": name, "namespace": "n"}, "spec": {"clusterIP": address}}, Service)


def slice_(name: str, of: str, addresses: list[str]) -> EndpointSlice:
    labels = {"kubernetes.io/service-name": of}
    found = [{"addresses": [address]} for address in addresses]
    metadata = {"name": name, "namespace": "n", "labels": labels}
    return view({"metadata": metadata, "endpoints": found}, EndpointSlice)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("Service"), st.sampled_from(NAMES), st.sampled_from(ADDRESSES)),
        st.tuples(
            st.just("EndpointSlice"),
            st.sampled_from(("s", "t")),
            st.tuples(st.sampled_from(NAMES), st.lists(st.sampled_from(ADDRESSES[:3]), max_size=3)),
        ),
        st.tuples(st.sampled_from(("Service", "EndpointSlice")), st.sampled_from((*NAMES, "s", "t")), st.none()),
    ),
    max_size=12,
)


def state(index: ServiceIndex) -> list[Any]:
    places = [(4, 0x0A000001), (4, 0x0A000002), (6, 0xFD00 << 112 | 1), (4, 0)]
    found: list[Any] = [(index.service("n", name), index.slices("n", name)) for name in NAMES]
    return found + [
        (
            sorted(each.metadata.name for each in index.services_at(*place)),
            [each.metadata.name for each in index.slices_at(*place)],
        )
        for place in places
    ]


@given(STEPS)
def test_it_is_as_if_made_anew(steps: list[tuple[str, str, Any]]) -> None:
    index = ServiceIndex(lambda: 1.0)
    objects: dict[tuple[str, str], Any] = {}
    for kind, name, value in steps:
        if value is None:
            index.remove(kind, "n", name)
            objects.pop((kind, name), None)
            continue
        obj = service(name, value) if kind == "Service" else slice_(name, *value)
        index.put(kind, obj)
        objects[kind, name] = obj
    anew = ServiceIndex(lambda: 1.0)
    for (kind, _), obj in objects.items():
        anew.put(kind, obj)
    assert state(index) == state(anew)


def test_namespaces_and_the_time_of_the_last_change() -> None:
    clock = [5.0]
    index = ServiceIndex(lambda: clock[0])
    assert index.serial == 5
    clock[0] = 9.5
    index.put("Namespace", {"metadata": {"name": "shop"}})
    assert (index.has_namespace("shop"), index.has_namespace("other"), index.serial) == (True, False, 9)
    index.remove("Namespace", "", "shop")
    assert not index.has_namespace("shop")
