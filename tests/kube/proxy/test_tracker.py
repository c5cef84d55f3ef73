"""What a sync is told has changed: exactly what is another than before."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from emulator.api.objects.endpointslice import EndpointSlice
from emulator.api.objects.service import Service
from emulator.api.objects.view import view
from emulator.kube.proxy.service_port import ServicePortName, endpoints_by_port, service_ports
from emulator.kube.proxy.tracker import ServiceTracker


def service(name: str, *ports: int) -> Service:
    spec = {"clusterIP": "10.96.0.1", "ports": [{"name": f"p{port}", "port": port} for port in ports]}
    return view({"metadata": {"name": name, "namespace": "ns"}, "spec": spec}, Service)


def slice_of(name: str, service_name: str, *addresses: str, port: int = 80) -> EndpointSlice:
    obj: dict[str, Any] = {
        "metadata": {
            "name": name,
            "namespace": "ns",
            "labels": {"kubernetes.io/service-name": service_name} if service_name else {},
        },
        "addressType": "IPv4",
        "ports": [{"name": f"p{port}", "port": port}],
        "endpoints": [{"addresses": [address]} for address in addresses],
    }
    return view(obj, EndpointSlice)


def port_name(service_name: str, port: int = 80) -> ServicePortName:
    return ServicePortName("ns", service_name, f"p{port}", "TCP")


def test_only_what_is_another_than_before_is_told():
    tracker = ServiceTracker()
    tracker.put_service(service("web", 80, 81))
    tracker.put_service(service("db", 80))
    assert tracker.take_changes() == {port_name("web"), port_name("web", 81), port_name("db")}
    tracker.put_service(service("web", 80, 81))
    assert tracker.take_changes() == frozenset()
    tracker.put_service(service("web", 80))
    assert tracker.take_changes() == {port_name("web", 81)}
    tracker.remove_service("ns", "db")
    assert tracker.take_changes() == {port_name("db")}
    assert [*tracker.ports] == [port_name("web")]


def test_a_slice_that_names_another_service_leaves_its_old_one():
    tracker = ServiceTracker((), [slice_of("s1", "web", "10.0.0.1"), slice_of("s2", "web", "10.0.0.2")])
    tracker.take_changes()
    tracker.put_slice(slice_of("s2", "db", "10.0.0.2"))
    assert tracker.take_changes() == {port_name("web"), port_name("db")}
    assert [str(endpoint) for endpoint in tracker.endpoints[port_name("web")]] == ["10.0.0.1:80"]
    tracker.remove_slice("ns", "s1")
    assert port_name("web") not in tracker.endpoints


SERVICES = st.sampled_from(["web", "db", "dns"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("service"), SERVICES, st.sets(st.sampled_from([80, 81]))),
        st.tuples(st.just("no service"), SERVICES, st.none()),
        st.tuples(
            st.just("slice"),
            st.sampled_from("abcd"),
            st.tuples(SERVICES | st.just(""), st.sets(st.integers(1, 3)), st.sampled_from([80, 81])),
        ),
        st.tuples(st.just("no slice"), st.sampled_from("abcd"), st.none()),
    ),
    max_size=30,
)


@given(STEPS)
def test_kept_up_object_by_object_it_is_what_the_whole_says(steps: list[tuple[str, str, Any]]):
    tracker = ServiceTracker()
    services: dict[str, Service] = {}
    slices: dict[str, EndpointSlice] = {}
    for step, name, what in steps:
        before = (dict(tracker.ports), dict(tracker.endpoints))
        if step == "service":
            services[name] = service(name, *what)
            tracker.put_service(services[name])
        elif step == "no service":
            services.pop(name, None)
            tracker.remove_service("ns", name)
        elif step == "slice":
            slices[name] = slice_of(name, what[0], *(f"10.0.0.{host}" for host in what[1]), port=what[2])
            tracker.put_slice(slices[name])
        else:
            slices.pop(name, None)
            tracker.remove_slice("ns", name)
        ports, endpoints = tracker.ports, tracker.endpoints
        assert ports == service_ports(services.values())
        assert endpoints == endpoints_by_port(slices.values())
        differing = {
            key
            for old, new in zip(before, (ports, endpoints), strict=True)
            for key in old.keys() | new.keys()
            if old.get(key) != new.get(key)
        }
        assert tracker.take_changes() == differing
