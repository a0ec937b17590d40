"""Measure reuse_queue beside its peers, in one run on one machine."""
