"""What must hold in an object beyond its schema, with Kubernetes' limits and words; one file a group of kinds."""
