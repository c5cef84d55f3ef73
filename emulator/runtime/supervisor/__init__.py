"""What starts a cluster's processes, keeps them running, and leaves nothing behind."""
