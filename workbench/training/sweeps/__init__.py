"""Many training runs described once: a space of settings that is searched, or folds of the data.

What shall be tried is drawn and written down before the first trial starts, and what has become of
a trial is read from its run. So a sweep has nothing to lose: the process that carries it on may be
killed at any time and started again, on this machine or another that sees the folder.
"""
