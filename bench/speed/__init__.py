"""How fast each part is, beside its limit (`make bench`), and as things grow (`make bench-growth`)."""
