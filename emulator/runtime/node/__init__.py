"""A node's process: one machine under trio, its pods' programs, its kubelet and kube-proxy at work."""
