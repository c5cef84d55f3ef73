"""Namespace, ConfigMap and Secret: what names live in, and the values that pods are configured with."""

from __future__ import annotations

from msgspec import Struct

from emulator.api.objects.meta import ObjectMeta


class NamespaceSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """Who must let go before the namespace is gone."""

    finalizers: tuple[str, ...] = ()


class NamespaceStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """`phase` is Active or Terminating."""

    phase: str = "Active"


class Namespace(Struct, frozen=True, kw_only=True, rename="camel"):
    """A namespace."""

    api_version: str = "v1"
    kind: str = "Namespace"
    metadata: ObjectMeta = ObjectMeta()
    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()


class ConfigMap(Struct, frozen=True, kw_only=True, rename="camel"):
    """Configuration values by key; `binary_data` is base64."""

    api_version: str = "v1"
    kind: str = "ConfigMap"
    metadata: ObjectMeta = ObjectMeta()
    data: dict[str, str] = {}
    binary_data: dict[str, str] = {}
    immutable: bool = False


class Secret(Struct, frozen=True, kw_only=True, rename="camel"):
    """Secret values by key, base64."""

    api_version: str = "v1"
    kind: str = "Secret"
    metadata: ObjectMeta = ObjectMeta()
    type: str = "Opaque"
    data: dict[str, str] = {}
    immutable: bool = False
