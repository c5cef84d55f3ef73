"""The controllers of kube-controller-manager, as reconcilers; one file a controller."""
