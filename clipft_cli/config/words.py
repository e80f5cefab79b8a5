"""Words that files and options share; nothing is imported for them."""

NOTHING = ("none", "null")
"""They leave a key open alike, wherever it may be and they are no choice."""
