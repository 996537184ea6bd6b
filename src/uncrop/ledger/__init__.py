"""The ledger: what is held before a call, what it cost, and what is left of the limits."""
