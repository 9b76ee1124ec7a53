"""Counts: takes the queue's votes to the database."""
