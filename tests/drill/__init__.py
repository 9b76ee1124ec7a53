"""The drill: votes are cast while everything is killed, and then every vote is looked for."""
