"""4. Doing it, step by step: claim, create, prove, publish, retire. The only room that writes.

Ordinary coroutines over the ports: no task is started and nothing is timed here, so that a test can stop,
repeat or lose every single call.
"""
