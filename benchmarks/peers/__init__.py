"""One small adapter per peer: its tasks, its way to enqueue, its worker at its best settings."""
