"""Stage 2: who asks, and what may be spent."""
