"""The kubelet of one node: its pods in, what to set up, start, stop and report out. It does none of it itself."""
