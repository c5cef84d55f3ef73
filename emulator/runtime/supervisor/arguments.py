"""What the processes of a cluster are told at their start, as bytes that cross a fork or a pipe."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from emulator.api.cluster_file import ClusterConfig

T = TypeVar("T")

CLUSTER_DNS_INDEX = 10
"""The cluster's name server has the tenth address of the service network, as kubeadm gives it."""


class ControllerArguments(Struct, frozen=True, kw_only=True):
    """For the controller. `database` is the path of its store; `epoch` differs for each start of the cluster."""

    config: ClusterConfig
    database: str


class NodeArguments(Struct, frozen=True, kw_only=True):
    """For a node: which one it is, and the controller's socket."""

    config: ClusterConfig
    name: str
    controller: str


class CloudArguments(Struct, frozen=True, kw_only=True):
    """For what is outside the nodes: the controller's socket."""

    config: ClusterConfig
    controller: str


class TrafficArguments(Struct, frozen=True, kw_only=True):
    """For the background traffic: the cluster, as whoever attaches to it finds it, and the traffic files."""

    name: str
    state_directory: str
    files: tuple[Path, ...]


def encode(value: Struct) -> bytes:
    """Return the bytes of a value."""
    return msgspec.msgpack.encode(value, enc_hook=_encode_other)


def decode(data: bytes, value_type: type[T]) -> T:
    """Return the value that `encode` made bytes of."""
    return msgspec.msgpack.decode(data, type=value_type, dec_hook=_decode_other)


def cluster_dns(config: ClusterConfig) -> str:
    """The address of the cluster's DNS Service."""
    return str(config.service_cidr.network_address + CLUSTER_DNS_INDEX)


def _encode_other(value: Any) -> Any:
    if isinstance(value, IPv4Address | IPv4Network | Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError(f"no encoding for {type(value).__name__}")


def _decode_other(wanted: type, value: Any) -> Any:
    if wanted in (IPv4Address, IPv4Network):
        return wanted(value)
    if issubclass(wanted, Path):
        return Path(value)
    raise NotImplementedError(f"no decoding for {wanted.__name__}")
