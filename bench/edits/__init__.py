"""What an edit costs in each environment, in time and in failed requests (`make dev-bench`)."""
