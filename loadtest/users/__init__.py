"""The users: people and programs that vote, watch and misbehave."""
