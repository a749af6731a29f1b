"""These tests train: one thread."""

from thread_limits import one_thread

__all__ = ["one_thread"]
