"""The ballot: takes votes from people and programs, and puts them on the queue."""
