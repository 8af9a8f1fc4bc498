"""Real processes of the command line, killed and stopped at each call they make, and at random.

Nothing in the program helps: what stands between it and its servers is told to strike (`fronts`). A process is struck
*before* a call, when that has arrived and nothing was done yet, or *after* it, when it was done and nobody has been
answered. Between two calls a process changes nothing but its own memory, which a kill takes with it: to be killed
anywhere between the answer to one call and the next call leaves the world as it is right after the one, and right
before the other. So these two instants for each call stand for all. For a process that only sleeps that is not so: it
keeps what it knew. It is put to sleep right after an answer as well, before it sends the next call.

    fronts    stands before Vault and the provider: notes each call, and strikes
    site      one installation with its own keys, entries and journal, and the commands that are run in it
    scenarios what is being done when a process is struck, and how one sees that it got done
    strikes   SIGKILL, SIGTERM, SIGINT and SIGSTOP at each call of each scenario
    storm     a fleet whose processes are struck at random instants

`tests.faults.outside` judges what came of it. A scenario is run without a strike first, and its calls are counted:
there is no list of instants written by hand.
"""
