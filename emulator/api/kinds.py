"""The kinds of objects that the cluster keeps, the names users type for them, and which of them have an effect.

Read by `apply` (what may be kept), `get` (which word means which kind) and the store (which kinds have namespaces).
"""

from __future__ import annotations

import re
from functools import cache
from types import MappingProxyType

from msgspec import Struct

from emulator.api.problem import closest, quoted


class Kind(Struct, frozen=True):
    """A kind of object: its names, whether it lives in a namespace, and what it does in this emulator."""

    kind: str
    api_version: str
    plural: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    effect: bool = False
    note: str = ""
    """For a kind without effect: what does not happen because of that, for the user; may be empty."""
    in_all: bool = False
    """Whether `get all` shows it."""
    custom: bool = False
    """Whether it is none of Kubernetes' own: a CustomResourceDefinition brings it, or should."""

    @property
    def key(self) -> str:
        """What the store and the control protocol call it; of custom kinds two groups may have one of the same name."""
        return f"{self.kind}.{self.group}" if self.custom else self.kind

    @property
    def singular(self) -> str:
        """The kind in lower case, as kubectl prints it before a name."""
        return self.kind.lower()

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """The version within the group, such as v1."""
        return self.api_version.rpartition("/")[2]

    @property
    def resource(self) -> str:
        """Plural and group, such as `deployments.apps`: what error messages name."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def names(self) -> tuple[str, ...]:
        """Every word that means this kind, lower case."""
        words = (self.plural, self.singular, *self.short_names)
        if not self.group:
            return words
        long = tuple(f"{word}.{self.group}" for word in (self.plural, self.singular))
        return words + long + tuple(f"{word}.{self.version}.{self.group}" for word in (self.plural, self.singular))

    def described(self, name: str) -> str:
        """Return `deployment.apps/web`, as kubectl names an object."""
        return f"{self.singular}.{self.group}/{name}" if self.group else f"{self.singular}/{name}"

    @property
    def kept_note(self) -> str:
        """What `apply` says of a kind without effect; empty for the others."""
        if self.effect:
            return ""
        return f"kept, has no effect: {self.note}" if self.note else "kept, has no effect"


NO_PODS = "it makes no pods in this version"
NOT_ENFORCED = "access is not checked"
NO_STORAGE = "nothing is stored, volumes of claims are empty directories"
NO_ADMISSION = "no webhook is called"
NO_POLICIES = "no policy is evaluated"
NO_DEVICES = "nodes have no devices"

KINDS: tuple[Kind, ...] = (
    # What the emulator acts on.
    Kind("Namespace", "v1", "namespaces", ("ns",), namespaced=False, effect=True),
    Kind("Node", "v1", "nodes", ("no",), namespaced=False, effect=True),
    Kind("Pod", "v1", "pods", ("po",), effect=True, in_all=True),
    Kind("Service", "v1", "services", ("svc",), effect=True, in_all=True),
    Kind("EndpointSlice", "discovery.k8s.io/v1", "endpointslices", effect=True),
    Kind("Endpoints", "v1", "endpoints", ("ep",), effect=True),
    Kind("Deployment", "apps/v1", "deployments", ("deploy",), effect=True, in_all=True),
    Kind("ReplicaSet", "apps/v1", "replicasets", ("rs",), effect=True, in_all=True),
    Kind("ReplicationController", "v1", "replicationcontrollers", ("rc",), effect=True, in_all=True),
    Kind("StatefulSet", "apps/v1", "statefulsets", ("sts",), effect=True, in_all=True),
    Kind("DaemonSet", "apps/v1", "daemonsets", ("ds",), effect=True, in_all=True),
    Kind("ConfigMap", "v1", "configmaps", ("cm",), effect=True),
    Kind("Secret", "v1", "secrets", effect=True),
    # Core.
    Kind("ServiceAccount", "v1", "serviceaccounts", ("sa",)),
    Kind("Event", "v1", "events", ("ev",)),
    Kind("PersistentVolume", "v1", "persistentvolumes", ("pv",), namespaced=False, note=NO_STORAGE),
    Kind("PersistentVolumeClaim", "v1", "persistentvolumeclaims", ("pvc",), note=NO_STORAGE),
    Kind("PodTemplate", "v1", "podtemplates"),
    Kind("ResourceQuota", "v1", "resourcequotas", ("quota",), note="quotas are not enforced"),
    Kind("LimitRange", "v1", "limitranges", ("limits",), note="limits are not enforced"),
    # Workloads that wait for their controllers.
    Kind("ControllerRevision", "apps/v1", "controllerrevisions"),
    Kind("Job", "batch/v1", "jobs", note=NO_PODS, in_all=True),
    Kind("CronJob", "batch/v1", "cronjobs", ("cj",), note=NO_PODS, in_all=True),
    # Networking that is not emulated yet.
    Kind("Ingress", "networking.k8s.io/v1", "ingresses", ("ing",), note="no ingress controller in this version"),
    Kind("IngressClass", "networking.k8s.io/v1", "ingressclasses", namespaced=False),
    Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies", ("netpol",), note="no traffic is filtered by it"),
    # Policy, access, scaling, storage.
    Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets", ("pdb",)),
    Kind("Role", "rbac.authorization.k8s.io/v1", "roles", note=NOT_ENFORCED),
    Kind("RoleBinding", "rbac.authorization.k8s.io/v1", "rolebindings", note=NOT_ENFORCED),
    Kind("ClusterRole", "rbac.authorization.k8s.io/v1", "clusterroles", namespaced=False, note=NOT_ENFORCED),
    Kind(
        "ClusterRoleBinding", "rbac.authorization.k8s.io/v1", "clusterrolebindings", namespaced=False, note=NOT_ENFORCED
    ),
    Kind("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers", ("hpa",), note="nothing is scaled"),
    Kind("HorizontalPodAutoscaler", "autoscaling/v1", "horizontalpodautoscalers", ("hpa",), note="nothing is scaled"),
    Kind("StorageClass", "storage.k8s.io/v1", "storageclasses", ("sc",), namespaced=False, note=NO_STORAGE),
    Kind("CSIDriver", "storage.k8s.io/v1", "csidrivers", namespaced=False, note=NO_STORAGE),
    Kind("PriorityClass", "scheduling.k8s.io/v1", "priorityclasses", ("pc",), namespaced=False),
    Kind("Lease", "coordination.k8s.io/v1", "leases"),
    Kind(
        "ValidatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1",
        "validatingwebhookconfigurations",
        namespaced=False,
        note=NO_ADMISSION,
    ),
    Kind(
        "MutatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1",
        "mutatingwebhookconfigurations",
        namespaced=False,
        note=NO_ADMISSION,
    ),
    Kind(
        "ValidatingAdmissionPolicy",
        "admissionregistration.k8s.io/v1",
        "validatingadmissionpolicies",
        namespaced=False,
        note=NO_POLICIES,
    ),
    Kind(
        "ValidatingAdmissionPolicyBinding",
        "admissionregistration.k8s.io/v1",
        "validatingadmissionpolicybindings",
        namespaced=False,
        note=NO_POLICIES,
    ),
    Kind(
        "MutatingAdmissionPolicy",
        "admissionregistration.k8s.io/v1",
        "mutatingadmissionpolicies",
        namespaced=False,
        note=NO_POLICIES,
    ),
    Kind(
        "MutatingAdmissionPolicyBinding",
        "admissionregistration.k8s.io/v1",
        "mutatingadmissionpolicybindings",
        namespaced=False,
        note=NO_POLICIES,
    ),
    Kind(
        "ServiceCIDR",
        "networking.k8s.io/v1",
        "servicecidrs",
        namespaced=False,
        note="addresses are those of the cluster file",
    ),
    Kind("IPAddress", "networking.k8s.io/v1", "ipaddresses", ("ip",), namespaced=False),
    Kind("ResourceClaim", "resource.k8s.io/v1", "resourceclaims", note=NO_DEVICES),
    Kind("ResourceClaimTemplate", "resource.k8s.io/v1", "resourceclaimtemplates", note=NO_DEVICES),
    Kind("DeviceClass", "resource.k8s.io/v1", "deviceclasses", namespaced=False, note=NO_DEVICES),
    Kind("ResourceSlice", "resource.k8s.io/v1", "resourceslices", namespaced=False, note=NO_DEVICES),
    Kind("ClusterTrustBundle", "certificates.k8s.io/v1", "clustertrustbundles", namespaced=False),
    Kind("APIService", "apiregistration.k8s.io/v1", "apiservices", namespaced=False),
    Kind("RuntimeClass", "node.k8s.io/v1", "runtimeclasses", namespaced=False),
    Kind(
        "CustomResourceDefinition",
        "apiextensions.k8s.io/v1",
        "customresourcedefinitions",
        ("crd", "crds"),
        namespaced=False,
        note="objects of its kind are kept, but no controller acts on them",
    ),
    Kind(
        "CertificateSigningRequest", "certificates.k8s.io/v1", "certificatesigningrequests", ("csr",), namespaced=False
    ),
    Kind("FlowSchema", "flowcontrol.apiserver.k8s.io/v1", "flowschemas", namespaced=False),
    Kind(
        "PriorityLevelConfiguration",
        "flowcontrol.apiserver.k8s.io/v1",
        "prioritylevelconfigurations",
        namespaced=False,
    ),
    Kind("VolumeAttachment", "storage.k8s.io/v1", "volumeattachments", namespaced=False, note=NO_STORAGE),
    Kind("CSINode", "storage.k8s.io/v1", "csinodes", namespaced=False, note=NO_STORAGE),
    Kind("CSIStorageCapacity", "storage.k8s.io/v1", "csistoragecapacities", note=NO_STORAGE),
    Kind(
        "VolumeAttributesClass",
        "storage.k8s.io/v1",
        "volumeattributesclasses",
        ("vac",),
        namespaced=False,
        note=NO_STORAGE,
    ),
)

BUILT_IN_REFUSED = "it is not emulated; leave this object out"
FOR_TOOLS = "it configures a tool, and is no object of a cluster; leave it out"
CUSTOM_KEPT = "no controller acts on custom resources"

# Groups of Kubernetes itself, those too of which there is no kind here; others may be anybody's, even below k8s.io.
BUILT_IN_GROUPS = frozenset(
    {
        *(kind.group for kind in KINDS),
        "authentication.k8s.io",
        "authorization.k8s.io",
        "events.k8s.io",
        "internal.apiserver.k8s.io",
        "storagemigration.k8s.io",
    }
)
# Groups of files that tools and components read; no API server has them.
_OF_TOOLS = frozenset(
    {
        "apiserver.config.k8s.io",
        "apiserver.k8s.io",
        "audit.k8s.io",
        "client.authentication.k8s.io",
        "kind.x-k8s.io",
        "kubeadm.k8s.io",
        "kubecontrollermanager.config.k8s.io",
        "kubelet.config.k8s.io",
        "kubeproxy.config.k8s.io",
        "kubescheduler.config.k8s.io",
        "kustomize.config.k8s.io",
        "pod-security.admission.config.k8s.io",
    }
)
_VERSION = re.compile(r"v[1-9][0-9]*((alpha|beta)[1-9][0-9]*)?\Z")


@cache
def _by_name() -> MappingProxyType[str, Kind]:
    table: dict[str, Kind] = {}
    for kind in KINDS:
        for name in kind.names:
            table.setdefault(name, kind)
    return MappingProxyType(table)


@cache
def _by_type() -> MappingProxyType[tuple[str, str], Kind]:
    return MappingProxyType({(kind.api_version, kind.kind): kind for kind in KINDS})


def find_kind(name: str) -> Kind | None:
    """Return the kind that a word such as `po`, `Pods` or `deployments.apps` means; None for an unknown word."""
    return _by_name().get(name.lower())


def kind_of(api_version: str, kind: str) -> Kind | None:
    """Return the kind of an object by its `apiVersion` and `kind`; None if it is none of Kubernetes'.

    A kind of a group that is not Kubernetes' own is taken for a custom one, in a namespace and with a guessed
    plural: what its definition says is `custom_kinds`' business.
    """
    known = _by_type().get((api_version, kind))
    return known if known is not None or not _may_be_custom(api_version, kind) else _guessed(api_version, kind)


@cache
def _guessed(api_version: str, kind: str) -> Kind:
    return Kind(kind, api_version, plural_of(kind.lower()), note=CUSTOM_KEPT, custom=True)


def plural_of(singular: str) -> str:
    """Return the plural that a kind's name is guessed to have, as English has it."""
    if singular.endswith("s"):
        return f"{singular}es"
    return f"{singular[:-1]}ies" if singular.endswith("y") and singular[-2:-1] not in "aeiou" else f"{singular}s"


