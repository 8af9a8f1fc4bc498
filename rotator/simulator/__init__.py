"""A faithful Deepgram to run against, for the demo and the tests. Not part of a production installation."""
