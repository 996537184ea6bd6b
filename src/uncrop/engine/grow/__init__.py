"""Candidates for the coarsest level: whole pictures, grown outward from the photo."""
