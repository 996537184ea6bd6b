"""From what people ask in to a ``Placement``, and from there to what a provider speaks; integers only, pure."""
