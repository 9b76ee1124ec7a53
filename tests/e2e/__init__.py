"""The whole system, started as a user starts it, seen as its users see it."""
