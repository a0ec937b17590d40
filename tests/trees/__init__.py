"""Random trees of jobs on a real fleet whose replicas are killed, drained and stopped meanwhile."""
