"""The one way in for every front: who asks, how often, the work, the report, and billed work seen through."""
