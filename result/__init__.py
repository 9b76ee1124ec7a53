"""The dashboard: shows every viewer the tally, live."""