def _may_be_custom(api_version: str, kind: str) -> bool:
    """Whether this may be a custom kind, and no misspelt one of Kubernetes'."""
    group, slash, version = api_version.partition("/")
    if not slash or not kind or "." not in group or group in BUILT_IN_GROUPS | _OF_TOOLS or not _VERSION.match(version):
        return False
    own = [known.group for known in KINDS if known.kind == kind and known.group]
    return closest(group, own, 0.85) is None


def is_list(api_version: str, kind: str) -> bool:
    """Whether an object with `items` is a list (`List`, `PodList`) of them."""
    return kind == "List" or (kind.endswith("List") and kind_of(api_version, kind[:-4]) is not None)


def suggest(name: str) -> str | None:
    """Return the known plural closest to a misspelt word, if one is close."""
    close = closest(name.lower(), _by_name())
    return _by_name()[close].plural if close else None


def is_foreign(api_version: str, kind: str) -> bool:
    """Whether an object is of a kind that we do not have, and no misspelt one of those that we do."""
    known = kind_of(api_version, kind)
    return known.custom if known is not None else why_unknown(api_version, kind).endswith((BUILT_IN_REFUSED, FOR_TOOLS))


def why_unknown(api_version: str, kind: str) -> str:
    """Return what to tell the user of an object whose type `kind_of` does not know."""
    text = f"no matches for kind {quoted(kind)} in version {quoted(api_version)}"
    group = api_version.rpartition("/")[0]
    if group in _OF_TOOLS:
        return f"{text}: {FOR_TOOLS}"
    same = [known.api_version for known in KINDS if known.kind == kind]
    if same:
        return f"{text}; use {same[0]}"
    close = closest(kind, {known.kind for known in KINDS}, 0.7)
    if close and any(known.group == group for known in KINDS):
        return f"{text}; did you mean {close}?"
    return f"{text}: {BUILT_IN_REFUSED}" if "." in group and group in BUILT_IN_GROUPS else text
