"""Stage 1: is the request legal? Nothing is decoded here."""
