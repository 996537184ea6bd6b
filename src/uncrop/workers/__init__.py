"""Where the engine computes."""
