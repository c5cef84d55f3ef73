"""The hands of a node's kubelet: what `emulator.kube.kubelet` decides is done here, and what comes of it told."""
