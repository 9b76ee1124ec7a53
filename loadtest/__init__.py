"""The load test: Locust sends people to the system, and an audit then looks for every vote they cast."""
