"""The object store: objects with versions and owners, their past, indexes, and what is laid upon them."""
