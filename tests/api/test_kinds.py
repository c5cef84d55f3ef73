"""Kinds: every word that a user types for one, and what is said of those without effect."""

from __future__ import annotations

import pytest

from emulator.api.kinds import KINDS, find_kind, is_list, kind_of, plural_of, suggest


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("pods", "Pod"),
        ("pod", "Pod"),
        ("po", "Pod"),
        ("Pods", "Pod"),
        ("svc", "Service"),
        ("deploy", "Deployment"),
        ("deployments.apps", "Deployment"),
        ("deployment.v1.apps", "Deployment"),
        ("endpointslices.discovery.k8s.io", "EndpointSlice"),
        ("netpol", "NetworkPolicy"),
        ("hpa", "HorizontalPodAutoscaler"),
        ("ingresses", "Ingress"),
    ],
)
def test_words(word: str, kind: str) -> None:
    found = find_kind(word)
    assert found is not None
    assert found.kind == kind


def test_unknown_words_get_a_suggestion() -> None:
    assert find_kind("deploymets") is None
    assert suggest("deploymets") == "deployments"
    assert suggest("qqqqqq") is None


def test_no_word_means_two_kinds() -> None:
    meanings: dict[str, set[str]] = {}
    for kind in KINDS:
        for name in kind.names:
            meanings.setdefault(name, set()).add(kind.kind)
    assert {name: kinds for name, kinds in meanings.items() if len(kinds) > 1} == {}


def test_the_newest_version_is_meant() -> None:
    found = find_kind("hpa")
    assert found is not None
    assert found.api_version == "autoscaling/v2"
    assert kind_of("autoscaling/v1", "HorizontalPodAutoscaler") is not None


def test_names_for_messages() -> None:
    deployment = kind_of("apps/v1", "Deployment")
    service = kind_of("v1", "Service")
    assert deployment is not None
    assert service is not None
    assert deployment.described("web") == "deployment.apps/web"
    assert service.described("web") == "service/web"
    assert deployment.resource == "deployments.apps"


def test_kinds_without_effect_say_so() -> None:
    policy = find_kind("netpol")
    template = find_kind("podtemplate")
    config_map = find_kind("cm")
    pod = find_kind("pod")
    assert policy is not None
    assert template is not None
    assert config_map is not None
    assert pod is not None
    assert policy.kept_note == "kept, has no effect: no traffic is filtered by it"
    assert template.kept_note == "kept, has no effect"
    assert config_map.kept_note == ""  # variables and files of containers
    assert pod.kept_note == ""


def test_lists() -> None:
    assert is_list("v1", "List")
    assert is_list("v1", "PodList")
    assert not is_list("v1", "Pod")
    assert not is_list("apps/v1", "PodList")


@pytest.mark.parametrize(
    ("api_version", "kind", "resource"),
    [
        ("cilium.io/v2", "CiliumNetworkPolicy", "ciliumnetworkpolicies.cilium.io"),
        ("gateway.networking.k8s.io/v1beta1", "HTTPRoute", "httproutes.gateway.networking.k8s.io"),
        ("crd.projectcalico.org/v1", "NetworkPolicy", "networkpolicies.crd.projectcalico.org"),
        ("serving.knative.dev/v1", "Service", "services.serving.knative.dev"),
    ],
)
def test_kinds_of_other_groups_are_custom(api_version: str, kind: str, resource: str) -> None:
    """A real API server knows them by their definitions; the plural is guessed."""
    found = kind_of(api_version, kind)
    assert found is not None
    assert found.custom
    assert found.namespaced
    assert found.resource == resource
    assert found.key == f"{kind}.{api_version.partition('/')[0]}"


def test_own_kinds_go_by_their_name_alone() -> None:
    found = kind_of("apps/v1", "Deployment")
    assert found is not None
    assert found.key == "Deployment"


def test_guessed_plurals() -> None:
    assert [plural_of(word) for word in ("ingress", "policy", "gateway", "crontab")] == [
        "ingresses",
        "policies",
        "gateways",
        "crontabs",
    ]
