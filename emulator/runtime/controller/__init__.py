"""The controller process: the objects of one cluster, kept on disk, reconciled, and served."""
