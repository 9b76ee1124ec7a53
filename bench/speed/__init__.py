"""How fast each part is, side by side with its limit: `make bench`."""
