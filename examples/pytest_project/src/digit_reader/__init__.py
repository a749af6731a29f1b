"""Reads handwritten digits."""

from digit_reader.model import DigitReader, train

__all__ = ["DigitReader", "train"]
