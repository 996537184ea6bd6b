from . import scheduling_strategies

__all__ = ["scheduling_strategies"]
