"""What an edit costs: how long each environment takes to show it, to start, and how much memory it needs."""
