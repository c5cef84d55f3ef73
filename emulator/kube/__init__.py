"""Objects in, changes out: the controllers, the scheduler, the kubelet and kube-proxy as reconcilers that do no I/O."""
