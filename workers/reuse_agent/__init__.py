"""One process per host: starts, watches and ends replicas."""
