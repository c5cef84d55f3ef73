from emulator.api.objects.node import Node
from emulator.api.objects.pod import Pod
from emulator.kube.view_cache import ViewCache
from tests.kube.test_kubelet import pod


def test_an_object_is_converted_once_and_its_next_version_again() -> None:
    views = ViewCache()
    first = pod()
    seen = views.view(first, Pod)
    assert views.view(first, Pod) is seen
    changed = first | {"status": {"podIP": "10.244.0.9"}}
    assert views.view(changed, Pod).status.pod_ip == "10.244.0.9"


def test_another_type_of_the_same_object_is_not_mixed_up() -> None:
    views = ViewCache()
    obj = {"kind": "Node", "metadata": {"name": "a", "uid": "u"}, "spec": {"podCIDR": "10.0.0.0/24"}}
    assert views.view(obj, Node).spec.pod_cidr == "10.0.0.0/24"
    assert isinstance(views.view(obj | {"spec": {"containers": []}}, Pod), Pod)


def test_it_keeps_no_more_than_it_may() -> None:
    views = ViewCache(kept=2)
    objects = [pod(name) for name in "abc"]
    first = [views.view(obj, Pod) for obj in objects]
    assert views.view(objects[2], Pod) is first[2]
    assert views.view(objects[0], Pod) is not first[0]
