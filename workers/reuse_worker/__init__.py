"""One process = one replica of one environment."""
